/**
 * Where EM begins: responsibilities [n,m] of m parts for rows [n,D] of a cluster (docs/algorithm.md, section 6).
 */

import { dot, symmetricEigen, unwhitened, whitenedRows, whitener } from '../linalg.ts';
import type { Rng } from '../random.ts';
import { mean, scatter, softStatistics, totalOfRows } from '../statistics.ts';
import { type ColumnKinds, isAtSpike } from './columns.ts';
import { lloydCentres, nearestCentre, seedCandidate } from './kmeans.ts';
import { type Niw, pointEstimate } from './niw.ts';

const LLOYD_ROUNDS = 3;

/** Two parts along a principal axis in the metric of Ψ, by two-means. */
export function alongAxis(rows: Float64Array, prior: Niw, place: number): Float64Array {
  const { d } = prior;
  const u = inMetric(rows, prior);
  const T = totalOfRows(u, d, 'full');
  const axis = symmetricEigen(scatter(T, d, 'full'), d).vectors.subarray(place * d, (place + 1) * d);
  const along = projections(u, d, axis);
  let threshold = dot(axis, mean(T, d));
  for (let round = 0; round < 2 * LLOYD_ROUNDS; round++) {
    const [low, high] = [
      { n: 0, s: 0 },
      { n: 0, s: 0 },
    ];
    for (const value of along) {
      const side = value > threshold ? high : low;
      side.n++;
      side.s += value;
    }
    if (low.n && high.n) threshold = (low.s / low.n + high.s / high.n) / 2;
  }
  return beyond(along, threshold);
}

/**
 * Two parts near to and far from the mean along the axis of most kurtosis: what two clusters look like that differ more by their covariances than by
 * their means.
 */
export function bySpread(rows: Float64Array, prior: Niw): Float64Array {
  const { d } = prior;
  const { u } = whitenedByOwn(rows, prior);
  const along = projections(u, d, fourthMomentAxes(u, d)[0]).map(Math.abs);
  return beyond(along, along.slice().sort()[along.length >> 1]);
}

/** m parts by k-means++ and Lloyd, of rows in coordinates [n,q]. */
export function byMeans({ u, q }: Coordinates, m: number, rng: Rng): Float64Array {
  const n = u.length / q;
  let centres: Float64Array[] = [];
  let weights: Float64Array | null = null;
  for (let j = 0; j < m; j++) {
    const known = weights && { centres: j - 1, weights };
    const drawn: ReturnType<typeof seedCandidate> = seedCandidate(u, q, centres, rng.uniform(), known);
    const { row } = drawn!;
    weights = drawn!.weights;
    centres.push(u.slice(row * q, (row + 1) * q));
  }
  for (let round = 0; round < LLOYD_ROUNDS; round++) {
    const sums = centres.map(() => ({ n: 0, s: new Float64Array(q) }));
    for (let i = 0; i < n; i++) {
      const near = sums[nearestCentre(u, i * q, centres, q)];
      near.n++;
      for (let a = 0; a < q; a++) near.s[a] += u[i * q + a];
    }
    centres = lloydCentres(sums, centres);
  }
  const r = new Float64Array(n * m);
  for (let i = 0; i < n; i++) r[i * m + nearestCentre(u, i * q, centres, q)] = 1;
  return r;
}

/** Rows as their distances are measured: u, [n,q]. */
export interface Coordinates {
  u: Float64Array;
  q: number;
}

/** Rows in all columns, in the metric of Ψ. */
export const inAllColumns = (rows: Float64Array, prior: Niw): Coordinates => ({
  u: inMetric(rows, prior),
  q: prior.d,
});

/** Standard errors of the kurtosis of Gaussian rows by which an axis is another. */
const ANOTHER_KURTOSIS = 3;

/**
 * The axes, [q,D], along which rows are not Gaussian by their kurtosis, in coordinates in which their covariance is I (non-Gaussian component analysis;
 * Blanchard et al. 2006, by FOBI's axes). In eight columns of noise beside two that tell clusters apart, distances in all ten are of the noise, and
 * k-means cuts that. Null: there is none, or they are half of the axes or more, so that distances are theirs; or not all columns are Gaussian.
 */
