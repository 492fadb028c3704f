import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Emit } from '../../view/events.ts';
import type { Checkpoint } from './checkpoint.ts';
import {
  checkpointFolder,
  checkpointName,
  type SavedCheckpoint,
  saveCheckpoint,
  writeCheckpoint,
} from './checkpoint-files.ts';

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
      const reason = (error as Error).message.replace(/^.* cannot be written/, 'it cannot be written');
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
