// Rows as a run with one cluster has them, and its prior.
import { niwPrior, priorOfClusters } from '../../../model/gaussian/niw.ts';
import type { PriorOf } from '../../../model/gaussian/soft-split.ts';
import { type Covariance, scatter, softStatistics } from '../../../model/statistics.ts';
import { statisticsOf } from '../support.ts';

/** Rows with mean 0 and variance 1 in each column, and the learned prior of a run with one cluster. */
export function oneCluster(values: number[], d: number, covariance: Covariance = 'full') {
  const n = values.length / d;
  const T = statisticsOf(values, d, 'full');
  const spread = scatter(T, d, 'full').map((value) => value / n);
  const rows = Float64Array.from(
    values,
    (value, p) => (value - T[1 + (p % d)] / n) / Math.sqrt(spread[(p % d) * (d + 1)]),
  );
  const all = softStatistics(rows, d, new Float64Array(n).fill(1), 1, 'full')[0];
  const data = scatter(all, d, 'full').map((value) => value / n);
  const start = niwPrior({
    mean: new Float64Array(d),
    kappa: 1e-4,
    nu: 2 * d + 1,
    psi: covariance === 'full' ? data.map((value) => value * d) : new Float64Array(d).fill(d),
    covariance,
    estimate: 'mean',
  });
  const priorOf: PriorOf = (parts) => (parts.length ? priorOfClusters(start, 1, parts, data) : start);
  return { rows, d, n, priorOf, start };
}