export function nonGaussianAxes(rows: Float64Array, prior: Niw): Float64Array[] | null {
  const { d, covariance, kinds } = prior;
  if (kinds || covariance === 'diag') return null;
  const { u, inverse } = whitenedByOwn(rows, prior);
  const n = rows.length / d;
  const isOther = (axis: Float64Array) => {
    let [squares, fourths] = [0, 0];
    for (const value of projections(u, d, axis)) {
      squares += value ** 2;
      fourths += value ** 4;
    }
    return Math.abs((fourths * n) / squares ** 2 - 3) > ANOTHER_KURTOSIS * Math.sqrt(24 / n);
  };
  const found = fourthMomentAxes(u, d).filter(isOther);
  return found.length && 2 * found.length < d ? found.map((axis) => unwhitened(inverse, axis)) : null;
}

/** Rows along these axes alone. */
export function alongAxes(rows: Float64Array, axes: Float64Array[]): Coordinates {
  const q = axes.length;
  const u = new Float64Array((rows.length / axes[0].length) * q);
  for (const [a, axis] of axes.entries())
    for (const [i, value] of projections(rows, axis.length, axis).entries()) u[i * q + a] = value;
  return { u, q };
}

/**
 * The axes of whitened rows [n,D], in the order of their kurtosis, the most first: eigenvectors of Σ‖u‖²uuᵀ (FOBI; Cardoso, ICASSP 1989), with ‖u‖² at most
 * 4·D, so that few rows far away do not decide.
 */
export function fourthMomentAxes(u: Float64Array, d: number): Float64Array[] {
  const weights = Float64Array.from({ length: u.length / d }, (_, i) => {
    const y = u.subarray(i * d, (i + 1) * d);
    return Math.min(dot(y, y), 4 * d);
  });
  const F = scatter(softStatistics(u, d, weights, 1, 'full')[0], d, 'full');
  const { vectors } = symmetricEigen(F, d);
  return Array.from({ length: d }, (_, a) => vectors.subarray(a * d, (a + 1) * d));
}

/** y·axis of each row y of [n,D]. */
export const projections = (rows: Float64Array, d: number, axis: Float64Array): Float64Array =>
  Float64Array.from({ length: rows.length / d }, (_, i) => dot(axis, rows.subarray(i * d, (i + 1) * d)));

/** Two parts: the second has the rows whose value is above the threshold. */
function beyond(along: Float64Array, threshold: number): Float64Array {
  const r = new Float64Array(2 * along.length);
  for (const [i, value] of along.entries()) r[2 * i + (value > threshold ? 1 : 0)] = 1;
  return r;
}

/** Rows about their mean in coordinates in which their own covariance is I, and what takes them there. */
function whitenedByOwn(rows: Float64Array, prior: Niw): { u: Float64Array; inverse: Float64Array } {
  const { mean: centre, covariance } = pointEstimate(prior, totalOfRows(rows, prior.d, 'full'));
  const inverse = whitener(covariance, prior.d, 'full');
  return { u: whitenedRows(rows, centre, inverse), inverse };
}

/** Rows in coordinates in which Ψ is the identity; those at spikes as the mean of the others, as else only these would count. */
function inMetric(rows: Float64Array, { d, psi, covariance, kinds }: Niw): Float64Array {
  const filled = kinds?.spikes.length ? filledAtSpikes(rows, d, kinds) : rows;
  return whitenedRows(filled, new Float64Array(d), whitener(psi, d, covariance));
}

function filledAtSpikes(rows: Float64Array, d: number, kinds: ColumnKinds): Float64Array {
  const out = rows.slice();
  for (const spike of kinds.spikes) {
    const isAt = (at: number) => isAtSpike(kinds, spike, rows, at);
    let [n, sum] = [0, 0];
    for (let at = 0; at < rows.length; at += d)
      if (!isAt(at)) {
        n++;
        sum += rows[at + spike.column];
      }
    for (let at = 0; at < rows.length; at += d) if (n && isAt(at)) out[at + spike.column] = sum / n;
  }
  return out;
}
