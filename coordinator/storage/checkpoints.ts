import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { ioError, makeFolder, readWhole, WriteError, writeFile } from '../../base/files.ts';
import { openWithSpares } from '../../base/limits.ts';
import { UserError } from '../../base/user-error.ts';
import { MAX_MESSAGE } from '../../proto/codec.ts';
import type { Emit } from '../../view/events.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { assertConsistent } from './consistent.ts';
import { isFolder } from './run-path.ts';
import { DamagedCheckpoint, NewerCheckpoint, otherVersion } from './sealed-file.ts';

/** Checkpoint files in the folder `checkpoints` of a run directory, one per epoch: when they are written, and reading them. */

const MAX_KEPT = 3;
/** As `checkpointName` makes them, of an exact number. */
const NAME = /^epoch-(\d{6}|[1-9]\d{6,14})\.ckpt$/;

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
  /** Forgets the checkpoints so far, as training begins again. Their files are removed with the next one that is written. */
  discard(): void;
  /** Forgets them and removes their files: what comes next is of other rows. */
  clear(): Promise<void>;
  /** Removes what `rescue` has saved: the run is complete. */
  removeRescued(): Promise<void>;
  /** The newest checkpoint on disk. */
  saved(): SavedCheckpoint | null;
  /**
   * As a last resort, saves the newest checkpoint outside of the run directory. Resolves to its path, and whether `resume` finds
   * it by itself; null if that fails too.
   */
  rescue(): Promise<{ path: string; isFound: boolean } | null>;
}

export interface CheckpointsOptions {
  /** The run directory. */
  run: string;
  /** That of run.json. */
  id: string;
  /** Seconds; 0: at the end of every epoch. */
  every: number;
  emit: Emit;
  warn: (message: string) => void;
  /** Throws where the run's path leads elsewhere by now: then nothing is written or removed. */
  assertThere?: () => void;
  /** The newest checkpoint already on disk. */
  saved?: SavedCheckpoint | null;
  /** Monotonic clock, ms. */
  now?: () => number;
}

export function createCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { run, id, every, emit, warn, assertThere = () => {}, now = () => performance.now() } = options;
  const folder = checkpointFolder(run);
  const warned = new Set<string>();
  let lastWrite = now();
  let newest: Checkpoint | null = null;
  /** The next to be written: it replaces an older one that is still waiting. */
  let pending: Checkpoint | null = null;
  let saved = options.saved ?? null;
  let rescued = rescueFolders(id).filter((folder) => existsSync(folder));
  let writing: Promise<void> | null = null;

  function isDisplaced(): boolean {
    try {
      assertThere();
      return false;
    } catch {
      return true;
    }
  }

  async function save(checkpoint: Checkpoint): Promise<void> {
    const { epoch } = checkpoint.state;
    const startedAt = now();
    try {
      const { path, bytes } = await saveCheckpoint(folder, checkpoint, assertThere);
      // Unless it was discarded meanwhile.
      if (newest) saved = { path, checkpoint };
      await removeRescued();
      emit({ type: 'checkpoint', epoch, bytes, seconds: (now() - startedAt) / 1000 });
    } catch (error) {
      if (isDisplaced()) return;
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

  async function removeRescued(): Promise<void> {
    const folders = rescued;
    rescued = [];
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }).catch(() => {})));
  }

  function discard(): void {
    newest = pending = saved = null;
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
    discard,
    async clear() {
      discard();
      await writing;
      await removeOthers(folder, [], assertThere);
    },
    saved: () => saved,
    removeRescued,
    async rescue() {
      if (!newest) return null;
      const parts = await encodeCheckpoint(newest);
      const name = checkpointName(newest.state.epoch);
      // Readable by this user only: the last folder is shared with others.
      const writeAt = (path: string) =>
        writeFile(path, parts, { mode: 0o600 }).then(
          () => true,
          () => false,
        );
      for (const folder of rescueFolders(id)) {
        const path = join(folder, name);
        if (!canMake(folder) || !(await writeAt(path))) continue;
        rescued.push(folder);
        return { path, isFound: true };
      }
      const path = join(tmpdir(), `dpmesh-${basename(resolve(run))}-${process.pid}-${name}`);
      return (await writeAt(path)) ? { path, isFound: false } : null;
    },
  };
}

/**
 * Where a checkpoint of the run with this id can be saved if its own disk is full, best first: folders that outlive this process, and
 * that are this user's alone. systemd gives a service folders that outlive it; its temporary ones are removed.
 */
