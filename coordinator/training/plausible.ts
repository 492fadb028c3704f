import { MAX_FLOAT32, MAX_MAGNITUDE } from '../../data/value-range.ts';
import { type Covariance, statisticsLength } from '../../model/statistics.ts';
import { covarianceOf, type Task } from '../../proto/tasks.ts';
import { type Tensors, type TypedArray, take } from '../../proto/tensors.ts';

/**
 * Whether a result of the right shape could be that of any rows. The limits follow from the number of rows and from float32
 * alone, never from what another worker reported.
 */

/** Above the distance of two rows of float32 numbers along an axis. */
const FARTHEST = 1e39;
/** Allows for rounding: relative, in sums of float64 and of float32 numbers. */
const SLACK = 1e-6;
const SLACK_FLOAT32 = 1e-2;

/** What a result covers: the number of units, and of rows in them. */
export interface Extent {
  units: number;
  rows: number;
}

/** Could the result of a task over the sample be right? Values that are not finite may be, of a net that diverges. */
export function isPlausible(task: Task, result: Tensors, { units, rows }: Extent, d: number): boolean {
  const of = (name: string) => take(result, name, 'float64');
  switch (task.task) {
    case 'seed-distances':
      return (
        of('weight')[0] >= 0 &&
        isWithin(of('weight'), rows * d * FARTHEST ** 2) &&
        isWithin(of('row'), MAX_FLOAT32)
      );
    case 'cluster-steps':
      return areSteps(result, { units, rows }, units);
    case 'sub-steps':
      return areSteps(result, { units, rows }, rows);
    case 'statistics':
    case 'pivoted-statistics':
      return areSoftStatistics(of('T'), rows, d, covarianceOf(task));
    case 'cell-sums':
      return areSums(of('n'), of('s'), rows, d);
    case 'cell-scatter':
      return areStatistics(of('T'), rows, d, covarianceOf(task));
    case 'cell-histogram':
      return areHistograms(of('counts'), rows, task.leaves, task.bins);
    case 'cell-fourth-moments':
      return areFourthMoments(of('F'), rows, d);
    default:
      return true;
  }
}

/** Sums of `encoder-steps` over `length` of `shards`: the sum over all of them must be possible in float32. */
export function areEncoderSums(result: Tensors, length: number, shards: number): boolean {
  const most = (MAX_FLOAT32 * length) / shards;
  return (
    ['params', 'first'].every((name) => areWithin(take(result, name, 'float32'), -most, most)) &&
    areWithin(take(result, 'second', 'float32'), 0, most) &&
    !(take(result, 'loss', 'float64')[0] < 0)
  );
}

/** Codes of rows: numbers that clustering can use. */
export const areCodes = ({ codes }: Tensors): boolean => isWithin(codes.data, MAX_MAGNITUDE);

/** The result of `moments` for the blocks of a shard; `covariance`: of its statistics. */
export function areMoments(
  result: Tensors,
  blocks: { start: number; count: number }[],
  d: number,
  covariance: Covariance,
): boolean {
  const of = (name: string) => take(result, name, 'float64');
  const rows = blocks.reduce((sum, { count }) => sum + count, 0);
  const [sampled, bad, first] = of('counts');
  if (!isCount(sampled, rows) || !isCount(bad, rows)) return false;
  const exists = (row: number) => blocks.some(({ start, count }) => row >= start && row < start + count);
  if (bad === 0 ? first !== -1 : !(Number.isInteger(first) && exists(first))) return false;
  const T = of('T');
  if (T[0] !== rows - bad || !areStatistics(T, rows, d, covariance, 2 * MAX_MAGNITUDE)) return false;
  const [min, max] = [of('min'), of('max')];
  // Without a good row there are none.
  if (bad === rows)
    return min.every((value) => value === Infinity) && max.every((value) => value === -Infinity);
  return (
    isWithin(min, MAX_MAGNITUDE) && isWithin(max, MAX_MAGNITUDE) && min.every((least, j) => least <= max[j])
  );
}

/** Histograms of columns of so many sampled rows. */
export function areColumnCounts({ counts }: Tensors, rows: number, bins: number): boolean {
  for (let at = 0; at < counts.data.length; at += bins) {
    let total = 0;
    for (let bin = at; bin < at + bins; bin++) {
      if (!isCount(counts.data[bin], rows)) return false;
      total += counts.data[bin];
    }
    if (total > rows) return false;
  }
  return true;
}

