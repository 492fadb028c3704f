import type { Attribute, Dataset, File, Group } from 'h5wasm/node';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { CHUNK_ELEMENTS } from '../npy.ts';

/** HDF5 files: the library that reads them, an optional dependency, and what it tells of them. */

const MAGIC = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');

/** Do these first bytes of a file have the magic number of HDF5? */
export const isHdf5 = (head: Uint8Array) => MAGIC.equals(head.subarray(0, MAGIC.length));

/** The HDF5 library's numbers of types. */
const NUMERIC_TYPES = { integer: 0, float: 1, enum: 8 };
const STRING_TYPE = 3;

/**
 * Opens an HDF5 file, of which the library reads from the disk what it needs. Rejects with a UserError if it is damaged, or the
 * library is missing.
 */
export async function openHdf5(path: string): Promise<File> {
  const { File, ready } = await import('h5wasm/node').catch((error: Error) => {
    throw new UserError(
      `${path} is an HDF5 file, which the package h5wasm reads, and that cannot be loaded (${oneLine(error.message.split('\n')[0])}): install it with npm install h5wasm`,
    );
  });
  // Else errors are printed, and the result is nothing.
  (await ready).activate_throwing_error_handler();
  return attemptHdf5(path, () => new File(path, 'r'));
}

/** What `action` returns, which reads an HDF5 file; what the library throws is a UserError. */
export function attemptHdf5<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw hdf5Error(path, error);
  }
}

export function closeHdf5(file: File): void {
  try {
    file.close();
  } catch {
    // Of a damaged file, of which the error has been thrown.
  }
}

/** What the library throws as a UserError. */
export function hdf5Error(path: string, error: unknown): unknown {
  if (error instanceof UserError || !(error instanceof Error) || error instanceof TypeError) return error;
  const [, filter] = /required filter '([\w-]+)' is not registered/.exec(error.message) ?? [];
  if (filter)
    return new UserError(`${path} is compressed with ${filter}: save it again with gzip, or uncompressed`);
  const causes = [...error.message.matchAll(/ in \w+\(\): (.*)/g)];
  const cause = causes.at(-1)?.[1] ?? error.message.split('\n')[0];
  return new UserError(oneLine(`${path} is damaged or truncated (HDF5: ${cause}): copy or save it again`));
}

/** The object of this name in a group; null if there is none, or a link to another file. */
export function objectIn(group: Group, name: string): Dataset | Group | null {
  const found = name ? group.get(name) : null;
  return found && (isGroup(found) || isDataset(found)) ? found : null;
}

const isOfType = (object: object, type: string) => 'type' in object && object.type === type;
export const isGroup = (object: object): object is Group => isOfType(object, 'Group');
export const isDataset = (object: object): object is Dataset => isOfType(object, 'Dataset');

/** The dataset of this name in a group; null if there is none. */
export function datasetIn(group: Group, name: string): Dataset | null {
  const found = objectIn(group, name);
  return found && isDataset(found) ? found : null;
}

/** The value of an attribute, a list as numbers or text; undefined without it. */
export function attribute({ attrs }: { attrs: Record<string, Attribute> }, name: string): unknown {
  const value = attrs[name]?.value;
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>, Number) : value;
}

/** Are its elements numbers or bools that can be read? */
export const isNumeric = ({ metadata: { type, size } }: Dataset) =>
  Object.values(NUMERIC_TYPES).includes(type) && !(type === NUMERIC_TYPES.float && size < 4);

export const isText = ({ metadata }: Dataset) => metadata.type === STRING_TYPE;

type Numbers = ArrayLike<number> | ArrayLike<bigint>;

/** Elements of a dataset of numbers, by the ranges `from … to−1` of its first dimensions; 64-bit integers as float64. */
export function numbersOf(dataset: Dataset, ...ranges: [from: number, to: number][]): ArrayLike<number> {
  const values = dataset.slice(ranges) as unknown as Numbers;
  return typeof values[0] === 'bigint'
    ? Float64Array.from(values as ArrayLike<bigint>, Number)
    : (values as ArrayLike<number>);
}

