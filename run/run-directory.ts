import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { draftOf, isAbandoned } from '../base/drafts.ts';
import {
  type AtomicFile,
  createAtomicFile,
  type FilesByFlag,
  ioError,
  makeFolder,
  mkdirp,
  remove,
} from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { createNpy } from '../data/npy.ts';
import { copyEvents, createEventLog } from './event-log.ts';
import type { RunEvent, TimedEvent } from './events.ts';
import { type FileHashes, MOST_JSON, MOST_RUN_JSON, readRunJson, sha256Of } from './run-files.ts';
import {
  type DirectoryId,
  Displaced,
  displacedRun,
  type HeldDirectory,
  holdDirectory,
  linkedAway,
} from './run-lock.ts';
import {
  assertNoLinks,
  assertRemovable,
  assertUsable,
  defaultRunPath,
  eventsIn,
  FOLDERS,
  isFolder,
  isUnfinished,
  linkIn,
  RUN_FILES,
  whyUnwritable,
  writeProblem,
} from './run-path.ts';

/** A run's output directory: created, locked, filled atomically, or what is there is replaced. Names and bytes of single files are the business of others. */

/** A run's output directory; docs/run-directory.md describes each file. A new one does not exist before `create`. */
export type RunDirectory = ReturnType<typeof runDirectory>;

type NpyType = '<f8' | '<f4' | '<i4' | '|b1';
type NpyValues = Float64Array | Float32Array | Int32Array | Uint8Array;

/** A file of the run that is written from its start to its end. */
export type StreamedFile = ReturnType<RunDirectory['stream']>;

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

interface DefaultDirectoryOptions extends Pick<RunDirectoryOptions, 'warn' | 'history'> {
  /** The folder that it is made in. */
  runs?: string;
}

/**
 * The directory of a new run without `--out`: the first free name. It is created at once, so that another run that starts at
 * the same time gets the next name, and removed again on close if it was never used.
 */
export async function openDefaultRunDirectory(
  data: string,
  { runs, warn = () => {}, history = null }: DefaultDirectoryOptions = {},
): Promise<RunDirectory> {
  for (;;) {
    const path = defaultRunPath(data, runs);
    try {
      mkdirp(dirname(path));
      mkdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && isFolder(path)) continue;
      throw unwritable(path, error);
    }
    const held = await holdDirectory(path);
    return runDirectory(path, { ...NEW, held, reserved: true, warn, history });
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
    if (!held.isThere()) throw displacedRun(path);
    removeDrafts(path);
    finishReplacing(path, warn);
    return runDirectory(path, { ...NEW, open: true, held, warn, history: null });
  } catch (error) {
    held.release();
    if (error instanceof Displaced) throw error;
    // A file system that became read-only after an error may still report itself as writable.
    throw elsewhere(writeProblem(path, error));
  }
}