/** The result of `fenced-moments` for so many sampled rows. */
export function areFencedMoments(
  result: Tensors,
  rows: number,
  d: number,
  covariance: Covariance,
  { columns, low, high }: { columns: ArrayLike<number>; low: Float32Array; high: Float32Array },
): boolean {
  const of = (name: string) => take(result, name, 'float64');
  const [T, min, max, beyond, near] = ['T', 'min', 'max', 'beyond', 'near'].map(of);
  if (!beyond.every((count, c) => isCount(count, rows) && isCount(near[c], rows - count))) return false;
  const outliers = rows - T[0];
  const sum = beyond.reduce((a, b) => a + b, 0);
  if (!(outliers <= sum && beyond.every((count) => count <= outliers))) return false;
  if (!areStatistics(T, rows, d, covariance, 2 * MAX_MAGNITUDE)) return false;
  if (T[0] === 0)
    return min.every((value) => value === Infinity) && max.every((value) => value === -Infinity);
  return (
    isWithin(min, MAX_MAGNITUDE) &&
    isWithin(max, MAX_MAGNITUDE) &&
    min.every((least, j) => least <= max[j]) &&
    Array.from(columns).every((column, c) => min[column] >= low[c] && max[column] <= high[c])
  );
}

/** Below the squares of numbers that float32 rounds to others by a larger share than its digits'. */
const UNDERFLOW = 1e-36;

/** The result of `sample-covariance` for so many rows; `unit`: they have unit length, but for those of zeros. */
export function areCovarianceSums(result: Tensors, rows: number, d: number, unit: boolean): boolean {
  const [[n], s, S] = ['n', 's', 'S'].map((name) => take(result, name, 'float64'));
  if (n !== rows) return false;
  const most = unit ? rows : rows * FARTHEST ** 2;
  const roots = new Float64Array(d);
  let total = 0;
  for (let i = 0; i < d; i++) {
    const square = S[i * (d + 1)];
    if (!(square >= 0 && square <= most * (1 + SLACK_FLOAT32))) return false;
    total += square;
    roots[i] = Math.sqrt(square * (1 + SLACK_FLOAT32) + rows * UNDERFLOW);
    if (!(Math.abs(s[i]) <= Math.sqrt(rows) * roots[i])) return false;
  }
  if (unit && !(total <= most * (1 + SLACK_FLOAT32))) return false;
  for (let i = 0; i < d; i++)
    for (let j = 0; j < i; j++) {
      const [a, b, largest] = [S[i * d + j], S[j * d + i], roots[i] * roots[j]];
      if (!(Math.abs(a) <= largest && Math.abs(a - b) <= SLACK_FLOAT32 * largest)) return false;
    }
  return true;
}

/** The result of `full-pass` for a unit of so many rows; `places`: of the rows for the silhouette among them. */
export function isLabelling(
  { labels, T, seen, seenLabels, soft, outliers }: Tensors,
  rows: number,
  places: number[],
  k: number,
  d: number,
  covariance: Covariance,
): boolean {
  const counts = new Float64Array(k);
  const flags = outliers?.data;
  for (let i = 0; i < labels.data.length; i++) {
    const label = labels.data[i];
    if (!(label >= 0 && label < k)) return false;
    if (flags && flags[i] > 1) return false;
    if (!flags?.[i]) counts[label]++;
  }
  const statistics = T.data as Float64Array;
  const p = statisticsLength(d, covariance);
  return (
    counts.every((count, c) => statistics[c * p] === count) &&
    areStatistics(statistics, rows, d, covariance) &&
    seen.data.length === places.length * d &&
    isWithin(seen.data, MAX_FLOAT32) &&
    seenLabels.data.length === places.length &&
    places.every((place, i) => seenLabels.data[i] === labels.data[place]) &&
    (!soft || areWithin(soft.data, 0, 1 + SLACK_FLOAT32))
  );
}

/** What `full-pass` says of each row, and the rows to show of each cluster, `most` of them. */
export function areShown(result: Tensors, rows: number, k: number, most: number): boolean {
  const { labels, confidence, distance, columns, exemplars, border, rival, margin } = result;
  if (!areWithin(confidence.data, 0, 1 + SLACK_FLOAT32)) return false;
  // Where training has diverged, none of both is finite.
  if (areFinite(confidence.data) && !isWithin(margin.data, 1 + SLACK_FLOAT32)) return false;
  if (!isWithin(distance.data, MAX_FLOAT32) || !areWithin(distance.data, 0, MAX_FLOAT32)) return false;
  if (!isWithin(columns.data, rows * MAX_FLOAT32 ** 2)) return false;
  for (let p = 0; p < k * most; p++) {
    const cluster = Math.floor(p / most);
    for (const { data } of [exemplars, border]) {
      if (data[p] === -1) continue;
      if (labels.data[data[p]] !== cluster) return false;
      if (data.subarray(cluster * most, p).includes(data[p] as never)) return false;
    }
    if (border.data[p] === -1) continue;
    if (!(rival.data[p] >= 0 && rival.data[p] < k && rival.data[p] !== cluster)) return false;
  }
  return true;
}

/** Weights or gradients times `count`, which is at most `most`, and what comes with them. */
function areSteps({ loss, count, shards, ...nets }: Tensors, { units, rows }: Extent, most: number): boolean {
  return (
    areCounts(count.data, most) &&
    areCounts(shards.data, units) &&
    areWithin(loss.data, -units * MAX_FLOAT32, units * MAX_FLOAT32) &&
    Object.entries(nets).every(([name, { data }]) =>
      areWithin(data, name === 'second' ? 0 : -rows * MAX_FLOAT32, rows * MAX_FLOAT32),
    )
  );
}

