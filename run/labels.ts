import { basename, dirname, join } from 'node:path';
import { readFully } from '../base/files.ts';
import { withoutEnd } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { decode } from '../data/arrays/dtype.ts';
import { isContainer, openArray } from '../data/arrays/formats.ts';
import { openIdx, openIdxGz } from '../data/idx.ts';
import { areInData, type LabelledRows, type Labels, parseLabelSpec } from '../data/label-spec.ts';
import { type ArrayFile, assertNumeric, CHUNK_ELEMENTS, closeArray, openNpy, tuple } from '../data/npy.ts';
import { formatOf, tableFileAt } from '../data/open.ts';
import type { CopyOptions } from '../data/remote/local-copy.ts';
import { atPlace } from '../data/remote/place.ts';
import { LABELS } from '../data/row-parts.ts';
import { isHeader } from '../data/tables/csv-table.ts';
import type { TableFile } from '../data/tables/formats.ts';
import { withReader } from '../data/tables/open-table.ts';
import { columnIn } from '../data/tables/select-columns.ts';
import { firstNames, fromZero, type Table } from '../data/tables/table.ts';
import { ANY_DIALECT, type TextDialect } from '../data/tables/table-options.ts';
import { isFinished, notFinished, ofOneRun, placeOf, savedRun } from './finished-run.ts';
import { runFiles } from './run-files.ts';

/** True classes from the files that people have them in: arrays, tables, folders of images. Scores are computed elsewhere. */

const MAX_CLASSES = 1 << 20;

interface LabelOptions extends CopyOptions {
  /** How a text table is written. */
  dialect?: TextDialect;
}

/**
 * The labels in the file that `spec` names: an .npy of shape (N,) or (N, 1) of numbers, bools or strings, a one-dimensional
 * IDX file, an array of an .npz or .safetensors (`file.npz:name`), a column of `obs` of an .h5ad (`file.h5ad:name`), or a table.
 * Of a table, `file.csv:column` chooses a column by its name in the header or its number from 1; by default it is the only column,
 * or the one called label, class, target or y. For a folder of images, the labels are the names of their sub-folders. Rejects
 * with a UserError if the file is invalid.
 */
export async function readLabels(
  spec: string,
  rows: LabelledRows = {},
  { dialect = ANY_DIALECT, ...options }: LabelOptions = {},
): Promise<Labels> {
  const { path, column } = parseLabelSpec(spec);
  if (column === '')
    throw new UserError(`${spec} has no column after the colon: write ${path}:NAME or ${path}:NUMBER`);
  return atPlace(path, { ...options, whole: true }, (place) => labelsAt(place, column, rows, dialect));
}

async function labelsAt(
  given: string,
  column: string | undefined,
  { images, dropped }: LabelledRows,
  dialect: TextDialect,
): Promise<Labels> {
  const folder = dirname(given);
  const at = basename(given) === LABELS ? placeOf(folder) : folder;
  const path = at === folder ? given : join(at, LABELS);
  const table = images ? null : await tableFileAt(path);
  if (table) return tableLabels(table, column, new Set(dropped), dialect);
  const format = formatOf(path);
  if (format === 'hdf5') {
    const { obsLabels } = await import('../data/arrays/hdf5.ts');
    const encoder = createLabelEncoder(path);
    for await (const labels of obsLabels(path, column))
      for (const label of labels) encoder.add(label, String);
    return encoder.finish();
  }
  if (isContainer(format)) {
    const how = 'its name after the file, as in FILE:NAME';
    return arrayLabels((await openArray(format, path, { name: column ?? null, kind: 'labels', how })).file);
  }
  if (column !== undefined)
    throw new UserError(`${path} has no columns to choose from: leave out ":${column}"`);
  if (format === 'folder') {
    const { folderLabels, readImageFolder } = await import('../data/images/folder.ts');
    const encoder = createLabelEncoder(path);
    for (const label of folderLabels(path, images ?? readImageFolder(path).names)) encoder.add(label, String);
    return encoder.finish();
  }
  if (basename(path) === LABELS) return arrayLabels(openOfRun(path));
  return arrayLabels(
    format === 'npy' ? openNpy(path) : format === 'idx' ? openIdx(path) : await openIdxGz(path),
  );
}

