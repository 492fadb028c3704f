import { CLOSED, clusterCount, type Groups, regrouped } from './gaussian/components.ts';
import { type Densities, eStepOf, mostLikely } from './gaussian/estep.ts';
import type { Niw } from './gaussian/niw.ts';
import type { Background } from './gaussian/noise.ts';
import type { Mixture } from './mixture.ts';
import {
  argmaxRows,
  type Layer,
  layersOf,
  logits,
  type Net,
  type OutputUnit,
  resizeClusteringNet,
  resizeSubNets,
} from './nets/net.ts';
import { isUnchanged, type Order } from './order.ts';
import type { Pace, Schedule, Step } from './schedule.ts';

/** The statistics T of each sub-cluster of a cluster. */
export type Parts = Float64Array[];

/** The rows on which the model is trained. */
export interface Sample {
  /** A row belongs to them if its priority, uniform in [0, 1), is below this. */
  readonly below: number;
  readonly rows: number;
  /** The fewest rows of a shard that has some. */
  readonly smallestShard: number;
}

/** Everything that an epoch reads and changes: what a checkpoint has to hold to continue. */
export interface State extends Pace {
  readonly epoch: number;
  readonly sample: Sample;
  readonly mixture: Mixture;
  /** The prior of the mixture; its Ψ changes during the run where it is learned. */
  readonly prior: Niw;
  /** The clustering net. */
  readonly net: Net;
  /** The K sub-clustering nets, stacked. */
  readonly subs: Net;
  /** Statistics of the two sub-clusters of each cluster, from the last refinement or PCA split. */
  readonly parts: Parts[];
  /** Statistics of each cluster after the last merge step; empty before the first one. */
  readonly merged: Float64Array[];
  /** Have clusters been found that overlap? From then on rows go to clusters by the mixture. */
  readonly overlaps: boolean;
  /** The latest split and merge steps (`withStep`). */
  readonly steps: Step[];
  /** With the graph likelihood; then the mixture only describes the clusters. */
  readonly graph?: GraphState;
  /** Once training has ended: the cluster of each component of the mixture, where some clusters have several. */
  readonly groups?: Groups;
  /** Then too, with `--noise`: what explains the rows that are in no cluster, where there are such. */
  readonly background?: Background;
}

/** The clusters of a state, which are its components until some are found to be pieces of one. */
export const clusterCountOf = ({ mixture, groups }: Pick<State, 'mixture' | 'groups'>): number =>
  clusterCount(mixture.k, groups);

/** Which rows of a sample are near copies of others: these are left out of it. */
export interface Copies {
  /** For each row of the sample as it was drawn the first one of its group; itself, if it stays in the sample. */
  readonly of: Int32Array;
  /** The first row of each shard among these, and the end. */
  readonly starts: Int32Array;
}

/** What the graph likelihood has besides the nets (docs/algorithm.md, section 11). */
export interface GraphState {
  /** γ. */
  readonly resolution: number;
  /** How well partitions of random shares of the sample agree at γ; null: at none they do, so K is 1. */
  readonly stability: number | null;
  /** The least and the largest number of clusters in these partitions; null where `stability` is. */
  readonly range: readonly [least: number, largest: number] | null;
  /** Null: there are none, or they were not looked for. */
  readonly copies: Copies | null;
  /** The cluster of each sample row after the last step that changed them, which the clustering net learns while `frozen`. */
  readonly labels: Int32Array;
}

/** The output units of a net in this order. */
const unitsIn = (order: Order): OutputUnit[] => order.map((from) => ({ from, share: 1, fresh: false }));

/**
 * The state with its clusters renumbered: units of the nets with their Adam moments, mixture and sub-clusters. `merged` stays as it
 * is: it is the set of clusters after the last merge step, which may not be those of now.
 */
export function renumbered(state: State, order: Order): State {
  return isUnchanged(order) ? state : ofUnits(state, order);
}

/** The state of these components alone, in this order. */
export function ofUnits(state: State, order: Order): State {
  const { mixture, parts, net, subs, groups } = state;
  const inOrder = <T>(values: readonly T[]) => order.map((old) => values[old]);
  const units = unitsIn(order);
  return {
    ...state,
    mixture: {
      ...mixture,
      k: order.length,
      weights: Float64Array.from(order, (old) => mixture.weights[old]),
      means: inOrder(mixture.means),
      covariances: inOrder(mixture.covariances),
    },
    parts: inOrder(parts),
    net: resizeClusteringNet(net, units),
    // None of them is drawn anew, so seed and epoch do not matter.
    subs: resizeSubNets(subs, units, 0n, 0),
    ...(groups && { groups: regrouped(groups, order) }),
  };
}

/** The state as training on other rows takes it over: of the graph it has γ alone. */
export const onSample = (state: State, sample: Sample): State => ({
  ...state,
  sample,
  ...(state.graph && { graph: { ...state.graph, copies: null, labels: new Int32Array(sample.rows) } }),
});

/** The state with these clusters without rows, by the net and by the mixture. */
export function withoutClusters(state: State, clusters: readonly number[]): State {
  const { net, mixture } = state;
  const bias = net.params.at(-1)!.slice();
  const weights = mixture.weights.slice();
  for (const cluster of clusters) [bias[cluster], weights[cluster]] = [CLOSED, 0];
  return {
    ...state,
    net: { ...net, params: [...net.params.slice(0, -1), bias] },
    mixture: { ...mixture, weights },
  };
}

/** What gives rows, in network coordinates, their clusters: the clustering net, or the mixture with the cluster of each component. */
export type Classifier =
  | { readonly net: readonly Layer[] }
  | { readonly mixture: Densities; readonly groups?: Groups; readonly background?: Background };

/** In more columns K·D² operations a row take too long. */
export const MOST_LABELLED_BY_MIXTURE = 64;

/**
 * Do rows get their labels by the mixture? It is what training has found, and the net, which learns from it, cannot represent each. But a
 * graph has none, many columns take too long, and in the paper it is the net that labels.
 */
export const labelsByMixture = (
  schedule: Schedule['name'],
  { graph, mixture }: Pick<State, 'graph' | 'mixture'>,
) => schedule !== 'paper' && !graph && mixture.d <= MOST_LABELLED_BY_MIXTURE;

/** What labels the rows of a state. NotPositiveDefiniteError where clusters are too flat. */
export const classifierOf = (
  schedule: Schedule['name'],
  state: Pick<State, 'graph' | 'mixture' | 'net' | 'groups' | 'background'>,
  scale: Float64Array,
): Classifier => {
  if (!labelsByMixture(schedule, state)) return { net: layersOf(state.net) };
  const mixture = eStepOf(state.mixture, scale, 'cholesky');
  const { groups, background } = state;
  return { mixture, ...(groups && { groups }), ...(background && { background }) };
};

/** The cluster of each row, by float64 sums: that of its most likely component. */
export function classify(by: Classifier, rows: Float32Array): Int32Array {
  if ('net' in by) return argmaxRows(logits(by.net, rows), by.net.at(-1)!.cols);
  const components = mostLikely(by.mixture, rows);
  return by.groups ? components.map((component) => by.groups![component]) : components;
}
