import { type Covariance, statisticsLength } from '../../../model/statistics.ts';
import type { Cell } from '../../../proto/tasks.ts';
import { instantiate } from './compiled.ts';

/** Statistics of rows by leaf, rows being added as they come. One at a time: the next one begins anew. */
export interface Scatter {
  /** Rows [n,d] and the leaf of each, −1 for none. */
  add(rows: Float32Array, leaf: Int32Array): void;
  /** T about its pivot of each leaf [leaves,P]. */
  read(): Float64Array;
}

/** Passes over rows [n,d]; all sums in float64, in the order of the rows. */
export interface RowKernel {
  /** `pivots` [leaves,d]. */
  scatter(pivots: Float64Array, d: number, covariance: Covariance): Scatter;
  /** Number and sum of each leaf's rows. */
  sums(rows: Float32Array, d: number, leaf: Int32Array, leaves: number): { n: Float64Array; s: Float64Array };
  /** −1 for each row with a value that is NaN or larger than `limit`, else 0; the others go into the extremes. */
  screen(
    rows: Float32Array,
    d: number,
    limit: number,
    extremes: { min: Float64Array; max: Float64Array },
  ): Int32Array;
  /** The leaf of each row, by the cell of its group (of the first, without groups); −1 for none. `vectors` [·,d]. */
  leaves(
    rows: Float32Array,
    d: number,
    cells: Cell[],
    vectors: Float64Array,
    group: Int32Array | null,
  ): Int32Array;
}

type Values = Float32Array | Float64Array | Int32Array;

export function rowKernel(): RowKernel {
  const { calls, buffer, place, top, restart } = instantiate<'scatter' | 'sums' | 'screen' | 'leaves'>();
  /** What lies below is a scatter's. */
  let floor = top();

  const put = (values: Values) => {
    const at = place(values.byteLength);
    const Kind = values.constructor as new (buffer: ArrayBuffer, at: number, length: number) => Values;
    new Kind(buffer(), at, values.length).set(values);
    return at;
  };
  const zeros = (bytes: number) => {
    const at = place(bytes);
    new Uint8Array(buffer(), at, bytes).fill(0);
    return at;
  };
  const doubles = (at: number, length: number) => new Float64Array(buffer(), at, length).slice();
  const whole = (at: number, length: number) => new Int32Array(buffer(), at, length).slice();

  return {
    scatter(pivots, d, covariance) {
      const p = statisticsLength(d, covariance);
      const length = (pivots.length / d) * p;
      restart();
      const at = { pivots: put(pivots), T: zeros(8 * length), centred: place(8 * d) };
      floor = top();
      return {
        add(rows, leaf) {
          restart(floor);
          const [x, which] = [put(rows), put(leaf)];
          calls.scatter(x, leaf.length, d, which, at.pivots, +(covariance === 'diag'), at.T, p, at.centred);
        },
        read: () => doubles(at.T, length),
      };
    },
    sums(rows, d, leaf, leaves) {
      restart(floor);
      const [x, which, n, s] = [put(rows), put(leaf), zeros(8 * leaves), zeros(8 * leaves * d)];
      calls.sums(x, leaf.length, d, which, n, s);
      return { n: doubles(n, leaves), s: doubles(s, leaves * d) };
    },
    screen(rows, d, limit, { min, max }) {
      restart(floor);
      const n = rows.length / d;
      const [x, least, most, leaf] = [put(rows), put(min), put(max), place(4 * n)];
      calls.screen(x, n, d, limit, least, most, leaf);
      min.set(doubles(least, d));
      max.set(doubles(most, d));
      return whole(leaf, n);
    },
    leaves(rows, d, cells, vectors, group) {
      restart(floor);
      const n = rows.length / d;
      const { roots, nodes, thresholds } = flattened(cells);
      const x = put(rows);
      const groups = group ? put(group) : 0;
      const tree = [put(roots), put(nodes), put(vectors), put(thresholds)];
      const leaf = place(4 * n);
      calls.leaves(x, n, d, groups, ...tree, leaf);
      return whole(leaf, n);
    },
  };
}

/** Cells as the kernel reads them (rows.ts): words and thresholds. */
function flattened(cells: Cell[]) {
  const nodes: number[] = [];
  const thresholds: number[] = [];
  const wordOf = (cell: Cell): number => {
    if (typeof cell === 'number') return -1 - cell;
    const at = nodes.length;
    if ('near' in cell) nodes.push(cell.near.length, ...cell.near);
    else nodes.push(0, cell.axis, thresholds.push(cell.at) - 1);
    const children = nodes.length;
    for (const _ of cell.into) nodes.push(0);
    for (const [i, child] of cell.into.entries()) nodes[children + i] = wordOf(child);
    return at + 1;
  };
  const roots = Int32Array.from(cells, wordOf);
  return { roots, nodes: Int32Array.from(nodes), thresholds: Float64Array.from(thresholds) };
}