/** Opens a file of this name. UserError if it is of a run, and that is not finished, or has written another one. */
const openOfRun = (path: string): ArrayFile =>
  ofOneRun(dirname(path), (run) => {
    const about = savedRun(run);
    if (about && !isFinished(about)) throw notFinished(run);
    const file = openNpy(path);
    try {
      if (about) runFiles(run, about.files).assertIntact(LABELS);
      return file;
    } catch (error) {
      closeArray(file);
      throw error;
    }
  });

/** The name or number of the column of the table `data` that a `spec` of `readLabels` refers to; null for another file. */
export async function labelColumnIn(
  spec: string,
  data: string,
  { dialect = ANY_DIALECT, ...options }: LabelOptions = {},
): Promise<string | null> {
  const { column } = parseLabelSpec(spec);
  const file = areInData(spec, data) ? await atPlace(data, options, tableFileAt) : null;
  if (!file) return null;
  return withReader(file, { isHeaderRow: headerTestFor(column), dialect }, async (table) => {
    const index = labelColumn(table, column);
    return (table.isNamed && table.columns[index].name) || String(index + 1);
  });
}

/** Closes the file. */
function arrayLabels(file: ArrayFile): Labels {
  const { path, shape, dtype } = file;
  const [rows] = shape;
  try {
    if (!(shape.length === 1 || (shape.length === 2 && shape[1] === 1)))
      throw new UserError(
        `${path} has shape ${tuple(shape)}, not one label per row: save an array of shape (rows,); for one-hot rows x.argmax(1)`,
      );
    if (!rows)
      throw new UserError(`${path} has no labels (its shape is ${tuple(shape)}): save it again with labels`);
    const isString = dtype.kind === 'U' || dtype.kind === 'S';
    if (isString && !dtype.size)
      throw new UserError(`${path} has only empty strings: save it again with labels`);
    if (!isString) assertNumeric(file);
    const encoder = createLabelEncoder(path, rows);
    const elements = Math.max(1, Math.floor((CHUNK_ELEMENTS * 8) / dtype.size));
    const scratch = new Uint8Array(Math.min(rows, elements) * dtype.size);
    for (let at = 0; at < rows; at += elements) {
      const bytes = scratch.subarray(0, Math.min(elements, rows - at) * dtype.size);
      readFully(file, bytes, file.offset + at * dtype.size);
      if (isString) addStrings(encoder, Buffer.from(bytes.buffer, 0, bytes.length), file);
      else addNumbers(encoder, bytes, file);
    }
    return encoder.finish();
  } finally {
    closeArray(file);
  }
}

function addNumbers({ add }: LabelEncoder, bytes: Uint8Array<ArrayBuffer>, { dtype }: ArrayFile): void {
  const values = decode(bytes, dtype);
  const Exact = dtype.kind === 'i' ? BigInt64Array : BigUint64Array;
  const wide = dtype.size === 8 && dtype.kind !== 'f' ? new Exact(bytes.buffer, 0, values.length) : undefined;
  const name = dtype.kind === 'b' ? (key: LabelKey) => (key ? 'true' : 'false') : String;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isNaN(value)) add('', () => '');
    else add(wide && !Number.isSafeInteger(value) ? String(wide[i]) : value, name);
  }
}

function addStrings({ add }: LabelEncoder, bytes: Buffer, { dtype }: ArrayFile): void {
  const name = (key: LabelKey) => text(Buffer.from(key as string, 'latin1'), dtype.kind, dtype.order);
  for (let at = 0; at < bytes.length; at += dtype.size)
    add(bytes.toString('latin1', at, at + dtype.size), name);
}

