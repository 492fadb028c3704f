import type { Cell } from '../../../model/cells.ts';
import { type Covariance, statisticsLength } from '../../../model/statistics.ts';
import { instantiate, padded } from './compiled.ts';

/** Passes over rows as calls of compiled kernels, on copies in their memory. Sums are float64, in the order of the rows; model/statistics.ts defines them. */

type KernelArray = Float32Array | Float64Array | Int32Array;

/**
 * Passes over rows [n,d]; all sums in float64, in the order of the rows (`softScatter`: four rows of a cluster at a time within each
 * `add`, so how many rows that gets changes the last bits). Of the accumulators that `scatter` and `softScatter` return only the latest
 * one is valid.
 */
export function rowKernel() {
  const { calls, buffer, allocate, top, reset } = instantiate<
    'scatter' | 'countAtLeast' | 'softScatter' | 'sums' | 'screen' | 'leaves' | 'project'
  >();
  /** Memory below belongs to the accumulator. */
  let floor = top();

  const copyIn = (values: KernelArray) => {
    const at = allocate(values.byteLength);
    const Kind = values.constructor as new (buffer: ArrayBuffer, at: number, length: number) => KernelArray;
    new Kind(buffer(), at, values.length).set(values);
    return at;
  };
  const zeros = (bytes: number) => {
    const at = allocate(bytes);
    new Uint8Array(buffer(), at, bytes).fill(0);
    return at;
  };
  const float64At = (at: number, length: number) => new Float64Array(buffer(), at, length).slice();
  const int32At = (at: number, length: number) => new Int32Array(buffer(), at, length).slice();

  return {
    /** Statistics of rows by leaf, T [leaves,P], about `pivots` [leaves,d]. */
    scatter(pivots: Float64Array, d: number, covariance: Covariance) {
      const p = statisticsLength(d, covariance);
      const length = (pivots.length / d) * p;
      reset();
      const at = { pivots: copyIn(pivots), T: zeros(8 * length), centred: allocate(8 * d) };
      floor = top();
      return {
        /** Rows [n,d] and the leaf of each, −1 for none. */
        add(rows: Float32Array, leaf: Int32Array): void {
          reset(floor);
          const [x, which] = [copyIn(rows), copyIn(leaf)];
          calls.scatter(x, leaf.length, d, which, at.pivots, +(covariance === 'diag'), at.T, p, at.centred);
        },
        read: () => float64At(at.T, length),
      };
    },
    /** Soft statistics of rows, T [k,P], about `pivots` [k,d]. */
    softScatter(pivots: Float64Array, d: number, covariance: Covariance) {
      const p = statisticsLength(d, covariance);
      const k = pivots.length / d;
      reset();
      const at = {
        pivots: copyIn(pivots),
        T: zeros(8 * k * p),
        starts: allocate(4 * (k + 1)),
        next: allocate(4 * k),
        work: allocate(4 * 8 * (d + 1)),
      };
      floor = top();
      return {
        /** Rows [n,d] and their responsibilities [n,k], of which those below `least` do not count. */
        add(rows: Float32Array, responsibilities: Float32Array, least: number): void {
          reset(floor);
          const n = rows.length / d;
          const [x, r] = [copyIn(rows), copyIn(responsibilities)];
          const entries = calls.countAtLeast(r, n, k, least, at.starts);
          const [index, weight] = [allocate(4 * entries), allocate(4 * entries)];
          const list = [at.starts, at.next, index, weight];
          const isDiagonal = +(covariance === 'diag');
          calls.softScatter(x, n, d, r, k, least, ...list, at.pivots, isDiagonal, at.T, p, at.work);
        },
        read: () => float64At(at.T, k * p),
      };
    },
    /** Number and sum of each leaf's rows. */
    sums(rows: Float32Array, d: number, leaf: Int32Array, leaves: number) {
      reset(floor);
      const [x, which, n, s] = [copyIn(rows), copyIn(leaf), zeros(8 * leaves), zeros(8 * leaves * d)];
      calls.sums(x, leaf.length, d, which, n, s);
      return { n: float64At(n, leaves), s: float64At(s, leaves * d) };
    },
    /** −1 for each row with a value that is NaN or larger than `limit` in magnitude, else 0. Other rows update the extremes. */
    screen(rows: Float32Array, d: number, limit: number, { min, max }: Record<'min' | 'max', Float64Array>) {
      reset(floor);
      const n = rows.length / d;
      const [x, least, most, leaf] = [copyIn(rows), copyIn(min), copyIn(max), allocate(4 * n)];
      calls.screen(x, n, d, limit, least, most, leaf);
      min.set(float64At(least, d));
      max.set(float64At(most, d));
      return int32At(leaf, n);
    },
    /** The leaf of each row by the cell of its group (of the first group, if `group` is null); −1 for none. `vectors` [·,d]. */
    leaves(rows: Float32Array, d: number, cells: Cell[], vectors: Float64Array, group: Int32Array | null) {
      reset(floor);
      const n = rows.length / d;
      const { roots, nodes, thresholds } = flattened(cells);
      const x = copyIn(rows);
      const groups = group ? copyIn(group) : 0;
      const tree = [copyIn(roots), copyIn(nodes), copyIn(vectors), copyIn(thresholds)];
      const leaf = allocate(4 * n);
      calls.leaves(x, n, d, groups, ...tree, leaf);
      return int32At(leaf, n);
    },
    /** Projections of each row with a leaf onto the axes [leaves,axes,d] of that leaf, [n,axes]; those of others are undefined. */
    project(rows: Float32Array, d: number, leaf: Int32Array, axes: Float64Array, leaves: number) {
      reset(floor);
      const count = axes.length / d / leaves;
      const length = leaf.length * count;
      const [x, which, all, out] = [copyIn(rows), copyIn(leaf), copyIn(axes), allocate(8 * length)];
      calls.project(x, leaf.length, d, which, all, count, out);
      return float64At(out, length);
    },
  };
}

