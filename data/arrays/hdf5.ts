import type { Attribute, Dataset, File, Group } from 'h5wasm/node';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { elementCount } from '../../model/arrays.ts';
import { assertRoom, openCached } from '../cache.ts';
import { CHUNK_ELEMENTS, createNpy, openNpy, readAppendix } from '../npy.ts';
import { nearest, tellingNames } from '../value-range.ts';
import { type ContainedArray, type Container, memberPath } from './container.ts';

/** Matrices of AnnData (.h5ad) and other HDF5 files, which are decoded once, in slices, into a float32 .npy in the cache. */

const MAGIC = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
/** The HDF5 library's numbers of types. */
const NUMERIC_TYPES = { integer: 0, float: 1, enum: 8 };
const STRING_TYPE = 3;
/** Groups of AnnData in which an array is found by its name alone. */
const GROUPS = ['obsm', 'layers'];
/** Of any other file: groups in groups, and arrays, that are looked at. */
const MOST_DEPTH = 8;
const MOST_ARRAYS = 1000;
/** Bytes of a chunk of a file, which is unpacked as a whole, that are read at once. */
const MOST_CHUNK_BYTES = 1 << 26;
/** Numbers of a dense piece of a matrix by columns, of which each piece costs a pass over the elements. */
const MOST_BY_COLUMN = 1 << 24;
/** Columns that a message lists. */
const MOST_LISTED = 20;

/** Do these first bytes of a file have the magic number of HDF5? */
export const isHdf5 = (head: Uint8Array) => MAGIC.equals(head.subarray(0, MAGIC.length));

type Matrix = { shape: readonly number[] } & ({ dense: Dataset } | { sparse: SparseMatrix });

/** Opens an HDF5 file as a container. Rejects with a UserError if it is damaged or truncated. */
export async function openHdf5(path: string): Promise<Container> {
  const file = await openFile(path);
  try {
    return attempt(path, () => {
      const isAnnData = ['X', 'obs', 'var'].filter((name) => objectIn(file, name)).length >= 2;
      const names = isAnnData ? annDataNames(file) : namesBelow(file);
      const matrix = (name: string) => attempt(path, () => matrixIn(file, name));
      const groups = isAnnData ? GROUPS : [];
      return {
        path,
        names,
        ...(isAnnData && names.includes('X') && { usual: 'X' }),
        find: (name) =>
          [name.replace(/^\//, ''), ...groups.map((group) => `${group}/${name}`)].find(matrix) ?? null,
        shapeOf: async (name) => matrix(name)!.shape,
        open: (name) => openMatrix(path, file, name, matrix(name)!),
        close: () => close(file),
      };
    });
  } catch (error) {
    close(file);
    throw error;
  }
}

/** Opens a file, of which the library reads from the disk what it needs. UserError if it is damaged, or the library is missing. */
async function openFile(path: string): Promise<File> {
  const { File, ready } = await import('h5wasm/node').catch((error: Error) => {
    throw new UserError(
      `${path} is an HDF5 file, which the package h5wasm reads, and that cannot be loaded (${oneLine(error.message.split('\n')[0])}): install it with npm install h5wasm`,
    );
  });
  // Else errors are printed, and the result is nothing.
  (await ready).activate_throwing_error_handler();
  return attempt(path, () => new File(path, 'r'));
}

function close(file: File): void {
  try {
    file.close();
  } catch {
    // Of a damaged file, of which the error has been thrown.
  }
}

/** What `action` returns, which reads an HDF5 file; what the library throws is a UserError. */
function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw hdf5Error(path, error);
  }
}

function hdf5Error(path: string, error: unknown): unknown {
  if (error instanceof UserError || !(error instanceof Error) || error instanceof TypeError) return error;
  const [, filter] = /required filter '([\w-]+)' is not registered/.exec(error.message) ?? [];
  if (filter)
    return new UserError(`${path} is compressed with ${filter}: save it again with gzip, or uncompressed`);
  const causes = [...error.message.matchAll(/ in \w+\(\): (.*)/g)];
  const cause = causes.at(-1)?.[1] ?? error.message.split('\n')[0];
  return new UserError(oneLine(`${path} is damaged or truncated (HDF5: ${cause}): copy or save it again`));
}

const annDataNames = (file: File): string[] => [
  ...['X'].filter((name) => matrixIn(file, name)),
  ...GROUPS.flatMap((name) => {
    const group = groupIn(file, name);
    return group ? namesBelow(group, `${name}/`, MOST_DEPTH) : [];
  }),
];

