import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { UserError } from '../../base/user-error.ts';

/** A temporary folder for one test file, which also has its cache; removed afterwards. */
export function scratchFolder(): { folder: string; put(name: string, content: Uint8Array | string): string } {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-test-'));
  process.env.DPMESH_CACHE = join(folder, 'cache');
  after(() => rmSync(folder, { recursive: true, force: true }));
  return {
    folder,
    put(name, content) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
      return path;
    },
  };
}

/** Files written by NumPy itself: see make_fixtures.py. */
export const fixtures = JSON.parse(readFileSync(new URL('fixtures.json', import.meta.url), 'utf8')) as {
  tables: Record<string, { npy: string; shape: number[]; values: number[] }>;
  arrays: Record<string, { npy: string; shape: number[]; values: number[] }>;
  strings: Record<string, { npy: string; values: string[] }>;
  refused: Record<string, string>;
  saved: string;
};

export const bytesOf = (base64: string) => Buffer.from(base64, 'base64');

const PUT = {
  f4: [4, 'setFloat32'],
  f8: [8, 'setFloat64'],
  i1: [1, 'setInt8'],
  i2: [2, 'setInt16'],
  i4: [4, 'setInt32'],
  i8: [8, 'setBigInt64'],
  u1: [1, 'setUint8'],
  u2: [2, 'setUint16'],
  u4: [4, 'setUint32'],
  u8: [8, 'setBigUint64'],
  b1: [1, 'setUint8'],
} as const;

export const ELEMENT_TYPES = Object.keys(PUT) as (keyof typeof PUT)[];
export type ElementType = keyof typeof PUT;

/** The range of integers of each type that float64 represents exactly. */
export const limits: Record<string, [number, number]> = {
  b1: [0, 1],
  i1: [-128, 127],
  i2: [-32768, 32767],
  i4: [-(2 ** 31), 2 ** 31 - 1],
  i8: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  u1: [0, 255],
  u2: [0, 65535],
  u4: [0, 2 ** 32 - 1],
  u8: [0, Number.MAX_SAFE_INTEGER],
};

/** Numbers as bytes, written one by one with a DataView: independent of the code under test. */
export function elements(type: ElementType, values: number[], big = false): Buffer {
  const [size, set] = PUT[type];
  const view = new DataView(new ArrayBuffer(size * values.length));
  for (const [i, value] of values.entries()) {
    if (set === 'setBigInt64' || set === 'setBigUint64') view[set](i * size, BigInt(value), !big);
    else view[set](i * size, value, !big);
  }
  return Buffer.from(view.buffer);
}

export function npyFile(
  descr: string,
  shape: number[],
  body: Uint8Array,
  { fortran = false, version = 1 } = {},
): Buffer {
  const list = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${list}), }\n`;
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(text.length);
  else length.writeUInt32LE(text.length);
  return Buffer.concat([
    Buffer.from([0x93]),
    Buffer.from('NUMPY'),
    Buffer.from([version, 0]),
    length,
    Buffer.from(text),
    body,
  ]);
}

export function idxFile(type: number, shape: number[], body: Uint8Array): Buffer {
  const sizes = Buffer.alloc(4 * shape.length);
  for (const [axis, size] of shape.entries()) sizes.writeUInt32BE(size, 4 * axis);
  return Buffer.concat([Buffer.from([0, 0, type, shape.length]), sizes, body]);
}

/** Row-major values in the order of a Fortran-order file. */
export const columnMajor = (values: number[], rows: number, dim: number) =>
  Array.from({ length: rows * dim }, (_, i) => values[(i % rows) * dim + Math.floor(i / rows)]);

export const isRoot = process.getuid?.() === 0;

/** Runs as a user without special permissions: root drops its own meanwhile. */
export async function asNobody(action: () => unknown): Promise<void> {
  if (isRoot) process.seteuid!(65534);
  try {
    await action();
  } finally {
    if (isRoot) process.seteuid!(0);
  }
}

/** Asserts that the function throws, or its promise rejects, with a UserError of one line that contains all these parts. */
export async function refuses(action: () => unknown, ...parts: string[]): Promise<void> {
  await assert.rejects(
    async () => action(),
    (error: Error) => {
      assert.ok(error instanceof UserError, String(error.stack));
      assert.ok(!error.message.includes('\n'), error.message);
      for (const part of parts) assert.ok(error.message.includes(part), `"${error.message}" lacks "${part}"`);
      return true;
    },
  );
}
