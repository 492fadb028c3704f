import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
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

/** Checkpoints in the folder `checkpoints` of a run directory, one file an epoch: when they are written, and read. */

const KEPT = 3;
const NAME = /^epoch-(\d{6,})\.ckpt$/;

export interface SavedCheckpoint {
  path: string;
  checkpoint: Checkpoint;
}

export const checkpointFolder = (run: string) => join(run, 'checkpoints');
export const checkpointName = (epoch: number) => `epoch-${String(epoch).padStart(6, '0')}.ckpt`;

/** When checkpoints are written. Epochs never wait for one: a state does not change, so it is written beside them. */
export interface Checkpoints {
  /** Where the run is. Written if `now`, or if the last was begun at least `every` seconds ago. */
  offer(at: Checkpoint, now: boolean): void;
  /** Writes the newest that was offered, unless it is there already. Resolves when no write is under way: is it there? */
  flush(): Promise<boolean>;
  /** The newest on the disk. */
  saved(): SavedCheckpoint | null;
  /** Saves the newest that was offered among the system's temporary files, as a last resort; null if that fails too. */
  rescue(): Promise<string | null>;
}

export interface CheckpointsOptions {
  /** The run directory. */
  run: string;
  /** Seconds; 0: at the end of every epoch. */
  every: number;
  emit: Emit;
  warn: (message: string) => void;
  /** What is on the disk already. */
  saved?: SavedCheckpoint | null;
  /** ms, steady. */
  now?: () => number;
}

export function createCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { run, every, emit, warn, now = () => performance.now() } = options;
  const folder = checkpointFolder(run);
  const said = new Set<string>();
  let last = now();
  let newest: Checkpoint | null = null;
  /** The newest to be written: it takes the place of an older one that still waits. */
  let pending: Checkpoint | null = null;
  let saved = options.saved ?? null;
  let writing: Promise<void> | null = null;

  async function save(at: Checkpoint): Promise<void> {
    const { epoch } = at.state;
    const begun = now();
    try {
      const { path, bytes } = await saveCheckpoint(folder, at);
      saved = { path, checkpoint: at };
      emit({ type: 'checkpoint', epoch, bytes, seconds: (now() - begun) / 1000 });
    } catch (error) {
      const reason =
        error instanceof WriteError ? `it cannot be written: ${error.reason}` : (error as Error).message;
      emit({ type: 'checkpoint-failed', epoch, reason });
      if (!said.has(reason)) {
        said.add(reason);
        warn(`the checkpoint of epoch ${epoch} is missing in ${folder}: ${reason}; training goes on`);
      }
    }
  }

  function write(): Promise<void> {
    writing ??= (async () => {
      while (pending) {
        const at = pending;
        pending = null;
        await save(at);
      }
      writing = null;
    })();
    return writing;
  }

  return {
    offer(at, urgent) {
      newest = at;
      if (!urgent && now() - last < every * 1000) return;
      last = now();
      pending = at;
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
      // Among everybody's files: for this user only.
      return writeCheckpoint(path, newest, 0o600).then(
        () => path,
        () => null,
      );
    },
  };
}

/**
 * Writes a checkpoint aside, makes it durable and gives it its name; then removes all but the newest three, and those
 * of later epochs: the run did not get there by what could be read. Rejects with a WriteError if the disk refuses.
 */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
): Promise<{ path: string; bytes: number }> {
  const { epoch } = checkpoint.state;
  const path = join(folder, checkpointName(epoch));
  const bytes = await writeCheckpoint(path, checkpoint);
  const epochs = (await readdir(folder)).flatMap((name) => Number(NAME.exec(name)?.[1] ?? []));
  const kept = epochs
    .filter((other) => other <= epoch)
    .sort((a, b) => b - a)
    .slice(0, KEPT);
  // What cannot be removed takes room, no more: the checkpoint is there.
  const old = epochs.filter((other) => !kept.includes(other));
  await Promise.allSettled(old.map((other) => rm(join(folder, checkpointName(other)), { force: true })));
  return { path, bytes };
}

/** The same under any name, and nothing removed. Does not hold up the run: it waits for the disk elsewhere. */
async function writeCheckpoint(path: string, checkpoint: Checkpoint, mode = 0o666): Promise<number> {
  return writeFile(path, encodeCheckpoint(checkpoint), mode);
}

/**
 * The newest checkpoint of a run that is whole and the run's own; null if there is none. Others are named in a
 * warning. `foreign` says why one is not the run's own. UserError for one of a newer dpmesh.
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
    const found = readCheckpoint(path, foreign);
    if ('checkpoint' in found) return found;
    const next = i + 1 < epochs.length ? 'the one before it is taken' : 'there is none before it';
    warn(`${path} cannot be used: ${found.problem}; ${next}`);
  }
  return null;
}

function readWhole(path: string): Buffer {
  const { fd } = openFile(path);
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A checkpoint, or why it cannot be used. */
export function readCheckpoint(
  path: string,
  foreign: (checkpoint: Checkpoint) => string | null,
): SavedCheckpoint | { problem: string } {
  try {
    const checkpoint = decodeCheckpoint(readWhole(path));
    const problem = foreign(checkpoint);
    return problem ? { problem } : { path, checkpoint };
  } catch (error) {
    if (error instanceof NewerCheckpoint)
      throw new UserError(
        `${path} is of another version of dpmesh (${error.message}): resume with the dpmesh that wrote it`,
      );
    if (error instanceof DamagedCheckpoint) return { problem: error.message };
    const said = ioError(basename(path), 'read', error);
    if (said instanceof UserError) return { problem: said.message };
    throw error;
  }
}