/** A fixed-width NumPy string without its padding zeros. */
function text(bytes: Buffer, kind: string, order: string): string {
  if (kind === 'S') return withoutEnd(bytes.toString('utf8'), PADDING);
  if (order === '>') bytes.swap32();
  const points = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
  const padded = points.map((point) => String.fromCodePoint(point > 0x10ffff ? 0xfffd : point)).join('');
  return withoutEnd(padded, PADDING);
}

const PADDING = /\0/;

async function tableLabels(
  file: TableFile,
  column: string | undefined,
  dropped: ReadonlySet<number>,
  dialect: TextDialect,
): Promise<Labels> {
  return withReader(file, { isHeaderRow: headerTestFor(column), dialect }, async (table) => {
    const encoder = createLabelEncoder(file.path);
    const index = labelColumn(table, column);
    let start = 0;
    for await (const { rows, texts, rowName } of table.read({ numbers: [], texts: [index] })) {
      for (const [i, text] of texts[0].entries())
        if (!dropped.has(start + i))
          encoder.add(text?.trim() ?? '', String, () => rowName?.(i) ?? fromZero(start + i));
      start += rows;
    }
    return encoder.finish();
  });
}

type LabelKey = string | number;

interface LabelEncoder {
  /** Adds the label of the next row. `name` gives the class name of a new key; `where` says which row it is, for people. */
  add(key: LabelKey, name: (key: LabelKey) => string, where?: () => string): void;
  finish(): Labels;
}

/** Assigns codes in order of appearance and, at the end, renumbers them in order of name. */
function createLabelEncoder(path: string, rows = 1024): LabelEncoder {
  const codeOf = new Map<LabelKey, number>();
  const names: string[] = [];
  let codes = new Int32Array(rows);
  let count = 0;
  const addClass = (key: LabelKey, name: string, where = () => fromZero(count)) => {
    if (name === '') throw new UserError(`${path} ${where()} has no label: give every row a label`);
    if (names.length === MAX_CLASSES)
      throw new UserError(
        `${path} has more than ${MAX_CLASSES} different labels: check that it is a file of labels`,
      );
    codeOf.set(key, names.length);
    return names.push(name) - 1;
  };
  return {
    add(key, name, where) {
      const code = codeOf.get(key) ?? addClass(key, name(key), where);
      if (count === codes.length) {
        const longer = new Int32Array(2 * count);
        longer.set(codes);
        codes = longer;
      }
      codes[count++] = code;
    },
    finish() {
      if (!count) throw new UserError(`${path} has no labels: save it again with labels`);
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

const LABEL_NAMES = ['label', 'labels', 'class', 'target', 'y'];
const MAX_LISTED = 20;

/** `y` alone does not make a row a header: it may be a label, as in y/n. */
const isLabelName = (name: string) => name !== 'y' && LABEL_NAMES.includes(name.toLowerCase());

/**
 * A header test for a table from which a column is chosen by name. A first row that contains the name is a header; without
 * a name, so is one with a usual name of a label column.
 */
function headerTestFor(column: string | undefined): typeof isHeader {
  return (first, second) =>
    isHeader(first, second) ||
    (column === undefined
      ? first.some((name, i) => isLabelName(name) && name !== second?.[i])
      : first.includes(column));
}

/**
 * The index of the column of labels: that with this name, or number from 1. By default it is the only column, or the one called label,
 * class, target or y. Throws a UserError if there is no such column.
 */
function labelColumn(table: Table, column: string | undefined): number {
  if (column !== undefined) return columnIn(table, column, '--labels');
  const { path, isNamed, columns } = table;
  if (columns.length === 1) return 0;
  const names = isNamed ? columns.map(({ name }) => name) : null;
  const lower = names?.map((name) => name.toLowerCase()) ?? [];
  const usual = LABEL_NAMES.find((name) => lower.includes(name));
  if (usual !== undefined) return lower.indexOf(usual);
  const listed = names ? firstNames(names, MAX_LISTED) : 'without names';
  throw new UserError(
    `${path} has ${columns.length} columns (${listed}), but none is called label, class, target or y: choose one by name, or by number from 1, as in ${path}:1`,
  );
}
