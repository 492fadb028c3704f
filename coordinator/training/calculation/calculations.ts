import { UserError } from '../../../base/user-error.ts';
import { planTransform } from '../../../data/transform.ts';
import { costTheta, eStepOf, roundingAmplification } from '../../../model/estep.ts';
import { logMergeRatio, logSplitRatio } from '../../../model/hastings.ts';
import { NotPositiveDefiniteError } from '../../../model/linalg.ts';
import { type Mixture, mStep } from '../../../model/mixture.ts';
import { nearestPairs } from '../../../model/neighbours.ts';
import { adamStep, type Net, netSize } from '../../../model/net.ts';
import { mapEstimate, type Niw } from '../../../model/niw.ts';
import { principalAxis } from '../../../model/pca-split.ts';
import { accuracy, ari, type Contingency, nmi, silhouette } from '../../../model/scores.ts';
import type { Parts } from '../../../model/state.ts';
import { addStatistics, type Covariance, scatter } from '../../../model/statistics.ts';
import { resizeClusteringNet, resizeSubNets } from '../../../model/surgery.ts';
import { averageGradients, averageNets } from '../net-states.ts';
import { priorOf } from '../prior.ts';
import { subComponents } from '../sub-components.ts';

/** A pure function, and about how long it takes for its arguments, ns. */
export interface Calculation<A extends unknown[], R> {
  compute: (...args: A) => R;
  cost: (...args: A) => number;
}

const calculation = <A extends unknown[], R>(
  compute: (...args: A) => R,
  cost: (...args: A) => number,
): Calculation<A, R> => ({ compute, cost });

// Measured with D from 64 to 1,500; where memory is slower than arithmetic, it is more.
const eigen = (d: number) => 20 * d ** 3;
const cholesky = (d: number) => d ** 3 + 10 * d ** 2;
/** Work in proportion to the length of statistics or covariances. */
const lengths = (arrays: Float64Array[]) => 20 * arrays.reduce((sum, { length }) => sum + length, 0);
const ofClusters = ({ k, d, covariance }: Pick<Mixture, 'k' | 'd' | 'covariance'>) =>
  k * (covariance === 'full' ? 3 * cholesky(d) : 10 * d ** 2);
const marginal = ({ d, covariance }: Niw) => (covariance === 'full' ? cholesky(d) : 20 * d);
const ofNet = ({ shapes }: Net) => 30 * netSize(shapes);

/** All that the coordinator computes and that takes long for many columns or clusters (`calculator.ts` says where). */
export const calculations = {
  dataCovariance: calculation(
    (T: Float64Array, d: number, covariance: Covariance, rows: number) =>
      scatter(T, d, covariance).map((value) => value / (rows - 1)),
    (T) => lengths([T]),
  ),
  planTransform: calculation(planTransform, (choice, { mean, covariance }) =>
    choice.startsWith('pca:') ? eigen(mean.length) : 10 * covariance.length,
  ),
  priorOf: calculation(priorOf, ({ covariance }, d) => (covariance === 'full' ? eigen(d) : 10 * d)),
  mStep: calculation(mStep, (_prior, T) => lengths(T)),
  mapEstimates: calculation(
    (prior: Niw, T: Float64Array[]) => T.map((t) => mapEstimate(prior, t)),
    (_prior, T) => lengths(T),
  ),
  roundingAmplification: calculation(roundingAmplification, ofClusters),
  eStepOf: calculation(eStepOf, ofClusters),
  costTheta: calculation(costTheta, (_kind, { covariances }) => lengths(covariances)),
  subComponents: calculation(subComponents, ({ d, covariance }, { length }) =>
    ofClusters({ k: 2 * length, d, covariance }),
  ),
  principalAxes: calculation(
    (T: Float64Array[], d: number, covariance: Covariance) => T.map((t) => principalAxis(t, d, covariance)),
    (T, d, covariance) => T.length * (covariance === 'full' ? eigen(d) : 10 * d),
  ),
  splitRatios: calculation(
    (prior: Niw, proposals: Parts[], alpha: number, zeta: number) =>
      proposals.map((parts) => logSplitRatio(prior, parts, alpha, zeta)),
    (prior, proposals) => proposals.reduce((sum, { length }) => sum + length + 1, 0) * marginal(prior),
  ),
  mergeRatios: calculation(
    (prior: Niw, T: Float64Array[], pairs: { a: number; b: number }[], alpha: number, zeta: number) =>
      pairs.map(({ a, b }) => logMergeRatio(prior, T[a], T[b], alpha, zeta)),
    (prior, _T, pairs) => 3 * pairs.length * marginal(prior),
  ),
  nearestPairs: calculation(nearestPairs, (points) => 2 * points.length ** 2 * points[0].length),
  totals: calculation(
    (parts: Parts[]) => parts.map(([a, b]) => addStatistics(a, b)),
    (parts) => lengths(parts.flat()) / 8,
  ),
  averageNets: calculation(averageNets, ofNet),
  adamOnGradients: calculation((net: Net, sums: Parameters<typeof averageGradients>[1], rate: number) => {
    const { gradients, loss } = averageGradients(net, sums);
    return { net: adamStep(net, gradients, rate), loss };
  }, ofNet),
  resizeClusteringNet: calculation(resizeClusteringNet, ofNet),
  resizeSubNets: calculation(resizeSubNets, ofNet),
  silhouette: calculation(silhouette, (rows, _d, { length }) => (rows.length * length) / 2),
  scores: calculation(
    (table: Contingency) => ({ nmi: nmi(table), ari: ari(table), acc: accuracy(table) }),
    ({ clusters, classes }) => 20 * Math.max(clusters, classes) ** 3,
  ),
} as const;

export type Calculations = typeof calculations;

/** Errors of calculations that are recognized by their class. */
export const ERRORS = { UserError, NotPositiveDefiniteError };
