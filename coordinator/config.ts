import type { TransformChoice } from '../data/transform.ts';
import type { PriorScaleChoice } from '../model/niw.ts';
import type { Covariance } from '../model/statistics.ts';

/** All that a run's result depends on, besides the data. Names are those of the flags; defaults stand in cli/flags.ts. */
export interface RunConfig {
  data: string;
  labels: string | null;
  seed: string;
  shards: number;
  schedule: 'fast' | 'paper';
  maxEpochs: number;
  splitMergeEvery: number;
  freeze: number;
  earlyStop: boolean;
  lr: number;
  subLr: number;
  batchSize: number;
  localSteps: number;
  hidden: number[];
  initK: number;
  alpha: number;
  priorScale: number;
  priorScaleChoice: PriorScaleChoice;
  /** Null: D + 2. */
  priorNu: number | null;
  priorKappa: number;
  covariance: Covariance;
  weightSmoothing: number;
  clusterLoss: 'kl' | 'isotropic' | 'diag';
  subLoss: 'isotropic' | 'kl';
  /** n₀; null: max(10,000, 1,000·D); 0: no coarsening. */
  coarsening: number | null;
  /** Rows; null: max(20,000, 1,000·D); 0: all. */
  sample: number | null;
  transform: TransformChoice;
  soft: boolean;
}
