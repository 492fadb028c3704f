import type { Mixture } from './mixture.ts';
import type { Net } from './net.ts';
import type { Step } from './schedule.ts';

/** Statistics of a cluster's parts. */
export type Parts = Float64Array[];

/** All that an epoch starts from and changes. */
export interface State {
  readonly epoch: number;
  readonly mixture: Mixture;
  readonly net: Net;
  readonly subs: Net;
  /** Statistics of the two sub-clusters of each cluster, as the last refinement or PCA split left them. */
  readonly parts: Parts[];
  /** Epochs for which means and covariances stay as they are. */
  readonly frozen: number;
  readonly steps: Step[];
}
