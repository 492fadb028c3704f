import { reachOf } from '../description/distances.ts';
import { asGaussian } from '../gaussian/columns.ts';
import type { Niw } from '../gaussian/niw.ts';
import { nearestRows, rowsOnMap } from '../graph/map.ts';
import { squaredNorm, whitener } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import type { GraphDrift } from './findings.ts';
import { ALARMS, type Alarm, type Drift, type MixtureDrift } from './findings.ts';

/**
 * Are new rows like those on which a mixture was trained (docs/algorithm.md, section 13)? The log-densities of these are taken without the row itself,
 * in closed form: a mixture is always likelier in the rows that it was made of.
 */

/** Normal deviates of 1e-4 on one side, and on both: no alarm in 1,000 batches of the same distribution. */
const [ONE_SIDED, TWO_SIDED] = [3.72, 3.89];
const [LEAST_UNLIKE, LEAST_NATS, LEAST_MISSED, LEAST_MOVED, LEAST_RESIDUAL] = [0.02, 0.1, 0.02, 0.1, 0.1];
/** The share of earlier rows that are as unlikely. */
const UNLIKELY = 0.01;

export function alarmsOf(drift: Drift): Alarm[] {
  const { moved, movedZ, residual = 0, residualZ = 0 } = drift;
  const own =
    'nats' in drift
      ? {
          unlike: drift.unlikeZ > ONE_SIDED && drift.unlike > LEAST_UNLIKE,
          'less likely': drift.likelihoodZ > TWO_SIDED && drift.nats > LEAST_NATS,
        }
      : {
          missed: drift.missedZ > TWO_SIDED && drift.missed > LEAST_MISSED,
          apart: drift.apartZ > ONE_SIDED && drift.apart > LEAST_UNLIKE,
        };
  const found = {
    ...own,
    shares: movedZ > ONE_SIDED && moved > LEAST_MOVED,
    residual: residualZ > ONE_SIDED && residual > LEAST_RESIDUAL,
  };
  return ALARMS.filter((alarm) => found[alarm as keyof typeof found]);
}

/**
 * @param before rows [n,D] on which the mixture was trained, or some of these `trained` rows
 * @param fresh rows [m,D]; `arrivals`: of each cluster the share of them
 */
export function driftOf(
  mixture: Mixture,
  prior: Niw,
  before: Float32Array,
  fresh: Float32Array,
  trained = before.length / mixture.d,
): { drift: MixtureDrift; arrivals: Float64Array } {
  const { k } = mixture;
  const own = densities(mixture, prior, before);
  const old = withoutThemselves(own, mixture, prior, trained);
  const { values: now, labels } = densities(mixture, prior, fresh);
  const [n, m] = [old.length, now.length];
  const [first, second] = [momentsOf(old), momentsOf(now)];
  const bound = Float64Array.from(old).sort()[Math.floor(UNLIKELY * n)];
  const unlike = now.filter((value) => value < bound).length / m;
  const { arrivals, ...shares } = sharesDrift(own.labels, labels, k);
  const drift = {
    rows: m,
    nats: first.mean - second.mean,
    // A few rows may happen to be alike.
    likelihoodZ:
      (first.mean - second.mean) /
      Math.sqrt(first.variance / n + Math.max(first.variance, second.variance) / m),
    unlike,
    unlikeZ: rarityDeviate(unlike, n, m),
    ...shares,
  };
  return { drift, arrivals };
}

/** How the shares of k clusters differ, given labels of earlier and of new rows; `arrivals`: of each cluster the share of the new ones. */
export function sharesDrift(before: Int32Array, now: Int32Array, k: number) {
  const [n, m] = [before.length, now.length];
  const counts = [before, now].map((labels) => {
    const count = new Float64Array(k);
    for (const label of labels) count[label]++;
    return count;
  });
  let [G, cells, moved] = [0, 0, 0];
  for (let c = 0; c < k; c++) {
    const [a, b] = [counts[0][c], counts[1][c]];
    const expected = (a + b) / (n + m);
    if (expected === 0) continue;
    cells++;
    for (const [count, rows] of [
      [a, n],
      [b, m],
    ])
      if (count > 0) G += 2 * count * Math.log(count / (rows * expected));
    moved += Math.abs(a / n - b / m) / 2;
  }
  return {
    ...{ moved, movedZ: cells > 1 ? chiSquaredDeviate(G, cells - 1) : 0 },
    arrivals: counts[1].map((count) => count / m),
  };
}

/** The deviate of a share of m rows that 1 % of n earlier ones have. */
export const rarityDeviate = (share: number, n: number, m: number): number =>
  shareDeviate(share, UNLIKELY, 1 / (1 / n + 1 / m));