/** The paths of all matrices in a group and the groups in it. */
function namesBelow(group: Group, prefix = '', depth = 0): string[] {
  const names: string[] = [];
  for (const key of group.keys()) {
    if (names.length >= MOST_ARRAYS) break;
    const below = depth < MOST_DEPTH ? groupIn(group, key) : null;
    if (matrixIn(group, key)) names.push(prefix + key);
    else if (below) names.push(...namesBelow(below, `${prefix}${key}/`, depth + 1));
  }
  return names;
}

function matrixIn(group: Group, name: string): Matrix | null {
  const dense = datasetIn(group, name);
  if (dense) return isNumeric(dense) && dense.shape ? { shape: dense.shape, dense } : null;
  const found = groupIn(group, name);
  const sparse = found && sparseIn(found);
  return sparse && { shape: sparse.shape, sparse };
}

async function openMatrix(path: string, file: File, name: string, matrix: Matrix): Promise<ContainedArray> {
  const label = memberPath(path, name);
  if ('dense' in matrix && matrix.dense.metadata.virtual_sources)
    throw new UserError(`${label} lies in other files (a virtual dataset): copy it into one file`);
  const { copy, ...array } = await openCached(
    path,
    `hdf5 ${name}`,
    (target) => decode(matrix, label, target, () => columnNames(file, name, matrix.shape)),
    (target) => openNpy(target, label),
  );
  const names = JSON.parse(readAppendix(array).toString());
  const isOfObs = ['X', ...GROUPS].includes(name.split('/')[0]);
  const index = isOfObs ? attempt(path, () => obsIndex(file, array.shape[0])) : null;
  if (index === null) return { file: array, copy, names };
  const title = index.startsWith('_') ? 'obs_names' : index;
  return { file: array, copy, names, rowNames: { title, texts: () => obsTexts(path, index) } };
}

const indexOf = (group: Group) => String(attribute(group, '_index') ?? '_index');

/** The names of the columns of X and its layers; null where they have none that tell them apart. */
function columnNames(file: File, name: string, shape: readonly number[]): readonly string[] | null {
  const variables = name === 'X' || name.startsWith('layers/') ? groupIn(file, 'var') : null;
  const index = variables && datasetIn(variables, indexOf(variables));
  if (index?.shape?.length !== 1 || index.shape[0] !== shape[1]) return null;
  return tellingNames(textsOf(index, 0, shape[1]).map(String));
}

async function decode(
  matrix: Matrix,
  label: string,
  target: string,
  names: () => readonly string[] | null,
): Promise<void> {
  const { shape } = matrix;
  const width = elementCount(shape.slice(1));
  assertRoom(target, label, 4 * elementCount(shape));
  const npy = createNpy(target, '<f4', shape, { mode: 0o600 });
  const pieces = 'dense' in matrix ? slicesOf(matrix.dense) : densePieces(matrix.sparse, label);
  try {
    // First: a damaged index is found before hours of rows.
    const appendix = Buffer.from(JSON.stringify(names()));
    for await (const { start, values } of pieces) npy.write(Float32Array.from(values), start * width);
    npy.finish(shape, appendix);
  } catch (error) {
    npy.abort();
    throw hdf5Error(label, error);
  }
}

/** Dense rows from `start` on, row-major. */
type Pieces = AsyncGenerator<{ start: number; values: ArrayLike<number> }>;

/** All rows of a dense matrix, in whole chunks of the file, as far as these are not huge. */
async function* slicesOf(dataset: Dataset): Pieces {
  const { shape, metadata } = dataset;
  const [rows, ...own] = shape!;
  const width = Math.max(1, elementCount(own));
  const most = Math.max(1, Math.floor((4 * CHUNK_ELEMENTS) / width));
  const chunk = metadata.chunks?.[0] ?? 1;
  const whole = chunk * Math.max(1, Math.floor(most / chunk));
  const step = chunk * width * metadata.size <= MOST_CHUNK_BYTES ? whole : most;
  if (!rows) return;
  for (const { from, to } of ranges(rows, step)) {
    await yieldToEventLoop();
    yield { start: from, values: numbersOf(dataset, [from, to], ...own.map((n): Range => [0, n])) };
  }
}

/**
 * A sparse matrix as AnnData writes it: a group of the non-zero elements, their columns (CSR) or rows (CSC), and where those of each row
 * or column begin.
 */
