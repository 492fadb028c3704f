import { asGaussian } from '../gaussian/columns.ts';
import type { Niw } from '../gaussian/niw.ts';
import { squaredNorm, whitener } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import { chiSquaredDeviate } from './drift.ts';

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
