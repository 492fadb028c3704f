/** The public library. docs/library.md has a list of its functions, and examples. */
export { UserError } from './base/user-error.ts';
export { AbortError } from './library/abort-error.ts';
export { type Cut, type CutOptions, cut } from './library/cut.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './library/evaluate.ts';
export { type ExportedModel, type ExportOptions, exportModel } from './library/export/export.ts';
export { type ExportedMap, type ExportMapOptions, exportMap } from './library/export/export-map.ts';
export { follow } from './library/follow/follow.ts';
export type { FollowedBatch, FollowOptions } from './library/follow/options.ts';
export type { Data, LabelData, Rows } from './library/inputs.ts';
export {
  type AddedWords,
  addWords,
  type NameOptions,
  nameClusters,
  type Renamed,
  type RenameOptions,
  renameCluster,
  type WordsOptions,
} from './library/names.ts';
export {
  type DrawnReport,
  type DrawOptions,
  type FittedMixture,
  openRun,
  type SavedRun,
} from './library/open-run.ts';
export type { ResumeOptions, RunOptions, TrainOptions, UpdateOptions } from './library/options.ts';
export type { Prediction, PredictOptions } from './library/predict.ts';
export { predict } from './library/predict-files.ts';
export type { RunResult } from './library/result.ts';
export type { Run } from './library/run.ts';
export type {
  FollowOwnOptions,
  ModelOptions,
  ProgramOptions,
  UpdateOwnOptions,
} from './library/run-options.ts';
export { type ModelServer, type ServeOptions, serve } from './library/serve/serve.ts';
export { type Synthetic, type SynthOptions, synth } from './library/synth.ts';
export { resume, train } from './library/train.ts';
export { update } from './library/update.ts';
export type { Decision, EvidenceForK } from './model/gaussian/evidence-for-k.ts';
export type { NextSplit } from './model/hierarchy/dendrogram.ts';
export type { Change, EndReason } from './model/schedule.ts';
export type { Departure, Likelihood, RunEvent, TimedEvent } from './run/events.ts';
export type { JoinedCluster } from './run/passes/cut.ts';
export type { NamedClusters } from './run/passes/name.ts';
export type {
  ApartColumn,
  BorderRow,
  ClusterDescription,
  ClusterEvidence,
  ExemplarRow,
  ShownRow,
  UpdateSummary,
} from './run/saved-clusters.ts';
export type { Alternation, Replicates, Scores, Stability } from './run/summary.ts';
