import type { Densities } from '../../model/gaussian/estep.ts';
import type { ComponentTree, Dendrogram } from '../../model/hierarchy/dendrogram.ts';
import { diagonalOf } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import type { Layer } from '../../model/nets/net.ts';
import type { Covariance } from '../../model/statistics.ts';
import type { NamedRow } from '../../run/described.ts';
import type { Likelihood, TimedEvent } from '../../run/events.ts';
import type { Epochs } from '../../run/history.ts';
import type { Summary } from '../../run/summary.ts';

/** The responses of the coordinator's HTTP port, which the live page reads. */

export const STATUSES = ['starting', 'running', 'paused', 'finishing', 'done', 'failed', 'stopped'] as const;
export type Status = (typeof STATUSES)[number];

/** `GET /api/run` */
export interface RunInfo {
  name: string;
  out: string;
  status: Status;
  /** The resolved config, with absolute paths. Typed: the options that are read by name. */
  config: { maxEpochs: number; [option: string]: unknown };
  versions: Record<string, string>;
  /** Null until the first worker has connected. */
  identity: string | null;
  /** Names of the connected workers. */
  workers: string[];
  /** `sample`: null until the data are read. */
  data: { path: string; rows: number; dim: number; sample: number | null };
  /** Whether this page may pause, checkpoint and stop the run. */
  controls: boolean;
}

/** `GET /api/result`, once the run is done. */
export interface Outcome {
  result: Summary;
  /** Absolute paths: of the run directory, and of the report if there is one yet. */
  directory: string;
  report: string | null;
}

/** A task on a worker: worker, task, epoch, round, first and last shard, start and end in seconds since the run began. */
export type WorkSpan = [string, string, number, number, number, number, number, number];

/** `GET /api/history` */
export interface History {
  epochs: Epochs;
  events: TimedEvent[];
  work: WorkSpan[];
}

/** The tree of merges above the clusters of the result: `tree.json` of the run directory. */
export interface MergeTree extends Dendrogram {
  likelihood: Likelihood;
  /** What heights are, for people. */
  measure: string;
  /** Which clusters would split next, and into about how many rows each, the first in front. */
  next?: readonly { cluster: number; sizes: readonly number[]; height: number }[];
  /** How components join within clusters of several. */
  components?: readonly ComponentTree[];
  /** The labels of its clusters, where these are not their numbers. */
  ids?: readonly number[];
}

/** `GET /api/state`, in model coordinates. */
export interface StateOf {
  epoch: number;
  /** Components of the mixture: the clusters, unless there are `groups`. */
  k: number;
  /** Once all rows are labelled: the cluster of each component, where some clusters have several. */
  groups?: readonly number[];
  /** Epochs for which the mixture stays frozen. */
  frozen: number;
  weights: number[];
  means: number[][];
  /** Each D×D, or only its diagonal (`diag`) if the model has diagonal covariances or D×D would be too large. */
  covariances: number[][];
  covariance: Covariance;
  /** Soft counts of the training sample, by component. */
  sizes: number[];
  /** Rows of each cluster by the labels of all rows; null until the full pass is over. */
  counts: number[] | null;
  /** The labels of the clusters, once the rows of an update have them; else labels are the numbers of clusters. */
  ids?: readonly number[];
  /** Of the clusters with rows, which have the first numbers; null until the full pass is over, and where the run has none. */
  tree: MergeTree | null;
  /** log H of splitting each cluster, as last proposed; null if not known, and of those with several components. */
  splitRatio: (number | null)[];
  /** Of which rows `GET /api/sample` is: another number, other rows, as the codes of an encoder that has learned more. */
  sample: number;
  /** What labels rows: the clustering net, or the mixture. Numbers are float32, little-endian, in base64. */
  classifier:
    | { net: (Pick<Layer, 'rows' | 'cols'> & { weights: string; bias: string })[] }
    | { mixture: Record<keyof Densities, string> };
  /** Factors from network coordinates to model coordinates. */
  scale: number[];
}

/** One message of `GET /api/stream`. `state` announces a new state, to be fetched with `GET /api/state`. */
export type Message =
  | { type: 'epoch'; epoch: number; time: number; k: number; loss: number | null; subLoss: number | null }
  | { type: 'event'; event: TimedEvent }
  | { type: 'state'; epoch: number; k: number }
  | { type: 'work'; work: WorkSpan[] }
  | { type: 'status'; status: Status };

const OVER: readonly Status[] = ['done', 'failed', 'stopped'];
export const isOver = (status: Status) => OVER.includes(status);

/** A row of the data: `GET /api/rows`. */
export interface RowContent extends NamedRow {
  /** As a data URI, where rows are images. */
  image?: string;
  /** The first columns; of no image. */
  values?: number[];
  /** What describes it. */
  text?: string;
}

/** `GET /api/rows?rows=1,2,3` */
export interface RowContents {
  /** Names of the first columns; null where they have none. */
  names: string[] | null;
  rows: RowContent[];
}

type Score = 'k' | 'nmi' | 'ari' | 'acc' | 'silhouette' | 'epochs' | 'seconds';

/** A run in the table of runs. */
export interface RunRow {
  name: string;
  /** Its directory. */
  out: string;
  rows: number;
  columns: number;
  /** Null: it is not finished. */
  result: Pick<Summary, Score> | null;
  /** The values of the options of `RunTable`, in their order, as text. */
  options: string[];
}

/** `GET /api/runs` */
export interface RunTable {
  runs: RunRow[];
  /** The options in which the runs differ. */
  options: string[];
}

/** `GET /api/compare?a=0&b=1`: the clusters of two runs on the same rows. */
export interface RunComparison {
  rows: number;
  ari: number;
  nmi: number;
  /** The share of rows in clusters that are matched one to one; null without a table. */
  matched: number | null;
  /** Clusters of `a` (lines) against those of `b`, in an order in which matched ones lie on the diagonal; null: too many. */
  table: { a: string[]; b: string[]; counts: number[][] } | null;
}

/** If all covariances together have more numbers than this, only their diagonals are sent. */
const MAX_COVARIANCE_NUMBERS = 100_000;

type Model = 'k' | 'weights' | 'means' | 'covariances' | 'covariance' | 'scale';

/** The mixture as in the body of `/api/state`. */
export function modelOf(mixture: Mixture, { scale }: { scale: ArrayLike<number> }): Pick<StateOf, Model> {
  const { k, d, weights, means, covariances, covariance } = mixture;
  const full = covariance === 'full' && k * d * d <= MAX_COVARIANCE_NUMBERS;
  return {
    k,
    weights: [...weights],
    means: means.map((mean) => [...mean]),
    covariances: covariances.map((matrix) => [...(full ? matrix : diagonalOf(matrix, d))]),
    covariance: full ? 'full' : 'diag',
    scale: Array.from(scale),
  };
}

/** Bytes as a text that JSON can have, and back. */
export function base64Of(bytes: Uint8Array): string {
  let text = '';
  // A call cannot have more arguments.
  for (let at = 0; at < bytes.length; at += 1 << 15)
    text += String.fromCharCode(...bytes.subarray(at, at + (1 << 15)));
  return btoa(text);
}

export const bytesIn = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
