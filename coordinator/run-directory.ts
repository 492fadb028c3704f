import { accessSync, constants, existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { aside, ioError, makeFolder, mkdirp, remove } from '../data/files.ts';
import { createNpy, type NpyWriter, writeNpy } from '../data/npy.ts';
import { UserError } from '../data/user-error.ts';
import { createEventLog } from './event-log.ts';
import type { Event } from './events.ts';
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
  /** Hears why events cannot be written. */
  warn?: (message: string) => void;
  /** Lines of events to begin with. */
  history?: string;
}

const OWN = [
  'run.json',
  'events.jsonl',
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
 * The directory of a new run. UserError if it has something in it and `force` is not set, cannot be made, or is in use.
 */
export async function openRunDirectory(
  path: string,
  { force = false, warn = () => {}, history = '' }: RunDirectoryOptions = {},
): Promise<RunDirectory> {
  if (!force) assertFree(path);
  assertWritable(path);
  const unlock = existsSync(path) ? await lockDirectory(path) : null;
  return runDirectory(path, { open: false, unlock, force, warn, history });
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
    return runDirectory(path, { open: true, unlock, force: false, warn, history: '' });
  } catch (error) {
    // A disk that went read-only after an error may still call itself writable.
    unlock();
    throw elsewhere(unwritable(path, error));
  }
}

/** The whole lines of a run's events. */
export function historyOf(path: string): string {
  const events = join(path, 'events.jsonl');
  if (!existsSync(events)) return '';
  const text = readFileSync(events, 'utf8');
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

interface Opening extends Required<RunDirectoryOptions> {
  open: boolean;
  unlock: (() => void) | null;
}

function runDirectory(path: string, { open, unlock, force, warn, history }: Opening): RunDirectory {
  let isOpen = open;
  let release = unlock;
  const said = new Set<string>();
  const events = createEventLog((error) => {
    const { message } = error as Error;
    if (said.has(message)) return;
    said.add(message);
    warn(`${message}; events wait in memory until they can be written`);
  });
  if (history) events.append(history);
  if (open) events.open(join(path, 'events.jsonl'));

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
        if (!force) assertFree(path);
      } catch (error) {
        throw error instanceof UserError ? error : unwritable(path, error);
      }
      try {
        for (const name of OWN) remove(join(path, name));
        self.json('run.json', run);
        events.open(join(path, 'events.jsonl'));
      } catch (error) {
        for (const name of isNew ? ['.'] : ['run.json', 'events.jsonl']) remove(join(path, name));
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
    },
  };
  return self;
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
