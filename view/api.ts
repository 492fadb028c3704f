import type { Layer } from '../model/forward.ts';
import type { Covariance } from '../model/statistics.ts';
import type { TimedEvent } from './events.ts';

/** What the coordinator's HTTP port answers: the page and `dpmesh watch` read it. */

export const STATUSES = ['starting', 'running', 'paused', 'finishing', 'done', 'failed', 'stopped'] as const;
export type Status = (typeof STATUSES)[number];
/** Nothing comes after these. */
export const OVER: readonly Status[] = ['done', 'failed', 'stopped'];

/** `GET /api/run` */
export interface RunInfo {
  name: string;
  out: string;
  status: Status;
  /** Resolved, with absolute paths; of its options, those that are read by name. */
  config: { maxEpochs: number; [option: string]: unknown };
  versions: Record<string, string>;
  /** Null until the first worker is here. */
  identity: string | null;
  /** That are here. */
  workers: string[];
  /** `sample`: null until the data are read. */
  data: { path: string; rows: number; dim: number; sample: number | null };
  /** May this page pause, checkpoint and stop the run? */
  controls: boolean;
  /** Do those need a token? */
  token: boolean;
}

/** Columns of equal length, epochs ascending. Time: seconds since the run began. */
export interface Epochs {
  epoch: number[];
  time: number[];
  k: number[];
  loss: (number | null)[];
  subLoss: (number | null)[];
}

/** worker, task, epoch, round, first and last shard, start and end in seconds since the run began. */
export type Work = [string, string, number, number, number, number, number, number];

/** `GET /api/history` */
export interface History {
  epochs: Epochs;
  events: TimedEvent[];
  work: Work[];
}

/** `GET /api/state`, in the model's coordinates. */
export interface StateOf {
  epoch: number;
  k: number;
  /** Epochs for which means and covariances stay as they are. */
  frozen: number;
  weights: number[];
  means: number[][];
  /** Each D×D; the diagonals only (`diag`) where the model has no more, or they would be too many numbers. */
  covariances: number[][];
  covariance: Covariance;
  /** Soft counts of the training sample. */
  sizes: number[];
  /** Rows of each cluster by their label, all rows of the data counted; null until the full pass is over. */
  counts: number[] | null;
  /** log H of splitting each cluster, as last proposed; null: not known. */
  splitRatio: (number | null)[];
  /** Weights and biases are float32, little-endian, in base64. */
  net: (Pick<Layer, 'rows' | 'cols'> & { weights: string; bias: string })[];
  /** A row of the model is a row of the net times this. */
  scale: number[];
}

/** One message of `GET /api/stream`. `state`: there is a newer one; it is fetched by whoever wants it. */
export type Message =
  | { type: 'epoch'; epoch: number; time: number; k: number; loss: number | null; subLoss: number | null }
  | { type: 'event'; event: TimedEvent }
  | { type: 'state'; epoch: number; k: number }
  | { type: 'work'; work: Work[] }
  | { type: 'status'; status: Status };

export const isOver = (status: Status) => OVER.includes(status);

/** A run that goes on from a checkpoint computes epochs again: those above `last` count no more. */
export function cutBack(epochs: Epochs, last: number): void {
  let keep = epochs.epoch.length;
  while (keep && epochs.epoch[keep - 1] > last) keep--;
  for (const column of Object.values(epochs)) column.length = keep;
}
