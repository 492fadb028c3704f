/** What the coordinator's HTTP port answers, as the page reads it. */

export type Status = 'starting' | 'running' | 'paused' | 'finishing' | 'done' | 'failed' | 'stopped';

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

/** A line of events.jsonl. */
export type Line = { type: string; time: string } & Record<string, unknown>;

/** worker, task, epoch, round, first and last shard, start and end in seconds since the run began. */
export type Work = [string, string, number, number, number, number, number, number];

/** `GET /api/history` */
export interface History {
  epochs: Epochs;
  events: Line[];
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

/** One message of `GET /api/stream`. */
export type Message =
  | { type: 'epoch'; epoch: number; time: number; k: number; loss: number | null; subLoss: number | null }
  | { type: 'event'; event: Line }
  | { type: 'state'; epoch: number; k: number }
  | { type: 'work'; work: Work[] }
  | { type: 'status'; status: Status };

export const isOver = (status: Status) => status === 'done' || status === 'failed' || status === 'stopped';
