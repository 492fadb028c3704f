import { UserError } from '../../../base/user-error.ts';
import { planFeatures } from '../../../data/feature-transform.ts';
import { planTransform } from '../../../data/transform.ts';
import { centresOf } from '../../../model/description/centres.ts';
import { costTheta, eStepOf, roundingAmplification } from '../../../model/estep.ts';
import { annealedSides, type CutAxes, halfLinks, startingSides } from '../../../model/graph/halves.ts';
import { twoNearestNeighbours } from '../../../model/graph/intrinsic-dimension.ts';
import { quality } from '../../../model/graph/louvain.ts';
import { linksBetween, sweptMemberships } from '../../../model/graph/mean-field.ts';
import { mergeTree } from '../../../model/graph/merge-tree.ts';
import { stability } from '../../../model/graph/stability.ts';
import { type DegreeGraph, degrees, symmetrized } from '../../../model/graph/weights.ts';
import { logEvidence, logMergeRatio, logSplitRatio } from '../../../model/hastings.ts';
import { candidatesFor, evidenceTree } from '../../../model/hierarchy/evidence-tree.ts';
import { evidenceHalves } from '../../../model/hierarchy/next-split.ts';
import { leadingEigen } from '../../../model/leading-eigen.ts';
import { dot, NotPositiveDefiniteError, whitener } from '../../../model/linalg.ts';
import { type Mixture, mStep } from '../../../model/mixture.ts';
import { nearestPairs } from '../../../model/neighbours.ts';
import { adamStep, type Net, netSize } from '../../../model/nets/net.ts';
import { resizeClusteringNet, resizeSubNets } from '../../../model/nets/surgery.ts';
import { type Niw, pointEstimate } from '../../../model/niw.ts';
import { renumbered } from '../../../model/numbering.ts';
import { accuracy, ari, type Contingency, nmi, silhouette } from '../../../model/scores.ts';
import { shapeAxes } from '../../../model/splits/fourth-moments.ts';
import { discriminantAxes, discriminantRule, nearestRule } from '../../../model/splits/linear-rule.ts';
import { principalAxis } from '../../../model/splits/pca-split.ts';
import type { Parts } from '../../../model/state.ts';
import { addStatistics, type Covariance, mean, scatter } from '../../../model/statistics.ts';
import { averageGradients, averageNets } from '../net-states.ts';
import { covarianceOfSums, planSignal } from '../preparation/signal.ts';
import { learnedPrior, priorOf } from '../prior.ts';
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
/** Of a union of two clusters, whose statistics are added up first. */
const union = (prior: Niw) => marginal(prior) + 10_000;
const ofNet = ({ shapes }: Net) => 30 * netSize(shapes);

