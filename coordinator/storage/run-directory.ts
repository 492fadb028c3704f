import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createAtomicFile, draftOf, isDraft, makeFolder, mkdirp, remove } from '../../base/files.ts';
import type { FilesByFlag } from '../../base/same-file.ts';
import { UserError } from '../../base/user-error.ts';
import { createNpy, type NpyWriter } from '../../data/npy.ts';
import type { RunEvent, TimedEvent } from '../../view/events.ts';
import { copyEvents, createEventLog, EVENTS, eventsIn } from './event-log.ts';
import { type DirectoryId, Displaced, type HeldDirectory, holdDirectory } from './held-directory.ts';
import {
  assertNoLinks,
  assertRemovable,
  assertUsable,
  defaultRunPath,
  isFolder,
  isUnfinished,
  RUN_FILES,
  whyUnwritable,
  writeProblem,
} from './run-path.ts';

/** A run's output directory; docs/run-directory.md describes each file. A new one does not exist before `create`. */
export interface RunDirectory {
  readonly path: string;
  /** It exists and is locked by this process. */
  isOpen(): boolean;
  /** Creates the directory with `run.json` in it. Does nothing if it is open. */
  create(run: unknown): Promise<void>;
  /** Appends an event and returns it with its time. Events from before `create` are buffered until then. */
  event(event: RunEvent): TimedEvent;
  json(name: string, value: unknown): void;
  npy(
    name: string,
    dtype: '<f8' | '<f4' | '<i4',
    shape: number[],
    data: Float64Array | Float32Array | Int32Array,
  ): void;
  /** Starts an npy file that is written in pieces. */
  pieces(name: string, dtype: '<f4' | '<i4', shape: number[]): NpyWriter<Float32Array | Int32Array>;
  bytes(name: string, data: Uint8Array): void;
  /**
   * Throws Displaced if the path leads to another folder than this run's, or to none. So do all that write here: before
   * they begin, so that nothing is made there, and before a file gets its name. For a file that was begun in this folder
   * there is nothing to rename in another. Events are dropped then.
   */
  assertThere(): void;
  /** Rejects with Displaced as soon as that is found. */
  readonly displaced: Promise<never>;
  /** Which folder it is; null before `create`, where it was not there. */
  id(): DirectoryId | null;
  /** Releases the lock. */
  close(): void;
}

export interface RunDirectoryOptions {
  /** Remove the files of an earlier run. */
  force?: boolean;
  /** FilesByFlag that the run reads: never removed. */
  inputs?: FilesByFlag;
  /** Called with the reason when events cannot be written. */
  warn?: (message: string) => void;
  /** An event log whose lines the new one starts with. */
  history?: string | null;
}

/** Folders in which a run writes files. */
const FOLDERS = ['.', 'model', 'mixture', 'checkpoints', 'report'];

/**
 * The directory of a new run. UserError if it cannot be created, is in use, or is not empty. With `force` it may contain an
 * earlier run, but none of this run's inputs.
 */
export async function openRunDirectory(
  path: string,
  { force = false, inputs = {}, warn = () => {}, history = null }: RunDirectoryOptions = {},
): Promise<RunDirectory> {
  assertUsable(path, force, inputs);
  const problem = whyUnwritable(path);
  if (problem) throw new UserError(`--out ${problem}`);
  const held = existsSync(path) ? await holdDirectory(path) : null;
  return runDirectory(path, { open: false, held, force, inputs, warn, history });
}

/**
 * The directory of a new run without `--out`: the first free name. It is created at once, so that another run that starts at
 * the same time gets the next name, and removed again on close if it was never used.
 */
export async function openDefaultRunDirectory(
  data: string,
  { warn = () => {}, history = null }: Pick<RunDirectoryOptions, 'warn' | 'history'> = {},
): Promise<RunDirectory> {
  for (;;) {
    const path = defaultRunPath(data);
    try {
      mkdirp(dirname(path));
      mkdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && isFolder(path)) continue;
      throw unwritable(path, error);
    }
    const held = await holdDirectory(path);
    return runDirectory(path, {
      open: false,
      held,
      force: false,
      reserved: true,
      inputs: {},
      warn,
      history,
    });
  }
}

/** The directory of a run to be resumed. UserError if it cannot be written, is in use, or contains symbolic links. */
export async function reopenRunDirectory(
  path: string,
  { warn = () => {} }: Pick<RunDirectoryOptions, 'warn'> = {},
): Promise<RunDirectory> {
  const elsewhere = (problem: string) =>
    new UserError(`${problem}; use --out ELSEWHERE to continue in another directory`);
  const problem = whyUnwritable(path);
  if (problem) throw elsewhere(problem);
  assertNoLinks(path);
  const held = await holdDirectory(path);
  try {
    if (!held.isThere()) throw new Displaced(path);
    removeDrafts(path);
    return runDirectory(path, { open: true, held, force: false, inputs: {}, warn, history: null });
  } catch (error) {
    held.release();
    if (error instanceof Displaced) throw error;
    // A file system that became read-only after an error may still report itself as writable.
    throw elsewhere(writeProblem(path, error));
  }
}

