import { closeSync, existsSync } from 'node:fs';
import { readFully } from '../base/files.ts';
import { realPath } from '../base/same-file.ts';
import { UserError } from '../base/user-error.ts';
import { chooseColumn, headedFor, tableHead } from './columns.ts';
import { eachCsvRow } from './csv-rows.ts';
import { openIdx, openIdxGz } from './idx.ts';
import { type ArrayFile, assertNumeric, decode, openNpy, PIECE, tuple } from './npy.ts';
import { formatOf, isCsvName } from './open.ts';

/** Row i is of class `names[codes[i]]`. Names are sorted: as numbers if all are, else by code unit. */
export interface Labels {
  codes: Int32Array;
  names: string[];
}

const MOST_CLASSES = 1 << 20;

/**
 * The labels in `spec`: a one-dimensional .npy (or N × 1) of numbers, bools or strings, a one-dimensional IDX
 * file, or a text table, where `file.csv:column` names the column by its name in the header or its number from 1.
 * Without `:column` it is the only one, or the one called label, class, target or y. Faults are UserErrors.
 */
export async function readLabels(spec: string): Promise<Labels> {
  const { path, column } = parseSpec(spec);
  if (column === '')
    throw new UserError(`${spec} names no column behind the colon: ${path}:NAME, or its number`);
  const format = formatOf(path);
  if (format === 'csv') return csvLabels(path, column);
  if (column !== undefined)
    throw new UserError(`${path} has no columns to choose from: leave out ":${column}"`);
  const file = format === 'npy' ? openNpy(path) : format === 'idx' ? openIdx(path) : await openIdxGz(path);
  try {
    return arrayLabels(file);
  } finally {
    closeSync(file.fd);
  }
}

/** The path of the file that `spec` of `readLabels` is in. */
export const fileOfLabels = (spec: string): string => parseSpec(spec).path;

/** The column of a text table `data` that `spec` of `readLabels` names, by name or number; null if it is not in there. */
export async function labelsWithin(spec: string, data: string): Promise<string | null> {
  const { path, column } = parseSpec(spec);
  if (realPath(path) !== realPath(data) || formatOf(data) !== 'csv') return null;
  const table = await tableHead(path, column);
  const index = chooseColumn(path, table, column);
  return table.names?.[index] || String(index + 1);
}

/** A file of the whole name goes before a column after its last colon. */
function parseSpec(spec: string): { path: string; column?: string } {
  const [, path, column] = /^(.+):([^:/]*)$/.exec(spec) ?? [];
  if (path === undefined || existsSync(spec)) return { path: spec };
  return existsSync(path) || isCsvName(path) ? { path, column } : { path: spec };
}

function arrayLabels(file: ArrayFile): Labels {
  const { path, shape, dtype } = file;
  const [rows] = shape;
  if (!(shape.length === 1 || (shape.length === 2 && shape[1] === 1)))
    throw new UserError(
      `${path} has shape ${tuple(shape)}, not one label a row: save (rows,), of one-hot rows x.argmax(1)`,
    );
  if (!rows)
    throw new UserError(`${path} has no labels (its shape is ${tuple(shape)}): save it again with some`);
  const isString = dtype.kind === 'U' || dtype.kind === 'S';
  if (isString && !dtype.size) throw new UserError(`${path} holds only empty strings: save it with labels`);
  if (!isString) assertNumeric(file);
  const coder = createCoder(path, rows);
  const elements = Math.max(1, Math.floor((PIECE * 8) / dtype.size));
  const scratch = new Uint8Array(Math.min(rows, elements) * dtype.size);
  for (let at = 0; at < rows; at += elements) {
    const bytes = scratch.subarray(0, Math.min(elements, rows - at) * dtype.size);
    readFully(file, bytes, file.offset + at * dtype.size);
    if (isString) addStrings(coder, Buffer.from(bytes.buffer, 0, bytes.length), file);
    else addNumbers(coder, bytes, file);
  }
  return coder.finish();
}