/** All that the coordinator computes and that takes long for many columns or clusters (`calculator.ts` says where). */
export const calculations = {
  dataCovariance: calculation(
    (T: Float64Array, d: number, covariance: Covariance, rows: number) =>
      scatter(T, d, covariance).map((value) => value / (rows - 1)),
    (T) => lengths([T]),
  ),
  planTransform: calculation(planTransform, (choice, { mean, covariance }, _fences) =>
    choice.startsWith('pca:') ? eigen(mean.length) : 10 * covariance.length,
  ),
  planFeatures: calculation(planFeatures, ({ centre }) => eigen(centre.length)),
  covarianceOfSums: calculation(covarianceOfSums, (_n, _s, S) => lengths([S])),
  planSignal: calculation(planSignal, ({ mean }) => eigen(mean.length)),
  priorOf: calculation(priorOf, ({ covariance }, d) => (covariance === 'full' ? eigen(d) : 10 * d)),
  learnedPrior: calculation(learnedPrior, (_prior, _c, { covariances }) => lengths(covariances)),
  mStep: calculation(mStep, (_prior, T) => lengths(T)),
  pointEstimates: calculation(
    (prior: Niw, T: Float64Array[]) => T.map((t) => pointEstimate(prior, t)),
    (_prior, T) => lengths(T),
  ),
  roundingAmplification: calculation(roundingAmplification, ofClusters),
  eStepOf: calculation(eStepOf, ofClusters),
  centresOf: calculation(centresOf, ofClusters),
  costTheta: calculation(costTheta, (_kind, { covariances }) => lengths(covariances)),
  subComponents: calculation(subComponents, ({ d, covariance }, { length }) =>
    ofClusters({ k: 2 * length, d, covariance }),
  ),
  principalAxes: calculation(
    (T: Float64Array[], d: number, covariance: Covariance, metric: Float64Array | null) => {
      const inverse = metric && whitener(metric, d, covariance);
      return T.map((t) => principalAxis(t, d, covariance, inverse));
    },
    (T, d, covariance) => T.length * (covariance === 'full' ? eigen(d) : 10 * d),
  ),
  /** By the nearest of each cluster's centres in the metric of a covariance; null for a cluster without centres. */
  nearestRules: calculation(
    (sets: Float64Array[][][], metric: Float64Array, covariance: Covariance) => {
      const d = sets.flat(2)[0]?.length ?? 0;
      const inverse = whitener(metric, d, covariance);
      return sets.map((clusters) =>
        clusters.map((centres) => (centres.length ? nearestRule(centres, inverse) : null)),
      );
    },
    (sets, { length }) => 4 * sets.flat(2).length * length + length ** 1.5,
  ),
  /** Null for a cluster with less than two parts that have rows. */
  discriminantRules: calculation(
    (prior: Niw, clusters: Parts[]) =>
      clusters.map((parts) =>
        parts.filter(([n]) => n > 0).length > 1 ? discriminantRule(prior, parts) : null,
      ),
    ({ d, covariance }, clusters) => clusters.length * (covariance === 'full' ? 3 * cholesky(d) : 10 * d),
  ),
  discriminantAxes: calculation(
    (prior: Niw, clusters: Parts[]) => clusters.map((parts) => discriminantAxes(prior, parts)),
    ({ d, covariance }, clusters) =>
      clusters.flat().length * 10 * d ** 2 +
      clusters.length * (covariance === 'full' ? 3 * cholesky(d) : 10 * d),
  ),
  /** Mean of each cluster, and what whitens its covariance. */
  whitenings: calculation(
    (prior: Niw, T: Float64Array[]) =>
      T.map((t) => {
        const { mean, covariance } = pointEstimate(prior, t);
        return { centre: mean, inverse: whitener(covariance, prior.d, prior.covariance) };
      }),
    ({ d }, T) => 2 * T.length * cholesky(d),
  ),
  shapeAxes: calculation(
    (F: Float64Array[], d: number, inverses: Float64Array[]) => F.map((f, k) => shapeAxes(f, d, inverses[k])),
    (F, d) => F.length * eigen(d),
  ),
  /** The `count` leading principal axes of each cluster. */
  leadingAxes: calculation(
    (T: Float64Array[], d: number, count: number) =>
      T.map((t) => {
        const centre = mean(t, d);
        const { vectors } = leadingEigen(scatter(t, d, 'full'), d, Math.min(count, d));
        return Array.from({ length: count }, (_, i) => {
          const axis = vectors.slice(Math.min(i, d - 1) * d, (Math.min(i, d - 1) + 1) * d);
          return { axis, centre: dot(axis, centre) };
        });
      }),
    (T, d) => T.length * eigen(d),
  ),
  neighbourGraph: calculation(
    (index: Int32Array, weight: Float64Array, k: number) => {
      const graph = symmetrized(index, weight, k);
      return { graph, degree: degrees(graph) };
    },
    (index) => 100 * index.length,
  ),
  variancesAlongAxes: calculation(
    (covariance: Float64Array, d: number, most: number) => {
      const values =
        covariance.length === d ? covariance : leadingEigen(covariance, d, Math.min(most, d)).values;
      const sorted = Array.from(values).sort((a, b) => b - a);
      // Of axes that do not vary, rounding error is left.
      return sorted.slice(0, most).filter((value) => value > 1e-10 * sorted[0]);
    },
    (covariance, d) => (covariance.length === d ? 0 : eigen(d)),
  ),
  intrinsicDimension: calculation(twoNearestNeighbours, ({ length }) => 100 * length),
  stability: calculation(stability, ({ length }, n) => 20 * length ** 2 * n),
  sweptMemberships: calculation(
    sweptMemberships,
    ({ graph }, _start, _parameters, sweeps) => 10 * graph.index.length * sweeps,
  ),
  clusterLinks: calculation(linksBetween, ({ index }) => 10 * index.length),
  /** Sides of all rows by several cuts of each cluster, and what links the halves. */
  graphCuts: calculation(
    (
      { graph, degree, rows }: DegreeGraph & { rows: Float32Array },
      label: Int32Array,
      clusters: number,
      scale: Float64Array,
      subs: Net,
      axes: CutAxes,
      sweeps: number,
    ) => {
      const cuts = axes.count + 1;
      const of = { graph, label, clusters };
      const side = annealedSides(of, startingSides(rows, scale, label, subs, axes), cuts, sweeps);
      return { side, links: halfLinks(of, side, cuts, degree) };
    },
    ({ graph }, _label, _clusters, _scale, _subs, _axes, sweeps) => 10 * graph.index.length * sweeps,
  ),
  graphQuality: calculation(quality, ({ index }) => 10 * index.length),
  splitRatios: calculation(
    (prior: Niw, proposals: Parts[], alpha: number, zeta: number) =>
      proposals.map((parts) => logSplitRatio(prior, parts, alpha, zeta)),
    (prior, proposals) => proposals.reduce((sum, { length }) => sum + length + 1, 0) * marginal(prior),
  ),
  /** Of several sets of clusters. */
  evidence: calculation(
    (prior: Niw, sets: Float64Array[][], alpha: number, zeta: number) =>
      sets.map((clusters) => logEvidence(prior, clusters, alpha, zeta)),
    (prior, sets) => sets.flat().length * marginal(prior),
  ),
  mergeRatios: calculation(
    (prior: Niw, T: Float64Array[], pairs: { a: number; b: number }[], alpha: number, zeta: number) =>
      pairs.map(({ a, b }) => logMergeRatio(prior, T[a], T[b], alpha, zeta)),
    (prior, _T, pairs) => 3 * pairs.length * marginal(prior),
  ),
  evidenceTree: calculation(
    (prior: Niw, T: Float64Array[], alpha: number) =>
      evidenceTree(prior, T, alpha, candidatesFor(T.length, union(prior))),
    (prior, { length: k }) => 2 * k * Math.min(k, candidatesFor(k, union(prior))) * union(prior),
  ),
  evidenceHalves: calculation(
    evidenceHalves,
    (prior, _T, proposals) => 3 * proposals.flat().length * marginal(prior),
  ),
  mergeTree: calculation(mergeTree, (_W, { length }) => 50 * length ** 2),
  nearestPairs: calculation(nearestPairs, ({ k, d }) => k ** 2 * d ** 2),
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
  renumbered: calculation(renumbered, ({ net, subs }) => ofNet(net) + ofNet(subs)),
  silhouette: calculation(silhouette, (rows, _d, { length }) => (rows.length * length) / 2),
  scores: calculation(
    (table: Contingency) => ({ nmi: nmi(table), ari: ari(table), acc: accuracy(table) }),
    ({ clusters, classes }) => 20 * Math.max(clusters, classes) ** 3,
  ),
} as const;

export type Calculations = typeof calculations;

/** Errors of calculations that are recognized by their class. */
export const ERRORS = { UserError, NotPositiveDefiniteError };
