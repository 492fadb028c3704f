import type { Labels } from '../../data/label-spec.ts';
import type { Source } from '../../data/source.ts';
import type { Transform } from '../../data/transform.ts';
import type { Centres } from '../../model/description/distances.ts';
import type { MapNet } from '../../model/graph/map-net.ts';
import type { Layout } from '../../model/layout.ts';
import type { EndReason } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import type { Lineage } from '../../model/stream/findings.ts';
import type { Stream } from '../../model/stream/stream.ts';
import type { Checkpoint, RunTotals } from '../../run/checkpoint.ts';
import type { Checkpoints, SavedCheckpoint } from '../../run/checkpoints.ts';
import type { RunConfig } from '../../run/config.ts';
import type { DataMoments } from '../../run/data-moments.ts';
import type { FullPassResult } from '../../run/descriptions.ts';
import type { Encoding } from '../../run/encoding.ts';
import type { Emit } from '../../run/events.ts';
import type { DescribedTexts } from '../../run/passes/describe-texts.ts';
import type { RunDirectory } from '../../run/run-directory.ts';
import { type RunMetadata, type UpdateRequest, withAbsolutePaths } from '../../run/run-file.ts';
import type { Summary } from '../../run/summary.ts';
import type { SavedTree } from '../../run/tree.ts';
import type { Dispatcher } from '../rounds/dispatcher.ts';
import type { Server } from '../rounds/server.ts';
import type { DataCheck } from './data-check.ts';
import type { Continuation } from './inputs.ts';
import type { Reading } from './reading/reading.ts';
import type { Prepared } from './run-context.ts';
import type { EarlyFinish, Stage } from './stage.ts';
import type { Observer } from './train.ts';
import type { Trainer } from './trainer.ts';

/** Do workers write what there is of each row, in parts? An update has whole files. */
export const isInParts = ({ config, update }: Ports<'config' | 'update'>) =>
  config.labelsOut === 'shards' && !update;

/** Where a resumed run continues. */
export interface ResumedInput {
  /** Null to start again. */
  from: SavedCheckpoint | null;
  /** Why a checkpoint is not of this run; null: it is. */
  mismatch: (checkpoint: Checkpoint) => string | null;
  /** The fingerprint of the rows that the run had. */
  fingerprint: string;
  how: Continuation;
}

/** What an update begins with. */
export interface Update {
  /** The sample of all rows so far, in the order of its keys. */
  readonly sample: Source;
  readonly layout: Layout;
  /** The new rows, or their latent vectors, and the first reading of these. */
  readonly rows: Pick<RunState, 'source' | 'layout'>;
  readonly read: DataMoments;
  /** The stream with the new rows, which have no labels yet. */
  readonly stream: Stream;
  readonly transform: Transform;
  /** The clusters before. */
  readonly state: State;
  /** Which of them need not be searched for splits. */
  readonly unchanged: readonly boolean[];
  /** The cluster before of each row of the sample: −1 new or gone, −2 an outlier. */
  readonly before: () => Promise<Int32Array>;
}

/** What the stages of a run work with; none of it changes while they do. */
export interface RunContext {
  config: RunConfig;
  /** The rows of the data. */
  source: Source;
  /** The column of the data that holds the labels and is not in `source`. */
  leftOut?: string | null;
  labels: Labels | null;
  layout: Layout;
  server: Server;
  /** Its errors name the data. */
  dispatcher: Dispatcher;
  reading: Reading;
  trainer: Trainer;
  /** Compares what workers read from their own files with the coordinator's; null: there is nothing to compare. */
  check: DataCheck | null;
  out: RunDirectory;
  checkpoints: Checkpoints;
  /** Null for a new run. */
  resume: ResumedInput | null;
  /** The run is an update of another one. */
  update?: UpdateRequest | null;
  /** Of an update: its stages, in place of the first and the last of a run. */
  updateStages?: (context: RunContext) => Record<'begin' | 'draw' | 'prepare' | 'label', RunStage>;
  /** From now on these rows are clustered, also for workers and page. */
  serve: (source: Source, layout: Layout) => void;
  emit: Emit;
  warn: (message: string) => void;
  observer?: Observer;
  /** If training is paused, a promise that resolves when the next epoch may begin; else null. */
  held?: () => Promise<void> | null;
  earlyFinish: EarlyFinish;
  /** Called when the results are written; replicates may follow. */
  written?: () => void;
  /** Ends replicates early. */
  signal?: AbortSignal;
  versions: Record<string, string>;
  /** Tells it apart from other runs of its name. */
  id: string;
  /** Workers may have different numeric identities. */
  mixed?: boolean;
  /** The totals of all sessions so far. */
  spent(): RunTotals;
}

