import { randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { aside, ioError, makeFolder, mkdirp, remove } from '../../base/files.ts';
import { type Files, realPath } from '../../base/same-file.ts';
import { UserError } from '../../base/user-error.ts';
import { createNpy, type NpyWriter, writeNpy } from '../../data/npy.ts';
import type { Event } from '../../view/events.ts';
import { createEventLog, EVENTS, eventsIn } from './event-log.ts';
import { lockDirectory } from './lock.ts';

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
  inputs?: Files;
  /** Hears why events cannot be written. */
  warn?: (message: string) => void;
  /** A file of events to begin with. */
  history?: string | null;
}

const OWN = [
  'run.json',
  EVENTS,
  'labels.npy',
  'responsibilities.npy',
  'model',
  'mixture',
  'checkpoints',
  'report',
];
const FOLDERS = ['.', 'model', 'mixture', 'checkpoints', 'report'];
const DRAFT = /\.\d+\.[0-9a-f]{8}\.tmp$/;

/** `runs/<name of the data>`, with the first number behind it that is free. */
export function defaultRunPath(data: string): string {
  const name = basename(data).slice(0, -extname(data).length || undefined);
  for (let i = 1; ; i++) {
    const path = join('runs', i === 1 ? name : `${name}-${i}`);
    if (!existsSync(path)) return path;
  }
}

/**
 * The directory of a new run. UserError if it has something in it and `force` is not set, or is not of a run, or holds
 * what this run reads; if it cannot be made, or is in use.
 */
export async function openRunDirectory(
  path: string,
  { force = false, inputs = {}, warn = () => {}, history = null }: RunDirectoryOptions = {},
): Promise<RunDirectory> {
  assertUsable(path, force, inputs);
  assertWritable(path);
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
  const elsewhere = (error: unknown) =>
    new UserError(`${(error as Error).message.replace(/^--out /, '')}; --out ELSEWHERE goes on there`);
  try {
    assertWritable(path);
  } catch (error) {
    throw elsewhere(error);
  }
  assertNoLinks(path);
  const unlock = await lockDirectory(path);
  try {
    removeDrafts(path);
    return runDirectory(path, { open: true, unlock, force: false, inputs: {}, warn, history: null });
  } catch (error) {
    // A disk that went read-only after an error may still call itself writable.
    unlock();
    throw elsewhere(unwritable(path, error));
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
      const before = `${eventsIn(path)}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
      try {
        if (history !== null && existsSync(history)) copyFileSync(history, before);
        // While there is a run.json, --force may come again.
        for (const name of OWN.slice(1)) remove(join(path, name));
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
      const file = aside(join(path, name));
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

function unwritable(path: string, error: unknown): UserError {
  const { message } = ioError(path, 'written', error) as Error;
  return new UserError(
    `--out ${message.startsWith(path) ? message : `${path} cannot be written: ${message}`}`,
  );
}

/** Looks at the nearest folder above that is there; nothing is made yet. */
function assertWritable(path: string): void {
  let folder = resolve(path);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    if (!statSync(folder).isDirectory())
      throw new UserError(`--out ${path} cannot be written: ${folder} is not a directory`);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw error instanceof UserError ? error : unwritable(path, error);
  }
}

function assertUsable(path: string, force: boolean, inputs: Files): void {
  if (!force) assertFree(path);
  if (!force || !isFolder(path)) return;
  const found = OWN.filter((name) => lstatSync(join(path, name), { throwIfNoEntry: false }));
  if (found.length && !isRun(path))
    throw new UserError(
      `--out ${path} is not the directory of a run (it has no run.json of dpmesh), and --force would remove ${found.join(', ')} there; choose another`,
    );
  for (const [flag, file] of Object.entries(inputs)) {
    const name = file && ownNameOf(path, file);
    if (name)
      throw new UserError(
        `${flag} ${file} is among what --force would remove (${join(path, name)}); choose another --out`,
      );
  }
}

function isRun(path: string): boolean {
  try {
    return typeof JSON.parse(readFileSync(join(path, 'run.json'), 'utf8')).dpmesh === 'string';
  } catch {
    return false;
  }
}

/** The file or folder of a run that `file` is, or lies in. */
function ownNameOf(run: string, file: string): string | undefined {
  const real = realPath(file);
  return OWN.find((name) => {
    const own = realPath(join(run, name));
    return real === own || real.startsWith(own + sep);
  });
}

/** UserError where one of these files, to be written, is one of the run's own. */
export function assertNotOfRun(run: string, outputs: Files): void {
  for (const [flag, path] of Object.entries(outputs))
    if (path && ownNameOf(run, path))
      throw new UserError(`${flag} ${path} is a file of the run itself: write to another one`);
}

function assertFree(path: string): void {
  if (!existsSync(path)) return;
  let found: string[];
  try {
    found = readdirSync(path);
  } catch {
    throw new UserError(`--out ${path} is not a directory`);
  }
  if (found.length)
    throw new UserError(`--out ${path} exists already; choose another or overwrite it with --force`);
}

/** What is written must lie in the directory itself: one that came from elsewhere may have links to any file. */
function assertNoLinks(path: string): void {
  for (const name of OWN) {
    const file = join(path, name);
    if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new UserError(
        `${file} is a symbolic link, which a run does not write through: put a copy in its place, or --out ELSEWHERE`,
      );
  }
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** What a killed process had begun to write. */
function removeDrafts(path: string): void {
  for (const folder of FOLDERS.map((name) => join(path, name)).filter(isFolder))
    for (const name of readdirSync(folder)) if (DRAFT.test(name)) remove(join(folder, name));
}