function rescueFolders(id: string): string[] {
  const { STATE_DIRECTORY, RUNTIME_DIRECTORY, XDG_STATE_HOME } = process.env;
  const ofService = [STATE_DIRECTORY, RUNTIME_DIRECTORY].flatMap((folders) => folders?.split(':') ?? []);
  const ofUser = join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'dpmesh');
  return [...ofService, ofUser].filter(isAbsolute).map((folder) => join(folder, `rescued-${id}`));
}

function canMake(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes a checkpoint durably, then removes all but the newest three, and those of later epochs: they are from a session
 * whose work was lost. Rejects with a WriteError if the disk cannot be written. `assertThere`: as of `createCheckpoints`.
 */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  assertThere = () => {},
): Promise<{ path: string; bytes: number }> {
  const { epoch } = checkpoint.state;
  const path = join(folder, checkpointName(epoch));
  // One that would be refused must not replace one that can be read.
  assertConsistent(checkpoint);
  const parts = await encodeCheckpoint(checkpoint);
  assertThere();
  makeFolder(folder);
  const bytes = await writeFile(path, parts, { before: assertThere });
  const kept = epochsIn(folder)
    .filter((other) => other <= epoch)
    .sort((a, b) => b - a)
    .slice(0, MAX_KEPT);
  // Failing to remove old ones is harmless.
  await removeOthers(folder, kept, assertThere).catch(() => assertThere());
  return { path, bytes };
}

/** Removes the checkpoints of all epochs but these. */
async function removeOthers(folder: string, kept: number[], assertThere: () => void): Promise<void> {
  if (!isFolder(folder)) return;
  assertThere();
  const others = epochsIn(folder).filter((epoch) => !kept.includes(epoch));
  await Promise.all(others.map((epoch) => rm(join(folder, checkpointName(epoch)), { force: true })));
}

function epochsIn(folder: string): number[] {
  try {
    const names = openWithSpares(() => readdirSync(folder));
    return names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
  } catch (error) {
    throw ioError(folder, 'read', error);
  }
}

/**
 * The newest checkpoint that is intact; null if there is none. A warning names each one that is skipped because it is
 * damaged. `foreign` returns why a checkpoint does not belong to the run: UserError for the first such one, though older than
 * the newest, because a run that began or continued here would remove it. UserError for another format version. `id`: that of
 * the run, whose checkpoints may also lie where they were saved when its disk was full.
 */
export function newestCheckpoint(
  run: string,
  foreign: (checkpoint: Checkpoint) => string | null,
  warn: (message: string) => void,
  id?: string,
): SavedCheckpoint | null {
  const own = checkpointFolder(run);
  const rescued = id === undefined ? [] : rescueFolders(id).filter((folder) => existsSync(folder));
  const folders = [...(isFolder(own) ? [own] : []), ...rescued];
  const files = folders
    .flatMap((folder) => epochsIn(folder).map((epoch) => ({ folder, epoch })))
    .sort((a, b) => b.epoch - a.epoch);
  let newest: SavedCheckpoint | null = null;
  for (const [i, { folder, epoch }] of files.entries()) {
    const path = join(folder, checkpointName(epoch));
    const result = readCheckpoint(path, folder === own ? run : folder);
    if ('checkpoint' in result) {
      const difference = foreign(result.checkpoint);
      if (difference)
        throw new UserError(
          `${path} is of another run than ${join(run, 'run.json')}: ${difference}; nothing was changed: put the run.json of this run back, or move the checkpoints of the other run elsewhere`,
        );
      newest ??= result;
    } else if (!newest) {
      const next = i + 1 < files.length ? 'trying the one before it' : 'there is no earlier one';
      warn(`${path} cannot be used: ${result.problem}; ${next}`);
    }
  }
  return newest;
}

/**
 * Reads a checkpoint; returns it, or why it cannot be used. `within`: the run directory that it must lie in. UserError for
 * another format version.
 */
export function readCheckpoint(path: string, within?: string): SavedCheckpoint | { problem: string } {
  try {
    return { path, checkpoint: decodeCheckpoint(readWhole(path, MAX_MESSAGE, { within })) };
  } catch (error) {
    if (error instanceof NewerCheckpoint) throw otherVersion(path, error);
    if (error instanceof DamagedCheckpoint) return { problem: error.message };
    const cause = ioError(basename(path), 'read', error);
    if (cause instanceof UserError) return { problem: cause.message };
    throw error;
  }
}
