import { MAX_MAGNITUDE } from '../../../data/value-range.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../model/graph/mean-field.ts';
import { type Tensors, take } from '../../../proto/tensors.ts';

/**
 * Whether a result of the graph likelihood, of the right shape, could be that of any rows (as in ../plausible.ts): what passes cannot
 * end the run, nor make honest results that follow from it look wrong. Values that are not finite never do; nets that have diverged
 * give rows without memberships.
 */

/** The rows `from … to−1` of the sample, which a result is about. */
export interface RowRange {
  from: number;
  to: number;
}

/** Allows for rounding, relative: in sums of float64 numbers, and of shares in float32. */
const SLACK = 1e-6;
const SHARE_SLACK = 1e-5;

/** Features [rows,D] of a shard; distances between numbers of this size are finite in float32. */
export function areFeatures({ rows: { data } }: Tensors, d: number, least: number, most: number): boolean {
  const rows = data.length / d;
  const isCount = Number.isInteger(rows) && rows >= least && rows <= most;
  return isCount && areBetween(data, -MAX_MAGNITUDE, MAX_MAGNITUDE);
}

/**
 * k different neighbours of each row among n, not the row itself, with weights that descend from 1; and the finite distances of the
 * nearest two.
 */
export function areNeighbours(result: Tensors, { from, to }: RowRange, n: number, k: number): boolean {
  const index = take(result, 'index', 'int32');
  const weight = take(result, 'weight', 'float64');
  const nearest = take(result, 'nearest', 'float32');
  // The row whose neighbour each row was last, plus 1.
  const seen = new Int32Array(n);
  for (let row = from, e = 0; row < to; row++) {
    seen[row] = row + 1;
    let before = 1;
    for (const end = e + k; e < end; e++) {
      const other = index[e];
      if (!(other >= 0 && other < n) || seen[other] === row + 1) return false;
      seen[other] = row + 1;
      if (!(weight[e] >= 0 && weight[e] <= Math.min(1, before + SLACK))) return false;
      before = weight[e];
    }
    if (weight[e - k] !== 1) return false;
  }
  for (let i = 0; i < nearest.length; i += 2)
    if (!(nearest[i] >= 0 && nearest[i] <= nearest[i + 1] && Number.isFinite(nearest[i + 1]))) return false;
  return true;
}

/** Partitions of `rows` rows each, one after the other: clusters have the numbers in which they first appear, so none is empty. */
export function arePartitions({ labels }: Tensors, rows: number): boolean {
  let clusters = 0;
  for (let i = 0; i < labels.data.length; i++) {
    if (i % rows === 0) clusters = 0;
    const label = labels.data[i];
    if (!(label >= 0 && label <= clusters)) return false;
    if (label === clusters) clusters++;
  }
  return true;
}

/**
 * How well partitions of a Gaussian agree, and the rows of a cluster, of so many. Agreement is not complete: what chance leaves is a
 * divisor.
 */
export function areNullPartitions(result: Tensors, rows: number): boolean {
  const [mean, size] = [take(result, 'mean', 'float64'), take(result, 'size', 'float64')];
  return areBetween(mean, -1, 1 - SLACK) && areBetween(size, 1, rows);
}

/** A partition of n rows to start from, and its quality (model/graph/louvain.ts) at a resolution. */
export function isStartPartition(result: Tensors, n: number, resolution: number): boolean {
  const [quality] = take(result, 'quality', 'float64');
  return arePartitions(result, n) && quality >= -resolution * (1 + SLACK) && quality <= 1 + SLACK;
}

/** The largest memberships of the rows in k clusters, and the volume that they give each cluster. */
export function areMemberships(
  result: Tensors,
  { from, to }: RowRange,
  { degree, total }: { degree: Float64Array; total: number },
  k: number,
): boolean {
  const cluster = take(result, 'cluster', 'int32');
  const share = take(result, 'share', 'float32');
  const volume = take(result, 'volume', 'float64');
  const expected = new Float64Array(k);
  for (let row = from, at = 0; row < to; row++, at += KEPT) {
    if (!isMembership(cluster, share, at, k)) return false;
    for (let m = at; m < at + KEPT; m++) expected[cluster[m]] += degree[row] * share[m];
  }
  return volume.every((own, c) => Math.abs(own - expected[c]) <= SLACK * total);
}

/** Different clusters, the largest share first; shares add up to 1, or there is none. */
function isMembership(cluster: Int32Array, share: Float32Array, at: number, k: number): boolean {
  let sum = 0;
  for (let m = at; m < at + KEPT; m++) {
    if (!(cluster[m] >= 0 && cluster[m] < k && share[m] >= 0)) return false;
    if (m > at && share[m] > share[m - 1]) return false;
    sum += share[m];
    if (share[m] > 0)
      for (let other = at; other < m; other++) if (cluster[other] === cluster[m]) return false;
  }
  return sum === 0 || Math.abs(sum - 1) <= SHARE_SLACK;
}

function areBetween(values: ArrayLike<number>, least: number, most: number): boolean {
  for (let i = 0; i < values.length; i++) if (!(values[i] >= least && values[i] <= most)) return false;
  return true;
}
