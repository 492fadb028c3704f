import { UserError } from '../../../base/user-error.ts';
import { covarianceOfSums, planFeatures, planSignal, planTransform } from '../../../data/transform.ts';
import { centresOf } from '../../../model/description/distances.ts';
import { eStepOf, roundingAmplification } from '../../../model/estep.ts';
import { annealedSides, type CutAxes, halfLinks, startingSides } from '../../../model/graph/halves.ts';
import { linksBetween, sweptMemberships } from '../../../model/graph/mean-field.ts';
import { stability, twoNearestNeighbours } from '../../../model/graph/stability.ts';
import { type DegreeGraph, degrees, symmetrized } from '../../../model/graph/weights.ts';
import { logEvidence, logMergeRatio, logSplitRatio } from '../../../model/hastings.ts';
import { candidatesFor, evidenceHalves, evidenceTree } from '../../../model/hierarchy/evidence-tree.ts';
import { mergeTree } from '../../../model/hierarchy/merge-tree.ts';
import { dot, NotPositiveDefiniteError, rank, whitener } from '../../../model/linalg.ts';
import { mStep, nearestPairs } from '../../../model/mixture.ts';
import { adamStep, averageGradients, averageNets, type Net } from '../../../model/nets/net.ts';
import { resizeClusteringNet, resizeSubNets } from '../../../model/nets/surgery.ts';
import { learnedPrior, type Niw, niwPrior, pointEstimate } from '../../../model/niw.ts';
import { leadingEigen } from '../../../model/principal-axes.ts';
import { accuracy, ari, type Contingency, nmi, silhouette } from '../../../model/scores.ts';
import {
  discriminantAxes,
  discriminantRule,
  nearestRule,
  principalAxis,
  shapeAxes,
} from '../../../model/splits.ts';
import { type Parts, renumbered } from '../../../model/state.ts';
import { addStatistics, type Covariance, mean, scatter } from '../../../model/statistics.ts';

/** About how long the evidence of a union of two clusters takes, ns. */
const ofUnion = ({ d, covariance }: Niw) => 10_000 + (covariance === 'full' ? d ** 3 + 10 * d ** 2 : 20 * d);

/** All that the coordinator computes in its thread: pure functions, some of which take long for many columns or clusters. */
export const calculations = {
  dataCovariance: (T: Float64Array, d: number, covariance: Covariance, rows: number) =>
    scatter(T, d, covariance).map((value) => value / (rows - 1)),
  planTransform,
  planFeatures,
  covarianceOfSums,
  planSignal,
  rank,
  niwPrior,
  learnedPrior,
  mStep,
  pointEstimates: (prior: Niw, T: Float64Array[]) => T.map((t) => pointEstimate(prior, t)),
  roundingAmplification,
  eStepOf,
  centresOf,
  principalAxes: (T: Float64Array[], d: number, covariance: Covariance, metric: Float64Array | null) => {
    const inverse = metric && whitener(metric, d, covariance);
    return T.map((t) => principalAxis(t, d, covariance, inverse));
  },
  /** By the nearest of each cluster's centres in the metric of a covariance; null for a cluster without centres. */
  nearestRules: (sets: Float64Array[][][], metric: Float64Array, covariance: Covariance) => {
    const d = sets.flat(2)[0]?.length ?? 0;
    const inverse = whitener(metric, d, covariance);
    return sets.map((clusters) =>
      clusters.map((centres) => (centres.length ? nearestRule(centres, inverse) : null)),
    );
  },
  /** Null for a cluster with less than two parts that have rows. */
  discriminantRules: (prior: Niw, clusters: Parts[]) =>
    clusters.map((parts) =>
      parts.filter(([n]) => n > 0).length > 1 ? discriminantRule(prior, parts) : null,
    ),
  discriminantAxes: (prior: Niw, clusters: Parts[]) =>
    clusters.map((parts) => discriminantAxes(prior, parts)),
  /** Mean of each cluster, and what whitens its covariance. */
  whitenings: (prior: Niw, T: Float64Array[]) =>
    T.map((t) => {
      const { mean, covariance } = pointEstimate(prior, t);
      return { centre: mean, inverse: whitener(covariance, prior.d, prior.covariance) };
    }),
  shapeAxes: (F: Float64Array[], d: number, inverses: Float64Array[]) =>
    F.map((f, k) => shapeAxes(f, d, inverses[k])),
  /** The `count` leading principal axes of each cluster. */
  leadingAxes: (T: Float64Array[], d: number, count: number) =>
    T.map((t) => {
      const centre = mean(t, d);
      const { vectors } = leadingEigen(scatter(t, d, 'full'), d, Math.min(count, d));
      return Array.from({ length: count }, (_, i) => {
        const axis = vectors.slice(Math.min(i, d - 1) * d, (Math.min(i, d - 1) + 1) * d);
        return { axis, centre: dot(axis, centre) };
      });
    }),
  neighbourGraph: (index: Int32Array, weight: Float64Array, k: number) => {
    const graph = symmetrized(index, weight, k);
    return { graph, degree: degrees(graph) };
  },
  variancesAlongAxes: (covariance: Float64Array, d: number, most: number) => {
    const values =
      covariance.length === d ? covariance : leadingEigen(covariance, d, Math.min(most, d)).values;
    const sorted = Array.from(values).sort((a, b) => b - a);
    // Of axes that do not vary, rounding error is left.
    return sorted.slice(0, most).filter((value) => value > 1e-10 * sorted[0]);
  },
  intrinsicDimension: twoNearestNeighbours,
  stability,
  sweptMemberships,
  clusterLinks: linksBetween,
  /** Sides of all rows by several cuts of each cluster, and what links the halves. */
  graphCuts: (
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
  splitRatios: (prior: Niw, proposals: Parts[], alpha: number, zeta: number) =>
    proposals.map((parts) => logSplitRatio(prior, parts, alpha, zeta)),
  /** The evidence of several sets of clusters. */
  evidence: (prior: Niw, sets: Float64Array[][], alpha: number, zeta: number) =>
    sets.map((clusters) => logEvidence(prior, clusters, alpha, zeta)),
  mergeRatios: (
    prior: Niw,
    T: Float64Array[],
    pairs: { a: number; b: number }[],
    alpha: number,
    zeta: number,
  ) => pairs.map(({ a, b }) => logMergeRatio(prior, T[a], T[b], alpha, zeta)),
  evidenceTree: (prior: Niw, T: Float64Array[], alpha: number) =>
    evidenceTree(prior, T, alpha, candidatesFor(T.length, ofUnion(prior))),
  evidenceHalves,
  mergeTree,
  nearestPairs,
  totals: (parts: Parts[]) => parts.map(([a, b]) => addStatistics(a, b)),
  averageNets,
  adamOnGradients: (net: Net, sums: Parameters<typeof averageGradients>[1], rate: number) => {
    const { gradients, loss } = averageGradients(net, sums);
    return { net: adamStep(net, gradients, rate), loss };
  },
  resizeClusteringNet,
  resizeSubNets,
  renumbered,
  silhouette,
  scores: (table: Contingency) => ({ nmi: nmi(table), ari: ari(table), acc: accuracy(table) }),
};

export type Calculations = typeof calculations;

/** Errors of calculations that are recognized by their class. */
export const ERRORS = { UserError, NotPositiveDefiniteError };