const NEW = { open: false, force: false, inputs: {} };

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
) {
  let isOpen = open;
  let isClosed = false;
  const hashes: FileHashes = {};
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

  /** Is the directory where it was? Once it is not, it is never again. */
  function isThere(): boolean {
    if (!lost && held && !held.isThere()) stopFor(displacedRun(path));
    return !lost;
  }
  function stopFor(reason: Displaced): void {
    lost = reason;
    lose(reason);
  }
  /**
   * Throws Displaced if the path leads to another folder than this run's, or to none, or if a file or folder of the run has
   * become a link. So do all that write here: before they begin, so that nothing is made there, and before a file gets its
   * name. For a file that was begun in this folder there is nothing to rename in another. Events are dropped then. After
   * `close`, when another process may have the directory, it throws too.
   */
  function assertThere(): void {
    if (isClosed) throw new Error(`${path} is closed`);
    // Before this run has begun there, what it is to replace may be links.
    const link = isThere() && isOpen ? linkIn(path) : undefined;
    if (link) stopFor(linkedAway(link, path));
    if (lost) throw lost;
  }
  /** Gives a complete file its name. */
  function finishing(name: string, file: { finish(): void; abort(): void }, sha256: string): void {
    try {
      assertThere();
    } catch (error) {
      file.abort();
      throw error;
    }
    file.finish();
    if (name !== 'run.json') hashes[name] = sha256;
  }

  const self = {
    path,
    /** It exists and is locked by this process. */
    isOpen: () => isOpen,
    /** Creates the directory with `run.json` in it. Does nothing if it is open. */
    async create(run: unknown): Promise<void> {
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
      const log = draftOf(eventsIn(path));
      // At the end it gets the result.
      const begun = jsonBytes('run.json', run, MOST_RUN_JSON / 2);
      const files: AtomicFile[] = [];
      const runFile = (content: Uint8Array) => {
        const file = createAtomicFile(join(path, 'run.json'));
        files.push(file);
        file.write(content, 0);
        return file;
      };
      try {
        for (const name of readdirSync(path))
          if (isUnfinished(name) && isAbandoned(name)) remove(join(path, name));
        if (history !== null && existsSync(history)) copyEvents(history, log);
        else closeSync(openSync(log, 'wx'));
        const unfinished = runFile(begun);
        if (filesOfRun(path).length) {
          // From one rename to the other: the earlier run whole, or this one, which can be resumed.
          runFile(jsonBytes('run.json', { ...(run as object), replaces: true })).finish();
          removeEarlier(path, warn);
        }
        unfinished.finish();
        renameSync(log, eventsIn(path));
        events.open(eventsIn(path));
      } catch (error) {
        assertThere();
        try {
          for (const file of files) file.abort();
          remove(isNew ? path : log);
        } catch {
          // Of the two problems, the first is the one to end with.
        }
        throw unwritable(path, error);
      }
      isOpen = true;
    },
    /** Appends an event and returns it with its time. Events from before `create` are buffered until then. */
    event(event: RunEvent): TimedEvent {
      const timed = { time: new Date().toISOString(), ...event };
      if (isThere()) events.append(`${JSON.stringify(timed)}\n`);
      return timed;
    },
    json(name: string, value: unknown): void {
      self.bytes(name, jsonBytes(name, value));
    },
    bytes(name: string, data: Uint8Array): void {
      assertThere();
      makeFolder(join(path, name, '..'));
      const file = createAtomicFile(join(path, name));
      file.write(data, 0);
      finishing(name, file, createHash('sha256').update(data).digest('hex'));
    },
    /** Removes a file that was written here. */
    remove(name: string): void {
      assertThere();
      remove(join(path, name));
      delete hashes[name];
    },
    /** Starts a file that is written from its start to its end. */
    stream(name: string) {
      assertThere();
      makeFolder(join(path, name, '..'));
      const file = createAtomicFile(join(path, name));
      const hash = createHash('sha256');
      let at = 0;
      return {
        write(bytes: Uint8Array): void {
          file.write(bytes, at);
          hash.update(bytes);
          at += bytes.length;
        },
        /** Makes it durable under its name. */
        finish: () => finishing(name, file, hash.digest('hex')),
        /** Removes an incomplete file. */
        abort: file.abort,
      };
    },
    async npy(name: string, dtype: NpyType, shape: number[], data: NpyValues): Promise<void> {
      const file = self.pieces(name, dtype, shape);
      file.write(data, 0);
      await file.finish();
    },
    /** Starts an npy file that is written in pieces. */
    pieces(name: string, dtype: NpyType, shape: number[]) {
      assertThere();
      makeFolder(join(path, name, '..'));
      const file = createNpy(join(path, name), dtype, shape);
      // Hashes the file and makes it durable under its name.
      return { ...file, finish: async () => finishing(name, file, await file.sha256()) };
    },
    /** Counts a file that an earlier session wrote among those of this one. */
    adopt(name: string): void {
      hashes[name] = sha256Of(join(path, name), path);
    },
    /** SHA-256 of all files that were written here, but run.json, as they were written. */
    hashes: () => ({ ...hashes }),
    assertThere,
    /** Rejects with Displaced as soon as that is found. */
    displaced,
    /** Which folder it is; null before `create`, where it was not there. */
    id: (): DirectoryId | null => held?.id ?? null,
    /** Releases the lock. */
    close(): void {
      isClosed = true;
      events.close();
      const isUnused = reserved && !isOpen && isThere();
      held?.release();
      if (isUnused) removeEmpty(path, dirname(path));
    },
  };
  return self;
}

const filesOfRun = (path: string) =>
  RUN_FILES.filter((name) => lstatSync(join(path, name), { throwIfNoEntry: false }));

/** Removes the files of the run that the one of run.json has replaced. A warning names what cannot be removed. */
function removeEarlier(path: string, warn: (message: string) => void): void {
  // A folder in use can be renamed, though not removed.
  const aside = draftOf(join(path, 'run.json'));
  mkdirSync(aside);
  for (const name of filesOfRun(path).filter((name) => name !== 'run.json'))
    renameSync(join(path, name), join(aside, name));
  try {
    remove(aside);
  } catch (error) {
    warn(`files of the earlier run are left: ${(ioError(aside, 'removed', error) as Error).message}`);
  }
}

/** Goes on with what a run did that was killed as it took the place of an earlier one. */
function finishReplacing(path: string, warn: (message: string) => void): void {
  const { replaces, ...run } = readRunJson(path) as Record<string, unknown>;
  if (!replaces) return;
  removeEarlier(path, warn);
  const file = createAtomicFile(join(path, 'run.json'));
  file.write(jsonBytes('run.json', run), 0);
  file.finish();
  warn(`${path}: the run was stopped before it had removed the one that it replaces: that is done now`);
}

/** Of a file of this name. UserError where it would be longer than what is read again. */
function jsonBytes(name: string, value: unknown, most = MOST_JSON): Buffer {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  if (bytes.length > most)
    throw new UserError(
      `${name} of the run would have ${bytes.length} bytes, more than the supported ${most}: its data have too many files, columns or names, or too long ones`,
    );
  return bytes;
}

function removeEmpty(...folders: string[]): void {
  try {
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // Not empty.
  }
}

const unwritable = (path: string, error: unknown) =>
  new UserError(`--out ${writeProblem(path, error)}`, { cause: ioError(path, 'written', error) });

/** Removes the unfinished files of processes that were killed. Others may be at work: `plot` needs no lock. */
function removeDrafts(path: string): void {
  const isOwn = (folder: string) => lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  for (const folder of [path, ...FOLDERS.map((name) => join(path, name)).filter(isOwn)])
    for (const name of readdirSync(folder)) if (isAbandoned(name)) remove(join(folder, name));
}
