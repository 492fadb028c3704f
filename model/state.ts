import type { Mixture } from './mixture.ts';
import type { Net } from './nets/net.ts';
import type { Niw } from './niw.ts';
import type { Pace, Step } from './schedule.ts';

/** The statistics T of each part of a cluster. */
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
  /** The latest split and merge steps (`withStep`). */
  readonly steps: Step[];
  /** With the graph likelihood; then the mixture only describes the clusters. */
  readonly graph?: GraphState;
}

/** What the graph likelihood has besides the nets (docs/algorithm.md, section 11). */
export interface GraphState {
  /** γ. */
  readonly resolution: number;
  /** How well partitions of random shares of the sample agree at γ; null: at none they do, so K is 1. */
  readonly stability: number | null;
  /** The least and the largest number of clusters in these partitions; null where `stability` is. */
  readonly range: readonly [least: number, largest: number] | null;
  /** The cluster of each sample row after the last step that changed them, which the clustering net learns while `frozen`. */
  readonly labels: Int32Array;
}
