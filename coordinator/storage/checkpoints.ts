import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { openWithSpares } from '../../base/descriptors.ts';
import { ioError, openFile, WriteError, writeFile } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import type { Emit } from '../../view/events.ts';
import {
  type Checkpoint,
  DamagedCheckpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  NewerCheckpoint,
} from './checkpoint.ts';

/** Checkpoint files in the folder `checkpoints` of a run directory, one per epoch: when they are written, and reading them. */

const MAX_KEPT = 3;
const NAME = /^epoch-(\d{6,})\.ckpt$/;

export interface SavedCheckpoint {
  path: string;
  checkpoint: Checkpoint;
}

export const checkpointFolder = (run: string) => join(run, 'checkpoints');
export const checkpointName = (epoch: number) => `epoch-${String(epoch).padStart(6, '0')}.ckpt`;

/** Decides when checkpoints are written. States are immutable, so writing does not block training. */
export interface Checkpoints {
  /** Offers the run's current state. It is written if `now`, or if the last write started at least `every` seconds ago. */
  offer(checkpoint: Checkpoint, now: boolean): void;
  /** Writes the newest checkpoint that was offered, if not saved yet. Resolves when done, to whether it is saved. */
  flush(): Promise<boolean>;
  /** The newest checkpoint on disk. */
  saved(): SavedCheckpoint | null;
  /** As a last resort, saves the newest checkpoint in the system's temporary folder. Resolves to its path; null if that fails too. */
  rescue(): Promise<string | null>;
}

export interface CheckpointsOptions {
  /** The run directory. */
  run: string;
  /** Seconds; 0: at the end of every epoch. */
  every: number;
  emit: Emit;
  warn: (message: string) => void;
  /** The newest checkpoint already on disk. */
  saved?: SavedCheckpoint | null;
  /** Monotonic clock, ms. */
  now?: () => number;
}

export function createCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { run, every, emit, warn, now = () => performance.now() } = options;
  const folder = checkpointFolder(run);
  const warned = new Set<string>();
  let lastWrite = now();
  let newest: Checkpoint | null = null;
  /** The next to be written: it replaces an older one that is still waiting. */
  let pending: Checkpoint | null = null;
  let saved = options.saved ?? null;
  let writing: Promise<void> | null = null;

  async function save(checkpoint: Checkpoint): Promise<void> {
    const { epoch } = checkpoint.state;
    const startedAt = now();
    try {
      const { path, bytes } = await saveCheckpoint(folder, checkpoint);
      saved = { path, checkpoint };
      emit({ type: 'checkpoint', epoch, bytes, seconds: (now() - startedAt) / 1000 });
    } catch (error) {
      const reason = error instanceof WriteError ? error.reason : (error as Error).message;
      emit({ type: 'checkpoint-failed', epoch, reason });
      if (!warned.has(reason)) {
        warned.add(reason);
        warn(`the checkpoint of epoch ${epoch} cannot be saved in ${folder}: ${reason}; training continues`);
      }
    }
  }

  function write(): Promise<void> {
    writing ??= (async () => {
      while (pending) {
        const next = pending;
        pending = null;
        await save(next);
      }
      writing = null;
    })();
    return writing;
  }

  return {
    offer(checkpoint, urgent) {
      newest = checkpoint;
      if (!urgent && now() - lastWrite < every * 1000) return;
      lastWrite = now();
      pending = checkpoint;
      void write();
    },
    async flush() {
      await writing;
      if (newest && newest !== saved?.checkpoint) {
        pending = newest;
        await write();
      }
      return newest !== null && newest === saved?.checkpoint;
    },
    saved: () => saved,
    async rescue() {
      if (!newest) return null;
      const name = `dpmesh-${basename(resolve(run))}-${process.pid}-${checkpointName(newest.state.epoch)}`;
      const path = join(tmpdir(), name);
      // The folder is shared with other users: readable by this one only.
      return writeCheckpoint(path, newest, 0o600).then(
        () => path,
        () => null,
      );
    },
  };
}

/**
 * Writes a checkpoint durably, then removes all but the newest three, and those of later epochs: they are from a session
 * whose work was lost. Rejects with a WriteError if the disk cannot be written.
 */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
): Promise<{ path: string; bytes: number }> {
  const { epoch } = checkpoint.state;
  const path = join(folder, checkpointName(epoch));
  const bytes = await writeCheckpoint(path, checkpoint);
  const epochs = openWithSpares(() => readdirSync(folder)).flatMap((name) =>
    Number(NAME.exec(name)?.[1] ?? []),
  );
  const kept = epochs
    .filter((other) => other <= epoch)
    .sort((a, b) => b - a)
    .slice(0, MAX_KEPT);
  // Failing to remove old ones is harmless.
  const old = epochs.filter((other) => !kept.includes(other));
  await Promise.allSettled(old.map((other) => rm(join(folder, checkpointName(other)), { force: true })));
  return { path, bytes };
}

/** Writes a checkpoint to any path, without blocking the event loop. Resolves to its size in bytes. */
async function writeCheckpoint(path: string, checkpoint: Checkpoint, mode = 0o666): Promise<number> {
  return writeFile(path, encodeCheckpoint(checkpoint), mode);
}

/**
 * The newest checkpoint that is intact and belongs to the run; null if there is none. A warning names each one that is
 * skipped. `foreign` returns why a checkpoint does not belong to the run. UserError for another format version.
 */
export function newestCheckpoint(
  run: string,
  foreign: (checkpoint: Checkpoint) => string | null,
  warn: (message: string) => void,
): SavedCheckpoint | null {
  const folder = checkpointFolder(run);
  const epochs = existsSync(folder)
    ? readdirSync(folder).flatMap((name) => Number(NAME.exec(name)?.[1] ?? []))
    : [];
  for (const [i, epoch] of epochs.sort((a, b) => b - a).entries()) {
    const path = join(folder, checkpointName(epoch));
    const result = readCheckpoint(path, foreign);
    if ('checkpoint' in result) return result;
    const next = i + 1 < epochs.length ? 'trying the one before it' : 'there is no earlier one';
    warn(`${path} cannot be used: ${result.problem}; ${next}`);
  }
  return null;
}

function readBytes(path: string): Buffer {
  const { fd } = openFile(path);
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Reads a checkpoint; returns it, or why it cannot be used. UserError for another format version. */
export function readCheckpoint(
  path: string,
  foreign: (checkpoint: Checkpoint) => string | null,
): SavedCheckpoint | { problem: string } {
  try {
    const checkpoint = decodeCheckpoint(readBytes(path));
    const problem = foreign(checkpoint);
    return problem ? { problem } : { path, checkpoint };
  } catch (error) {
    if (error instanceof NewerCheckpoint)
      throw new UserError(
        `${path} was written by another version of dpmesh (${error.message}): resume with that version`,
      );
    if (error instanceof DamagedCheckpoint) return { problem: error.message };
    const cause = ioError(basename(path), 'read', error);
    if (cause instanceof UserError) return { problem: cause.message };
    throw error;
  }
}
