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
  config: Record<string, unknown> | null;
  versions: Record<string, string> | null;
  identity: string | null;
  /** That are here. */
  workers: string[];
  data: { path: string; rows: number; dim: number; sample: number } | null;
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
  covariance: 'full' | 'diag';
  weights: number[];
  means: number[][];
  covariances: number[][];
  sizes: number[] | null;
  splitRatio: (number | null)[] | null;
  net: { rows: number; cols: number; weights: string; bias: string }[];
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