interface SparseMatrix {
  shape: readonly [rows: number, dim: number];
  /** CSR: elements are in the order of rows; else CSC. */
  byRow: boolean;
  data: Dataset;
  indices: Dataset;
  indptr: Dataset;
}

function sparseIn(group: Group): SparseMatrix | null {
  const shape = attribute(group, 'shape') ?? attribute(group, 'h5sparse_shape');
  const kind = String(attribute(group, 'encoding-type') ?? attribute(group, 'h5sparse_format'));
  const [data, indices, indptr] = ['data', 'indices', 'indptr'].map((name) => datasetIn(group, name));
  if (!data || !indices || !indptr || !Array.isArray(shape) || shape.length !== 2 || !isNumeric(data))
    return null;
  if (!/^cs[rc]/.test(kind)) return null;
  return { shape: shape as [number, number], byRow: kind.startsWith('csr'), data, indices, indptr };
}

/** All rows, in order, in pieces of bounded size. Rejects with a UserError if its parts do not fit each other. */
async function* densePieces({ shape, byRow, data, indices, indptr }: SparseMatrix, label: string): Pieces {
  const damaged = () =>
    new UserError(`${label} is a sparse matrix whose parts do not fit each other: save it again`);
  const [rows, dim] = shape;
  const [lines, width] = byRow ? shape : [dim, rows];
  const stored = data.shape?.[0];
  if (stored === undefined || indices.shape?.[0] !== stored || indptr.shape?.[0] !== lines + 1)
    throw damaged();
  const most = Math.max(1, Math.floor((byRow ? CHUNK_ELEMENTS * 4 : MOST_BY_COLUMN) / Math.max(1, dim)));
  for (const { from, to } of ranges(rows, most)) {
    const values = new Float32Array((to - from) * dim);
    const [first, last] = byRow ? [from, to] : [0, dim];
    const starts = numbersOf(indptr, [first, last + 1]);
    for (let i = 0; i < starts.length; i++)
      if (!(starts[i] >= (starts[i - 1] ?? 0) && starts[i] <= stored)) throw damaged();
    let line = 0;
    for (const piece of ranges(starts[last - first] - starts[0], CHUNK_ELEMENTS)) {
      await yieldToEventLoop();
      const range: Range = [starts[0] + piece.from, starts[0] + piece.to];
      if (range[0] === range[1]) continue;
      const elements = numbersOf(data, range);
      const others = numbersOf(indices, range);
      for (let i = 0; i < elements.length; i++) {
        while (starts[line + 1] <= range[0] + i) line++;
        if (!(others[i] >= 0 && others[i] < width)) throw damaged();
        const [row, column] = byRow ? [line, others[i]] : [others[i] - from, line];
        if (row >= 0 && row < to - from) values[row * dim + column] += elements[i];
      }
    }
    yield { start: from, values };
  }
}

/** A column of `obs` of an .h5ad file, or a list in another HDF5 file: the name of a class, or its number; '' where there is none. */
type Label = string | number;

/** Also columns of pandas that may be missing are in a group: of values, and whether they are missing. */
interface Column {
  values: Dataset;
  categories?: Label[];
  mask?: Dataset;
}

/** The labels of all rows, in order, slice by slice. Rejects with a UserError if there is no such column. */
export const obsLabels = (path: string, name: string | undefined): AsyncGenerator<Label[]> =>
  labelSlices(path, (file) => columnOf(path, file, name));

/** What names the rows of an AnnData, its obs_names: their column in `obs`; null if there are not so many. */
function obsIndex(file: File, rows: number): string | null {
  const obs = groupIn(file, 'obs');
  const name = obs && indexOf(obs);
  return name && columnIn(obs, name)?.values.shape?.join() === String(rows) ? name : null;
}

/** The texts of a column of `obs`, in order, slice by slice. */
async function* obsTexts(path: string, name: string): AsyncGenerator<string[]> {
  for await (const labels of labelSlices(path, (file) => columnIn(groupIn(file, 'obs')!, name)!))
    yield labels.map(String);
}

async function* labelSlices(path: string, find: (file: File) => Column): AsyncGenerator<Label[]> {
  const file = await openFile(path);
  try {
    const column = attempt(path, () => find(file));
    const [rows] = column.values.shape!;
    if (!rows) return;
    for (const { from, to } of ranges(rows, CHUNK_ELEMENTS)) {
      await yieldToEventLoop();
      yield attempt(path, () => labelsOf(column, from, to));
    }
  } finally {
    close(file);
  }
}