/** The normal deviate of a share among so many rows, where a share `expected` is: the signed root of the likelihood ratio, also right for few rows. */
function shareDeviate(share: number, expected: number, rows: number): number {
  const nats = (a: number, b: number) => (a > 0 ? a * Math.log(a / b) : 0);
  const divergence = nats(share, expected) + nats(1 - share, 1 - expected);
  return Math.sign(share - expected) * Math.sqrt(Math.max(0, 2 * rows * divergence));
}

/** The normal deviate of a chi-squared one (Wilson & Hilferty 1931). */
function chiSquaredDeviate(x: number, degrees: number): number {
  const v = 2 / (9 * degrees);
  return (Math.cbrt(x / degrees) - (1 - v)) / Math.sqrt(v);
}

export function momentsOf(values: Float64Array) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, variance };
}

/** The likeliest cluster of each row [n,D]; −1 of rows that are beyond its reach. */
export function explained(mixture: Mixture, prior: Niw, rows: Float32Array): Int32Array {
  const { labels, distance } = densities(mixture, prior, rows);
  const most = reachOf(mixture.d) ** 2;
  return labels.map((label, row) => (distance[row] > most ? -1 : label));
}

/** The likeliest cluster of each row [n,D]. */
export const likeliest = (mixture: Mixture, prior: Niw, rows: Float32Array): Int32Array =>
  densities(mixture, prior, rows).labels;