/** Elements `from … to−1` of a one-dimensional dataset of text. */
export const textsOf = (dataset: Dataset, from: number, to: number): string[] =>
  from < to ? (dataset.slice([[from, to]]) as string[]) : [];

/** Sparse matrices as AnnData writes them: a group of the non-zero elements, their columns (CSR) or rows (CSC), and where those of each row or column begin. */

export interface SparseMatrix {
  shape: readonly [rows: number, dim: number];
  /** CSR: elements are in the order of rows; else CSC. */
  byRow: boolean;
  data: Dataset;
  indices: Dataset;
  indptr: Dataset;
}

/** Numbers of a dense piece of a matrix by columns, of which each piece costs a pass over the elements. */
const MOST_BY_COLUMN = 1 << 24;

/** The matrix in a group; null if it is none. */
export function sparseIn(group: Group): SparseMatrix | null {
  const shape = attribute(group, 'shape') ?? attribute(group, 'h5sparse_shape');
  const kind = String(attribute(group, 'encoding-type') ?? attribute(group, 'h5sparse_format'));
  const [data, indices, indptr] = ['data', 'indices', 'indptr'].map((name) => datasetIn(group, name));
  if (!data || !indices || !indptr || !Array.isArray(shape) || shape.length !== 2 || !isNumeric(data))
    return null;
  if (!/^cs[rc]/.test(kind)) return null;
  return { shape: shape as [number, number], byRow: kind.startsWith('csr'), data, indices, indptr };
}

/** Dense rows from `start` on, row-major. */
export interface DensePiece {
  start: number;
  values: Float32Array;
}

/** All rows, in order, in pieces of bounded size. Rejects with a UserError if its parts do not fit each other. `label`: its name in messages. */
export async function* densePieces(matrix: SparseMatrix, label: string): AsyncGenerator<DensePiece> {
  const { shape, byRow, data, indices, indptr } = matrix;
  const [rows, dim] = shape;
  const stored = data.shape?.[0];
  const sound =
    stored !== undefined && indices.shape?.[0] === stored && indptr.shape?.[0] === shape[byRow ? 0 : 1] + 1;
  if (!sound) throw damaged(label);
  const most = Math.max(1, Math.floor((byRow ? CHUNK_ELEMENTS * 4 : MOST_BY_COLUMN) / Math.max(1, dim)));
  for (const { from, to } of ranges(rows, most)) {
    const values = new Float32Array((to - from) * dim);
    const [first, last] = byRow ? [from, to] : [0, dim];
    const starts = numbersOf(indptr, [first, last + 1]);
    assertOrder(label, starts, stored);
    let line = 0;
    for (const piece of ranges(starts[last - first] - starts[0], CHUNK_ELEMENTS)) {
      await yieldToEventLoop();
      const range: [number, number] = [starts[0] + piece.from, starts[0] + piece.to];
      if (range[0] === range[1]) continue;
      const elements = numbersOf(data, range);
      const others = numbersOf(indices, range);
      for (let i = 0; i < elements.length; i++) {
        while (starts[line + 1] <= range[0] + i) line++;
        const row = byRow ? line : others[i] - from;
        const column = byRow ? others[i] : line;
        if (!(others[i] >= 0 && others[i] < shape[byRow ? 1 : 0])) throw damaged(label);
        if (row >= 0 && row < to - from) values[row * dim + column] += elements[i];
      }
    }
    yield { start: from, values };
  }
}

function assertOrder(label: string, starts: ArrayLike<number>, stored: number): void {
  for (let i = 0; i < starts.length; i++)
    if (!(starts[i] >= (starts[i - 1] ?? 0) && starts[i] <= stored)) throw damaged(label);
}

const damaged = (label: string) =>
  new UserError(`${label} is a sparse matrix whose parts do not fit each other: save it again`);
