import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createAtomicFile, draftOf, isDraft, makeFolder, mkdirp, remove } from '../../base/files.ts';
import type { FilesByFlag } from '../../base/same-file.ts';
import { UserError } from '../../base/user-error.ts';
import { createNpy, type NpyWriter, writeNpy } from '../../data/npy.ts';
import type { Event } from '../../view/events.ts';
import { createEventLog, EVENTS, eventsIn } from './event-log.ts';
import { lockDirectory } from './lock.ts';
import {
  assertNoLinks,
  assertUsable,
  defaultRunPath,
  isFolder,
  RUN_FILES,
  whyUnwritable,
  writeProblem,
} from './run-path.ts';

/** What a run leaves behind; docs/run-directory.md describes each file. A new one is not there before `create`. */
export interface RunDirectory {
  readonly path: string;
  /** It is there, and this process's own. */
  isOpen(): boolean;
  /** Makes the directory, with `run.json` in it. Does nothing where it is open. */
  create(run: unknown): Promise<void>;
  /** Appends an event with its time; those from before `create` are kept until then. */
  event(event: Event): void;
  json(name: string, value: unknown): void;
  npy(
    name: string,
    dtype: '<f8' | '<f4' | '<i4',
    shape: number[],
    data: Float64Array | Float32Array | Int32Array,
  ): void;
  /** An npy to be written in pieces. */
  pieces(name: string, dtype: '<f4' | '<i4', shape: number[]): NpyWriter<Float32Array | Int32Array>;
  bytes(name: string, data: Uint8Array): void;
  /** Lets another process have it. */
  close(): void;
}

export interface RunDirectoryOptions {
  /** Remove what another run left there. */
  force?: boolean;
  /** What the run reads: never removed. */
  inputs?: FilesByFlag;
  /** Hears why events cannot be written. */
  warn?: (message: string) => void;
  /** A file of events to begin with. */
  history?: string | null;
}

/** Where files of a run are written. */
const FOLDERS = ['.', 'model', 'mixture', 'checkpoints', 'report'];

/**
 * The directory of a new run. UserError if it has something in it and `force` is not set, or is not of a run, or holds
 * what this run reads; if it cannot be made, or is in use.
 */
export async function openRunDirectory(
  path: string,
  { force = false, inputs = {}, warn = () => {}, history = null }: RunDirectoryOptions = {},
): Promise<RunDirectory> {
  assertUsable(path, force, inputs);
  const problem = whyUnwritable(path);
  if (problem) throw new UserError(`--out ${problem}`);
  const unlock = existsSync(path) ? await lockDirectory(path) : null;
  return runDirectory(path, { open: false, unlock, force, inputs, warn, history });
}

/**
 * The directory of a new run that was given none: the first free name, taken at once, so that a run that begins at the
 * same time takes the next one. It is gone again if nothing comes into it.
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
    const unlock = await lockDirectory(path);
    return runDirectory(path, { open: false, unlock, force: false, taken: true, inputs: {}, warn, history });
  }
}

/** The directory of a run that goes on. UserError if it cannot be written, is in use, or leads elsewhere by links. */
export async function reopenRunDirectory(
  path: string,
  { warn = () => {} }: Pick<RunDirectoryOptions, 'warn'> = {},
): Promise<RunDirectory> {
  const elsewhere = (problem: string) => new UserError(`${problem}; --out ELSEWHERE goes on there`);
  const problem = whyUnwritable(path);
  if (problem) throw elsewhere(problem);
  assertNoLinks(path);
  const unlock = await lockDirectory(path);
  try {
    removeDrafts(path);
    return runDirectory(path, { open: true, unlock, force: false, inputs: {}, warn, history: null });
  } catch (error) {
    // A disk that went read-only after an error may still call itself writable.
    unlock();
    throw elsewhere(writeProblem(path, error));
  }
}

interface Opening extends Required<RunDirectoryOptions> {
  open: boolean;
  /** Made to hold the name. */
  taken?: boolean;
  unlock: (() => void) | null;
}

function runDirectory(
  path: string,
  { open, taken, unlock, force, inputs, warn, history }: Opening,
): RunDirectory {
  let isOpen = open;
  let release = unlock;
  const said = new Set<string>();
  const events = createEventLog((error) => {
    const { message } = error as Error;
    if (said.has(message)) return;
    said.add(message);
    warn(`${message}; events wait in memory until they can be written`);
  });
  if (open) events.open(eventsIn(path));

  const self: RunDirectory = {
    path,
    isOpen: () => isOpen,
    async create(run) {
      if (isOpen) return;
      const isNew = !existsSync(path);
      try {
        mkdirp(path);
        release ??= await lockDirectory(path);
        // Another run may have taken the name since it was looked up.
        assertUsable(path, force, inputs);
      } catch (error) {
        throw error instanceof UserError ? error : unwritable(path, error);
      }
      const before = draftOf(eventsIn(path));
      try {
        if (history !== null && existsSync(history)) copyFileSync(history, before);
        // While there is a run.json, --force may come again.
        for (const name of RUN_FILES.slice(1)) remove(join(path, name));
        self.json('run.json', run);
        if (existsSync(before)) renameSync(before, eventsIn(path));
        events.open(eventsIn(path));
      } catch (error) {
        for (const name of isNew ? ['.'] : ['run.json', EVENTS, basename(before)]) remove(join(path, name));
        throw unwritable(path, error);
      }
      isOpen = true;
    },
    event: (event) => events.append(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`),
    json(name, value) {
      self.bytes(name, Buffer.from(`${JSON.stringify(value, null, 2)}\n`));
    },
    bytes(name, data) {
      makeFolder(join(path, name, '..'));
      const file = createAtomicFile(join(path, name));
      file.write(data, 0);
      file.finish();
    },
    npy(name, dtype, shape, data) {
      makeFolder(join(path, name, '..'));
      writeNpy(join(path, name), dtype, shape, data);
    },
    pieces: (name, dtype, shape) => createNpy(join(path, name), dtype, shape),
    close() {
      events.close();
      release?.();
      release = null;
      if (taken && !isOpen) removeEmpty(path, dirname(path));
    },
  };
  return self;
}

function removeEmpty(...folders: string[]): void {
  try {
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // Something else is in it.
  }
}

const unwritable = (path: string, error: unknown) => new UserError(`--out ${writeProblem(path, error)}`);

/** What a killed process had begun to write. */
function removeDrafts(path: string): void {
  for (const folder of FOLDERS.map((name) => join(path, name)).filter(isFolder))
    for (const name of readdirSync(folder)) if (isDraft(name)) remove(join(folder, name));
}