/** Log-densities of rows, up to a constant, with the likeliest cluster of each, and its part and squared distance. */
function densities(
  { k, d, covariance, weights, means, covariances }: Mixture,
  { kinds }: Niw,
  rows: Float32Array,
) {
  const n = rows.length / d;
  const values = new Float64Array(n);
  const labels = new Int32Array(n);
  const distance = new Float64Array(n);
  const part = new Float64Array(n);
  const clusters = Array.from({ length: k }, (_, c) => c)
    .filter((c) => weights[c] > 0)
    .map((c) => {
      const {
        mean,
        covariance: own,
        constant,
      } = asGaussian(kinds, { mean: means[c], covariance: covariances[c] }, covariance);
      const inverse = whitener(own, d, covariance);
      const stride = covariance === 'full' ? d + 1 : 1;
      let log = Math.log(weights[c]) + constant;
      for (let i = 0; i < d; i++) log += Math.log(inverse[i * stride]);
      return { c, mean, inverse, log };
    });
  const x = new Float64Array(d);
  const all = new Float64Array(clusters.length);
  for (let row = 0; row < n; row++) {
    let best = -1;
    for (const [j, { mean, inverse, log }] of clusters.entries()) {
      for (let i = 0; i < d; i++) x[i] = rows[row * d + i] - mean[i];
      const squared = squaredNorm(inverse, x);
      all[j] = log - squared / 2;
      if (best < 0 || all[j] > all[best]) {
        best = j;
        distance[row] = squared;
      }
    }
    const largest = all[best];
    labels[row] = clusters[best].c;
    part[row] = largest;
    values[row] = largest + Math.log(all.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  }
  return { values, labels, distance, part };
}

/**
 * Log-densities as though each row's cluster had been estimated without it: Ψ* = mΣ, m = ν + n − D − 1, less c·δδᵀ, c = n/(n − 1), and the mean
 * is farther by the factor c.
 */
function withoutThemselves(
  { values, labels, distance, part }: ReturnType<typeof densities>,
  { k, d }: Mixture,
  { nu }: Niw,
  trained: number,
): Float64Array {
  const counts = new Float64Array(k);
  for (const label of labels) counts[label] += Math.max(1, trained / labels.length);
  return values.map((value, row) => {
    const n = Math.max(2, counts[labels[row]]);
    const m = nu + n - d - 1;
    const c = n / (n - 1);
    const q = distance[row] / m;
    const r = Math.max(1e-6, 1 - c * q);
    const alone =
      part[row] +
      distance[row] / 2 -
      (Math.log(r) + d * Math.log(m / (m - 1)) + (c * c * (m - 1) * q) / r) / 2;
    // The other clusters are as they were.
    const others = -Math.expm1(part[row] - value);
    return value + Math.log(Math.max(Number.MIN_VALUE, others + (1 - others) * Math.exp(alone - part[row])));
  });
}

/**
 * Which clusters a search for splits would find as the last one left them (docs/algorithm.md, section 13): that search is most of the work of an
 * update, and brings nothing where the rows since are like those before.
 */

/** Normal deviates: less than 1e-4 by chance. */
const CLEAR = 4;
/** Of a cluster's rows, the share that was there at the last search, at least: the others may have come as slowly as could be. */
const LEAST_SHARE = 1 / 4;

/**
 * @param rows [n,D], after the transform; `labels`: the cluster of each
 * @param isNew of each row, whether it has come since the last search of its cluster
 */
export function unchangedClusters(
  { k, d, covariance, means, covariances }: Mixture,
  { kinds }: Niw,
  rows: Float32Array,
  labels: Int32Array,
  isNew: readonly boolean[],
): boolean[] {
  const forms = Array.from({ length: k }, (_, c) => {
    const own = asGaussian(kinds, { mean: means[c], covariance: covariances[c] }, covariance);
    return { mean: own.mean, inverse: whitener(own.covariance, d, covariance) };
  });
  const tally = () => ({ n: 0, sum: new Float64Array(d), q: 0, q2: 0 });
  const all = forms.map(() => [tally(), tally()]);
  const x = new Float64Array(d);
  for (const [row, label] of labels.entries()) {
    const { mean, inverse } = forms[label];
    const own = all[label][isNew[row] ? 1 : 0];
    for (let i = 0; i < d; i++) {
      x[i] = rows[row * d + i] - mean[i];
      own.sum[i] += x[i];
    }
    const q = squaredNorm(inverse, x);
    own.n++;
    own.q += q;
    own.q2 += q * q;
  }
  return all.map(([a, b], c) => {
    if (!b.n) return true;
    if (a.n < Math.max(2, LEAST_SHARE * (a.n + b.n))) return false;
    for (let i = 0; i < d; i++) x[i] = b.sum[i] / b.n - a.sum[i] / a.n;
    // Chi-squared with D degrees of freedom if the means are the same.
    const moved = (squaredNorm(forms[c].inverse, x) * a.n * b.n) / (a.n + b.n);
    const variance = ({ n, q, q2 }: typeof a) => Math.max(0, q2 / n - (q / n) ** 2) / n;
    const spread = Math.abs(b.q / b.n - a.q / a.n);
    return chiSquaredDeviate(moved, d) <= CLEAR && spread <= CLEAR * Math.sqrt(variance(a) + variance(b));
  });
}

/** What is known of rows that are compared. */
export interface ComparedRows {
  /** Features [n,D]. */
  readonly rows: Float32Array;
  readonly labels: Int32Array;
  /** The share of each row's length that its features miss. */
  readonly missed: Float64Array;
}

/** Neighbours of a row that are looked at, and how many of them are new where nearly all are. */
const [NEIGHBOURS, NEARLY_ALL] = [20, 18];

/**
 * Axes see the rows that they were made of better than others. D axes of n rows that miss a share R of their length miss 2·D·R/n more of others, if
 * they stand out from noise; measured, where they do not, up to three times as much.
 */
const OPTIMISM = 6;

/** @param sample rows of which the axes were made; `arrivals`: of each of k clusters the share of the new rows */
export function graphDriftOf(
  before: ComparedRows,
  now: ComparedRows,
  { d, k, sample }: { d: number; k: number; sample: number },
): { drift: GraphDrift; arrivals: Float64Array } {
  const { arrivals, ...shares } = sharesDrift(before.labels, now.labels, k);
  const [n, m] = [before.labels.length, now.labels.length];
  const [old, fresh] = [momentsOf(before.missed), momentsOf(now.missed)];
  const missed = fresh.mean - old.mean - (OPTIMISM * d * old.mean) / sample;
  const variance = old.variance / n + Math.max(old.variance, fresh.variance) / m;
  const { share: apart, rows } = apartFrom(before.rows, now.rows, d);
  const drift = {
    rows: m,
    ...{ missed, missedZ: variance > 0 ? missed / Math.sqrt(variance) : 0 },
    ...{ apart, apartZ: rarityDeviate(apart, rows, rows) },
    ...shares,
  };
  return { drift, arrivals };
}

/**
 * The share of new rows whose neighbours are nearly all new, among twice as many earlier ones: hardly any, unless they are where none was before. What
 * the axes miss, and distances, do not show that: in many dimensions all rows are about as far.
 */
function apartFrom(before: Float32Array, now: Float32Array, d: number): { share: number; rows: number } {
  const most = rowsOnMap(d);
  const [n, m] = [before, now].map((rows) => rows.length / d);
  const earlier = Math.min(n, Math.floor((2 * most) / 3));
  const rows = Math.min(m, Math.ceil(earlier / 2));
  const pool = new Float32Array((rows + earlier) * d);
  pool.set(spread(now, d, rows));
  pool.set(spread(before, d, earlier), rows * d);
  const k = Math.min(NEIGHBOURS, rows + earlier - 1);
  const { index } = nearestRows(pool, d, k);
  let apart = 0;
  for (let row = 0; row < rows; row++) {
    let fresh = 0;
    for (let e = row * k; e < (row + 1) * k; e++) if (index[e] < rows) fresh++;
    if (fresh >= NEARLY_ALL) apart++;
  }
  return { share: apart / rows, rows };
}

/** So many of the rows, evenly. */
function spread(rows: Float32Array, d: number, count: number): Float32Array {
  const out = new Float32Array(count * d);
  const step = rows.length / d / count;
  for (let i = 0; i < count; i++) {
    const at = Math.floor(i * step) * d;
    out.set(rows.subarray(at, at + d), i * d);
  }
  return out;
}
