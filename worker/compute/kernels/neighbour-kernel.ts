import { instantiate } from './compiled.ts';

export type Neighbours = ReturnType<ReturnType<typeof neighbourKernel>>;

/** Size of the points that all queries are compared with before the next ones: they fit the L1 cache. */
const PANEL_BYTES = 2 ** 15;
/** Queries and points of a tile; the same as in assembly/neighbours.ts. */
const [TILE_QUERIES, TILE_POINTS] = [4, 8];

/**
 * The k nearest of `points` [n,d] to each of `queries` [q,d], in order of distance and index: their indices and Euclidean distances,
 * [q,k]. Distances are computed in float64 from the differences and do not depend on which queries are asked together. A row that is
 * not finite is nobody's neighbour and has none; lists that are too short for that reason end with −1, at infinite distance. The kernel
 * keeps as much memory as its largest call took: mainly a copy of the points.
 *
 * `first`: the index among the points of the first query, if the queries are the points first … first + q − 1, of which none is its own
 * neighbour; −1 if they are not. RangeError if k < 1, if there are fewer than k points to choose from, or if the queries are not within
 * the points.
 */
export function neighbourKernel() {
  const { calls, buffer, allocate, reset } = instantiate<'packQueries' | 'nearest'>();
  return (points: Float32Array, queries: Float32Array, d: number, k: number, first: number) => {
    const [n, q] = [points.length / d, queries.length / d];
    assertInRange(n, q, k, first);
    const wide = 4 * (d + 1);
    const panel = Math.max(1, Math.floor(PANEL_BYTES / wide / TILE_POINTS)) * TILE_POINTS;
    reset();
    const at = {
      points: allocate(4 * n * d),
      queries: allocate(4 * q * d),
      centre: allocate(4 * d),
      packed: allocate(Math.ceil(q / TILE_QUERIES) * TILE_QUERIES * wide),
      halves: allocate(8 * q),
      panel: allocate(panel * wide),
      index: allocate(4 * q * k),
      squared: allocate(8 * q * k),
    };
    const view = new Float32Array(buffer());
    // Addresses are unsigned (hence >>>), as the memory may grow beyond 2 GiB.
    view.set(points, at.points >>> 2);
    view.set(queries, at.queries >>> 2);
    view.set(columnMeans(points, d), at.centre >>> 2);
    const index = new Int32Array(buffer(), at.index, q * k).fill(-1);
    const squared = new Float64Array(buffer(), at.squared, q * k).fill(Infinity);
    const asked = [at.queries, q, d, at.centre, at.packed, at.halves] as const;
    calls.packQueries(...asked);
    // A call for each panel, as V8 replaces slow first code by optimized code only between calls.
    for (let from = 0; from < n; from += panel) {
      const to = Math.min(from + panel, n);
      calls.nearest(at.points, from, to, at.panel, ...asked, first, k, at.index, at.squared);
    }
    return { index: index.slice(), distance: Float32Array.from(squared, Math.sqrt) };
  };
}

function assertInRange(n: number, q: number, k: number, first: number): void {
  if (first < -1 || (first >= 0 && first + q > n))
    throw new RangeError(`queries ${first} to ${first + q - 1} are not among ${n} points`);
  const others = first < 0 ? n : n - 1;
  if (k < 1 || k > others) throw new RangeError(`cannot find ${k} neighbours among ${others} points`);
}

/** The mean of each column of rows [n,d]. */
function columnMeans(rows: Float32Array, d: number): Float64Array {
  const sums = new Float64Array(d);
  for (let i = 0; i < rows.length; ) for (let j = 0; j < d; j++) sums[j] += rows[i++];
  return sums.map((sum) => sum / (rows.length / d));
}