function addNumbers({ add }: Coder, bytes: Uint8Array<ArrayBuffer>, { dtype }: ArrayFile): void {
  const values = decode(bytes, dtype);
  const Exact = dtype.kind === 'i' ? BigInt64Array : BigUint64Array;
  const wide = dtype.size === 8 && dtype.kind !== 'f' ? new Exact(bytes.buffer, 0, values.length) : undefined;
  const name = dtype.kind === 'b' ? (key: Key) => (key ? 'true' : 'false') : String;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isNaN(value)) add('', () => '');
    else add(wide && !Number.isSafeInteger(value) ? String(wide[i]) : value, name);
  }
}

function addStrings({ add }: Coder, bytes: Buffer, { dtype }: ArrayFile): void {
  const name = (key: Key) => text(Buffer.from(key as string, 'latin1'), dtype.kind, dtype.order);
  for (let at = 0; at < bytes.length; at += dtype.size)
    add(bytes.toString('latin1', at, at + dtype.size), name);
}

/** A fixed-width NumPy string, without the zeros that fill it up. */
function text(bytes: Buffer, kind: string, order: string): string {
  if (kind === 'S') return bytes.toString('utf8').replace(/\0+$/, '');
  const points = Array.from({ length: bytes.length / 4 }, (_, i) =>
    order === '>' ? bytes.readUInt32BE(4 * i) : bytes.readUInt32LE(4 * i),
  );
  return points
    .map((point) => String.fromCodePoint(point > 0x10ffff ? 0xfffd : point))
    .join('')
    .replace(/\0+$/, '');
}

async function csvLabels(path: string, column: string | undefined): Promise<Labels> {
  const coder = createCoder(path);
  await eachCsvRow(
    path,
    (table) => {
      const index = chooseColumn(path, table, column);
      return (fields, line) => coder.add(fields[index], String, line);
    },
    headedFor(column),
  );
  return coder.finish();
}

type Key = string | number;

interface Coder {
  /** The next row's label; `name` spells it for people when it is new. `line` is for messages. */
  add(key: Key, name: (key: Key) => string, line?: number): void;
  finish(): Labels;
}

/** Numbers labels in order of appearance, and at the end in order of name. */
function createCoder(path: string, rows = 1024): Coder {
  const seen = new Map<Key, number>();
  const names: string[] = [];
  let codes = new Int32Array(rows);
  let count = 0;
  const learn = (key: Key, name: string, line?: number) => {
    const where = line === undefined ? `row ${count}, from 0,` : `line ${line}`;
    if (name === '') throw new UserError(`${path} ${where} has no label: every row needs one`);
    if (names.length === MOST_CLASSES)
      throw new UserError(`${path} has over ${MOST_CLASSES} different labels: is it a file of labels?`);
    seen.set(key, names.length);
    return names.push(name) - 1;
  };
  return {
    add(key, name, line) {
      const code = seen.get(key) ?? learn(key, name(key), line);
      if (count === codes.length) {
        const longer = new Int32Array(2 * count);
        longer.set(codes);
        codes = longer;
      }
      codes[count++] = code;
    },
    finish() {
      if (!count) throw new UserError(`${path} has no labels: save it again with some`);
      const order = sortedOrder(names);
      const rank = new Int32Array(order.length);
      order.forEach((code, i) => {
        rank[code] = i;
      });
      const ranked = count === codes.length ? codes : codes.slice(0, count);
      for (let i = 0; i < count; i++) ranked[i] = rank[ranked[i]];
      return { codes: ranked, names: order.map((code) => names[code]) };
    },
  };
}

function sortedOrder(names: string[]): number[] {
  const numeric = names.every((name) => !Number.isNaN(Number(name)));
  const byText = (a: number, b: number) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : 0);
  const byNumber = (a: number, b: number) => Number(names[a]) - Number(names[b]) || byText(a, b);
  return names.map((_, code) => code).sort(numeric ? byNumber : byText);
}