/** Cells as words and thresholds, the format of `leaves` in assembly/rows.ts. */
function flattened(cells: Cell[]) {
  const nodes: number[] = [];
  const thresholds: number[] = [];
  const wordOf = (cell: Cell): number => {
    if (typeof cell === 'number') return -1 - cell;
    const at = nodes.length;
    if ('near' in cell) nodes.push(cell.near.length, ...cell.near);
    else if ('linear' in cell) {
      nodes.push(-cell.linear.length, thresholds.length, ...cell.linear);
      thresholds.push(...cell.offsets);
    } else nodes.push(0, cell.axis, thresholds.push(cell.at) - 1);
    const children = nodes.length;
    for (const _ of cell.into) nodes.push(0);
    for (const [i, child] of cell.into.entries()) nodes[children + i] = wordOf(child);
    return at + 1;
  };
  const roots = Int32Array.from(cells, wordOf);
  return { roots, nodes: Int32Array.from(nodes), thresholds: Float64Array.from(thresholds) };
}

/** Rows that are whitened at a time, and most columns; the same as in assembly/density.ts. */
const [BLOCK, PANEL] = [64, 8];

/**
 * Log-densities of k components by whitening: out [n,k] from x [n,d], weights [d,k·d], bias [k·d] and constants [k]. Weights that
 * would be below the diagonal of a component's d columns count as 0. Sums over whitened coordinates are in float64.
 */
export function densityKernel() {
  const { calls, buffer, allocate, reset } = instantiate<'logDensity'>();
  return (
    x: Float32Array,
    weights: Float32Array,
    bias: Float32Array,
    constant: Float32Array,
    out: Float32Array,
  ): void => {
    const k = constant.length;
    const d = bias.length / k;
    const panels = panelsOf(d);
    const size = panels.reduce((sum, { rows, width }) => sum + rows * width, 0);
    reset();
    const at = {
      x: allocate(4 * x.length),
      weights: allocate(4 * k * size),
      bias: allocate(4 * k * padded(d)),
      constant: allocate(4 * k),
      out: allocate(4 * out.length),
      work: allocate(BLOCK * (4 * PANEL + 16 + 4 * k)),
    };
    const view = new Float32Array(buffer());
    view.set(x, at.x >>> 2);
    view.set(constant, at.constant >>> 2);
    let to = at.weights >>> 2;
    for (let j = 0; j < k; j++) {
      const ownBias = (at.bias >>> 2) + j * padded(d);
      view.fill(0, ownBias + d, ownBias + padded(d));
      view.set(bias.subarray(j * d, (j + 1) * d), ownBias);
      for (const { from, width, rows } of panels)
        for (let p = 0; p < rows; p++)
          for (let i = from; i < from + width; i++)
            view[to++] = i < d && p <= i ? weights[(p * k + j) * d + i] : 0;
    }
    calls.logDensity(at.x, x.length / d, d, at.weights, at.bias, at.constant, k, at.out, at.work);
    out.set(view.subarray(at.out >>> 2, (at.out >>> 2) + out.length));
  };
}

/** The panels of a triangular matrix: their first column, width and rows. */
function panelsOf(d: number): { from: number; width: number; rows: number }[] {
  return Array.from({ length: Math.ceil(d / PANEL) }, (_, q) => {
    const from = q * PANEL;
    const width = Math.min(PANEL, padded(d) - from);
    return { from, width, rows: Math.min(d, from + width) };
  });
}
