import type { Dataset, Group } from 'h5wasm/node';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { CHUNK_ELEMENTS } from '../npy.ts';
import { attribute, datasetIn, isNumeric, numbersOf } from './hdf5.ts';

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