interface RunDirectorySetup extends Required<RunDirectoryOptions> {
  /** It exists already. */
  open: boolean;
  /** It was created to reserve its name. */
  reserved?: boolean;
  held: HeldDirectory | null;
}

function runDirectory(
  path: string,
  { open, reserved, held: heldBefore, force, inputs, warn, history }: RunDirectorySetup,
): RunDirectory {
  let isOpen = open;
  let held = heldBefore;
  let lost: Displaced | null = null;
  let lose!: (error: Displaced) => void;
  const displaced = new Promise<never>((_, reject) => {
    lose = reject;
  });
  displaced.catch(() => {});
  const warned = new Set<string>();
  const events = createEventLog((error) => {
    const { message } = error as Error;
    if (warned.has(message)) return;
    warned.add(message);
    warn(`${message}; events are kept in memory until they can be written`);
  });
  if (open) events.open(eventsIn(path));

  /** Once it is not, it is never again. */
  function isThere(): boolean {
    if (!lost && held && !held.isThere()) {
      lost = new Displaced(path);
      lose(lost);
    }
    return !lost;
  }
  function assertThere(): void {
    if (!isThere()) throw lost;
  }
  function finishing(file: { abort(): void }): void {
    if (isThere()) return;
    file.abort();
    throw lost;
  }

  const self: RunDirectory = {
    path,
    isOpen: () => isOpen,
    async create(run) {
      if (isOpen) return;
      assertThere();
      const isNew = !existsSync(path);
      try {
        mkdirp(path);
        held ??= await holdDirectory(path);
        assertThere();
        // Another run may have created it since the first check.
        assertUsable(path, force, inputs);
        if (!isNew) assertRemovable(path);
      } catch (error) {
        throw error instanceof UserError ? error : unwritable(path, error);
      }
      const before = draftOf(eventsIn(path));
      try {
        for (const name of readdirSync(path)) if (isUnfinished(name)) remove(join(path, name));
        if (history !== null && existsSync(history)) copyEvents(history, before);
        // All but run.json: should this fail, --force still recognizes the directory.
        for (const name of RUN_FILES.slice(1)) remove(join(path, name));
        self.json('run.json', run);
        if (existsSync(before)) renameSync(before, eventsIn(path));
        events.open(eventsIn(path));
      } catch (error) {
        assertThere();
        for (const name of isNew ? ['.'] : ['run.json', EVENTS, basename(before)]) remove(join(path, name));
        throw unwritable(path, error);
      }
      isOpen = true;
    },
    event(event) {
      const timed = { time: new Date().toISOString(), ...event };
      if (isThere()) events.append(`${JSON.stringify(timed)}\n`);
      return timed;
    },
    json(name, value) {
      self.bytes(name, Buffer.from(`${JSON.stringify(value, null, 2)}\n`));
    },
    bytes(name, data) {
      assertThere();
      makeFolder(join(path, name, '..'));
      const file = createAtomicFile(join(path, name));
      file.write(data, 0);
      finishing(file);
      file.finish();
    },
    npy(name, dtype, shape, data) {
      assertThere();
      makeFolder(join(path, name, '..'));
      const file = createNpy(join(path, name), dtype, shape);
      file.write(data, 0);
      finishing(file);
      file.finish();
    },
    pieces(name, dtype, shape) {
      assertThere();
      const file = createNpy(join(path, name), dtype, shape);
      return {
        ...file,
        finish(finalShape) {
          finishing(file);
          file.finish(finalShape);
        },
      };
    },
    assertThere,
    displaced,
    id: () => held?.id ?? null,
    close() {
      events.close();
      const isUnused = reserved && !isOpen && isThere();
      held?.release();
      if (isUnused) removeEmpty(path, dirname(path));
    },
  };
  return self;
}

function removeEmpty(...folders: string[]): void {
  try {
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // Not empty.
  }
}

const unwritable = (path: string, error: unknown) => new UserError(`--out ${writeProblem(path, error)}`);

/** Removes the unfinished files of a process that was killed. */
function removeDrafts(path: string): void {
  for (const folder of FOLDERS.map((name) => join(path, name)).filter(isFolder))
    for (const name of readdirSync(folder)) if (isDraft(name)) remove(join(folder, name));
}
