/** The public library. docs/library.md has examples, docs/api.md is the reference. */
export { UserError } from './base/user-error.ts';
export type {
  ApartColumn,
  BorderRow,
  ClusterDescription,
  ClusterEvidence,
  ExemplarRow,
  ShownRow,
} from './data/saved/saved-clusters.ts';
export { type Cut, cut, type JoinedCluster } from './library/cut.ts';
export { type Evaluation, evaluate } from './library/evaluate.ts';
export {
  type DrawnReport,
  type DrawOptions,
  type FittedMixture,
  openRun,
  type SavedRun,
} from './library/open-run.ts';
export type {
  CutOptions,
  Data,
  EvaluateOptions,
  LabelData,
  ModelOptions,
  PredictOptions,
  ResumeOptions,
  Rows,
  RunOptions,
  SynthOptions,
  TrainOptions,
} from './library/options.ts';
export { type Prediction, predict } from './library/predict.ts';
export type { RunResult, Scores } from './library/result.ts';
export { resume } from './library/resume.ts';
export { AbortError, type Run } from './library/run.ts';
export { type Synthetic, synth } from './library/synth.ts';
export { train } from './library/train.ts';
export type { NextSplit } from './model/hierarchy/dendrogram.ts';
export type { Change, EndReason } from './model/schedule.ts';
export type { Departure, Likelihood, RunEvent, TimedEvent } from './view/events.ts';
export type { Alternation, Replicates, Stability } from './view/summary.ts';