function columnOf(path: string, file: File, name: string | undefined): Column {
  const obs = groupIn(file, 'obs');
  const names = (obs ?? file).keys().filter((key) => !key.startsWith('_'));
  const listed = `${names.slice(0, MOST_LISTED).join(', ')}${names.length > MOST_LISTED ? ', …' : ''}`;
  const fail = (problem: string) => new UserError(oneLine(`${path}${problem}`));
  if (name === undefined)
    throw fail(` has several columns (${listed}): choose one, as in ${path}:${names[0] ?? 'NAME'}`);
  const column = (obs && columnIn(obs, name)) || columnIn(file, name);
  if (!column) {
    const similar = nearest(name, names).join(', ');
    throw fail(
      ` has no column ${name}${similar && ` (did you mean ${similar}?)`}; it has ${listed || 'none'}`,
    );
  }
  const dimensions = column.values.shape?.length;
  if (dimensions === 1) return column;
  throw fail(
    `:${name} has ${dimensions} dimensions, not one label per row: name a column of obs (${listed})`,
  );
}

function columnIn(group: Group, name: string): Column | null {
  const values = datasetIn(group, name);
  if (values) {
    // As AnnData wrote them before version 0.7.
    const categories = datasetIn(group, `__categories/${name}`);
    if (!isNumeric(values) && !isText(values)) return null;
    return { values, ...(categories && { categories: allOf(categories) }) };
  }
  const found = groupIn(group, name);
  const part = (own: string) => found && datasetIn(found, own);
  const [codes, categories, present, mask] = ['codes', 'categories', 'values', 'mask'].map(part);
  if (codes && categories) return { values: codes, categories: allOf(categories) };
  return present && mask ? { values: present, mask } : null;
}

const allOf = (dataset: Dataset): Label[] => partOf(dataset, 0, dataset.shape?.[0] ?? 0);

function partOf(dataset: Dataset, from: number, to: number): Label[] {
  if (isText(dataset)) return textsOf(dataset, from, to);
  return from < to ? Array.from(numbersOf(dataset, [from, to])) : [];
}

function labelsOf({ values, categories, mask }: Column, from: number, to: number): Label[] {
  const missing = mask && numbersOf(mask, [from, to]);
  return partOf(values, from, to).map((value, i) => {
    if (missing?.[i] || Number.isNaN(value)) return '';
    return categories ? (categories[value as number] ?? '') : value;
  });
}

/** The object of this name and type in a group; null if there is none, as where it is a link to another file. */
const objectOf = (type: string) => (group: Group, name: string) => {
  const found: object | null = name ? group.get(name) : null;
  return found && 'type' in found && found.type === type ? found : null;
};
const groupIn = objectOf('Group') as (group: Group, name: string) => Group | null;
const datasetIn = objectOf('Dataset') as (group: Group, name: string) => Dataset | null;
const objectIn = (group: Group, name: string) => groupIn(group, name) ?? datasetIn(group, name);

/** The value of an attribute, a list as numbers or text; undefined without it. */
function attribute({ attrs }: { attrs: Record<string, Attribute> }, name: string): unknown {
  const value = attrs[name]?.value;
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>, Number) : value;
}

/** Are its elements numbers or bools that can be read? */
const isNumeric = ({ metadata: { type, size } }: Dataset) =>
  Object.values(NUMERIC_TYPES).includes(type) && !(type === NUMERIC_TYPES.float && size < 4);

const isText = ({ metadata }: Dataset) => metadata.type === STRING_TYPE;

type Range = [from: number, to: number];

/** Elements of a dataset of numbers, by the ranges `from … to−1` of its first dimensions; 64-bit integers as float64. */
function numbersOf(dataset: Dataset, ...ranges: Range[]): ArrayLike<number> {
  const values = dataset.slice(ranges) as unknown as ArrayLike<number> | ArrayLike<bigint>;
  return typeof values[0] === 'bigint'
    ? Float64Array.from(values as ArrayLike<bigint>, Number)
    : (values as ArrayLike<number>);
}

/** Elements `from … to−1` of a one-dimensional dataset of text. */
const textsOf = (dataset: Dataset, from: number, to: number): string[] =>
  from < to ? (dataset.slice([[from, to]]) as string[]) : [];