/** Those of these names: a stage is given what it names, and no more. */
export type Ports<K extends keyof RunContext> = Pick<RunContext, K>;

/** Those by which run.json says what the run is of. */
export type MetadataPorts = Ports<
  'config' | 'source' | 'leftOut' | 'layout' | 'server' | 'update' | 'versions' | 'id' | 'mixed'
>;

/** What a run has found so far: each stage adds to it. */
export interface RunState {
  /** What is clustered: the rows of the data, or their latent vectors. */
  readonly source: Source;
  readonly layout: Layout;
  /** Null without an encoder, or before its training begins. */
  readonly encoding: Encoding | null;
  /** Of an update, once its sample is drawn. */
  readonly update: Update | null;
  /** The user has asked the encoder to end early: no alternation follows. */
  readonly isLastAlternation: boolean;
  /** The first reading of what is clustered. */
  readonly data: DataMoments | null;
  /** The net of the map, which is made while clusters are trained; null before. */
  readonly map: Promise<MapNet> | null;
  /** What is fixed for the training of clusters. */
  readonly run: Prepared | null;
  /** The clusters, in training. */
  readonly clusters: State | null;
  /** Why their training has ended. */
  readonly ended: EndReason | null;
  readonly labelled: Labelled | null;
  readonly summary: Summary | null;
  /** Nothing is left to do. */
  readonly isDone: boolean;
}

export type RunStage = Stage<RunState, Checkpoint>;

/** All rows have labels. From here on clusters are numbered by size, the largest 0; in an update, in the order of their ids. */
export interface Labelled {
  /** What the full pass has found; `order`: the number that each component had in training. */
  found: FullPassResult;
  silhouette: number | null;
  /** From where distances are measured. */
  centres: Centres;
  state: State;
  /** Rows of each cluster that was added, as the sample had missed it. */
  added: number[];
  /** The tree of merges above the clusters; null where they are too flat for it. */
  tree: SavedTree | null;
  /** Of an update: the stream after it, and what became of clusters. */
  stream?: Stream;
  /** Its components among those of the state. */
  kept?: number[];
  lineage?: Lineage[];
  /** What the texts of its sample are about; null without texts. */
  texts?: DescribedTexts | null;
}

/** The totals of the session that began at `startTime`, added to those `before`. */
export function totalsSince(before: RunTotals | null, server: Server, startTime: number): RunTotals {
  const { rounds, rowsRead, workers } = server.totals();
  return {
    seconds: (before?.seconds ?? 0) + (performance.now() - startTime) / 1000,
    rounds: (before?.rounds ?? 0) + rounds,
    rowsRead: (before?.rowsRead ?? 0) + rowsRead,
    workers: Math.max(before?.workers ?? 0, workers),
  };
}

/** What run.json says of a run before its result. `hashes`: of the rows of the data. */
export function metadataOf(input: MetadataPorts, state: RunState, hashes: Uint8Array): RunMetadata {
  const { config, source, layout, leftOut, versions, id, server, mixed } = input;
  const { run, data, encoding, update } = state;
  const read = update?.read ?? data;
  const backend = server.backend() ?? undefined;
  return {
    ...{ id, config, layout, versions, hashes },
    dtype: source.dtype,
    shape: source.shape,
    table: source.table,
    logged: source.logged,
    leftOut: leftOut ?? null,
    identity: server.identity(),
    backend: backend && { ...backend, mixed: mixed === true },
    codes: encoding && read && { hashes: read.hashes, dim: state.layout.dim },
    sample: update && data && { hashes: data.hashes },
    update: input.update ?? null,
    fences: data?.fences ?? null,
    likelihood: run?.why == null ? null : { name: run.likelihood.name, why: run.why },
  };
}

/** What every checkpoint of a run has, of a stage that works on rows of this layout. */
export const aboutCheckpoint = (
  { config, server, spent }: Ports<'config' | 'server' | 'spent'>,
  layout: Layout,
) => ({
  config: withAbsolutePaths(config),
  identity: server.identity()!,
  layout,
  spent: spent(),
});
