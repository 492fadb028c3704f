import type { Mixture } from './mixture.ts';
import type { Net } from './net.ts';
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
}