/** Statistics of rows with weights of 0 to 1, in float32. */
function areSoftStatistics(T: Float64Array, rows: number, d: number, covariance: Covariance): boolean {
  const most = rows * (1 + SLACK_FLOAT32);
  const p = statisticsLength(d, covariance);
  for (let at = 0; at < T.length; at += p) {
    if (!areWithin(T.subarray(at, at + 1), 0, most)) return false;
    if (!areWithin(T.subarray(at + 1, at + 1 + d), -most * FARTHEST, most * FARTHEST)) return false;
    if (!areWithin(T.subarray(at + 1 + d, at + p), -most * FARTHEST ** 2, most * FARTHEST ** 2)) return false;
    for (let i = 0, q = at + 1 + d; i < d; q += covariance === 'full' ? d - i : 1, i++)
      if (T[q] < 0) return false;
  }
  return true;
}

/** Numbers of rows and their sums, by leaf. */
function areSums(n: Float64Array, s: Float64Array, rows: number, d: number): boolean {
  if (!areCounts(n, rows)) return false;
  for (let leaf = 0, p = 0; leaf < n.length; leaf++)
    for (let j = 0; j < d; j++) if (!(Math.abs(s[p++]) <= n[leaf] * FARTHEST)) return false;
  return true;
}

/**
 * Statistics, one set after the other, each of whole rows: in all at most `rows`, none farther than `farthest` along any
 * axis. Σx² ≥ (Σx)²/n and (Σxy)² ≤ Σx²·Σy² hold for all rows.
 */
function areStatistics(
  T: Float64Array,
  rows: number,
  d: number,
  covariance: Covariance,
  farthest = FARTHEST,
): boolean {
  const p = statisticsLength(d, covariance);
  const largest = farthest * farthest * (1 + SLACK);
  const roots = new Float64Array(d);
  let total = 0;
  for (let at = 0; at < T.length; at += p) {
    const n = T[at];
    if (!isCount(n, rows)) return false;
    total += n;
    const rootOfRows = Math.sqrt(n) * (1 + SLACK);
    for (let i = 0, q = at + 1 + d; i < d; q += covariance === 'full' ? d - i : 1, i++) {
      const square = T[q];
      if (!(square >= 0 && square <= n * largest)) return false;
      roots[i] = Math.sqrt(square);
      if (!(Math.abs(T[at + 1 + i]) <= rootOfRows * roots[i])) return false;
    }
    if (covariance === 'diag') continue;
    for (let i = 0, q = at + 1 + d; i < d; i++)
      for (let j = i; j < d; j++) if (!(Math.abs(T[q++]) <= roots[i] * roots[j] * (1 + SLACK))) return false;
  }
  return total <= rows;
}

const isCount = (value: number, most: number) => Number.isInteger(value) && value >= 0 && value <= most;

/** Whole numbers that add up to at most `most`. */
function areCounts(values: TypedArray, most: number): boolean {
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    if (!isCount(values[i], most)) return false;
    total += values[i];
  }
  return total <= most;
}

/** Histograms of each leaf's rows along as many axes for each leaf: those of one axis count each row at most once. */
function areHistograms(counts: Float64Array, rows: number, leaves: number, bins: number): boolean {
  const axes = counts.length / bins / leaves;
  for (let axis = 0; axis < axes; axis++) {
    let total = 0;
    for (let leaf = 0; leaf < leaves; leaf++) {
      const start = (leaf * axes + axis) * bins;
      for (let at = start; at < start + bins; at++) {
        if (!isCount(counts[at], rows)) return false;
        total += counts[at];
      }
    }
    if (total > rows) return false;
  }
  return true;
}

/** Σ‖u‖²uuᵀ of whitened rows no longer than 2√D, by leaf, [leaves,D,D]. */
function areFourthMoments(F: Float64Array, rows: number, d: number): boolean {
  const most = rows * (4 * d) ** 2 * (1 + SLACK);
  let total = 0;
  for (let at = 0; at < F.length; at++) {
    const isDiagonal = (at % (d * d)) % (d + 1) === 0;
    if (!(Math.abs(F[at]) <= most) || (isDiagonal && F[at] < 0)) return false;
    if (isDiagonal) total += F[at];
  }
  return total <= most;
}

/** Are all values finite and at most this large? */
function isWithin(values: TypedArray, most: number): boolean {
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]) <= most)) return false;
  return true;
}

/** Is no finite value outside of these limits? */
function areWithin(values: TypedArray, least: number, most: number): boolean {
  for (let i = 0; i < values.length; i++)
    if ((values[i] < least || values[i] > most) && Number.isFinite(values[i])) return false;
  return true;
}

/** Are all of them finite? */
export function areFinite(values: TypedArray): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
