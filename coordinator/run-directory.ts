import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { aside } from '../data/files.ts';
import { createNpy, type NpyWriter, writeNpy } from '../data/npy.ts';
import { UserError } from '../data/user-error.ts';
import type { Event } from './events.ts';

/** What a run leaves behind; docs/run-directory.md describes each file. Nothing is written before `create`. */
export interface RunDirectory {
  readonly path: string;
  create(): void;
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

/** `runs/<name of the data>`, with the first number behind it that is free. */
export function defaultRunPath(data: string): string {
  const name = basename(data).slice(0, -extname(data).length || undefined);
  for (let i = 1; ; i++) {
    const path = join('runs', i === 1 ? name : `${name}-${i}`);
    if (!existsSync(path)) return path;
  }
}

/** Throws a UserError if the directory has something in it and `force` is not set. */
export function openRunDirectory(path: string, force: boolean): RunDirectory {
  if (!force) assertFree(path);
  let created = false;
  const early: string[] = [];
  const events = join(path, 'events.jsonl');
  return {
    path,
    create() {
      // Another run may have taken the name since it was looked up.
      if (!force) assertFree(path);
      try {
        mkdirSync(path, { recursive: true });
        for (const name of OWN) rmSync(join(path, name), { recursive: true, force: true });
        appendFileSync(events, early.join(''));
      } catch (error) {
        throw new UserError(`--out ${path} cannot be written: ${(error as Error).message}`);
      }
      created = true;
    },
    event(event) {
      const line = `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`;
      if (created) appendFileSync(events, line);
      else early.push(line);
    },
    json(name, value) {
      this.bytes(name, Buffer.from(`${JSON.stringify(value, null, 2)}\n`));
    },
    bytes(name, data) {
      mkdirSync(join(path, name, '..'), { recursive: true });
      const file = aside(join(path, name));
      try {
        file.write(data, 0);
        file.finish();
      } catch (error) {
        file.abort();
        throw error;
      }
    },
    npy(name, dtype, shape, data) {
      mkdirSync(join(path, name, '..'), { recursive: true });
      writeNpy(join(path, name), dtype, shape, data);
    },
    pieces: (name, dtype, shape) => createNpy(join(path, name), dtype, shape),
  };
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
