/** What an update finds: how new rows differ from earlier ones, and what became of clusters. */

/** How new rows differ from earlier ones. */
export type Drift = MixtureDrift | GraphDrift;

export interface SharesDrift {
  /** New rows that were looked at. */
  rows: number;
  /** The share of rows that would have to change clusters for the shares of these to be as before, and the G statistic of the two as a normal deviate. */
  moved: number;
  movedZ: number;
  /** With an encoder: `residualDrift`. */
  residual?: number;
  residualZ?: number;
}

export interface MixtureDrift extends SharesDrift {
  /** By how much they are less likely, in nats a row, and that in standard errors. */
  nats: number;
  likelihoodZ: number;
  /** The share of them that is less likely than 99 % of the earlier rows, and that as a normal deviate of 1 %. */
  unlike: number;
  unlikeZ: number;
}

/** With the graph likelihood, which has no densities (drift.ts). */
export interface GraphDrift extends SharesDrift {
  /** By how much more of a row's length, at least, the axes of the run miss, as a share of it, and that in standard errors. */
  missed: number;
  missedZ: number;
  /** The share of them whose neighbours are nearly all new as well, and that as a normal deviate of 1 %. */
  apart: number;
  apartZ: number;
}

/** What of it is worth an alarm: less than 1e-4 by chance, and large enough to matter. */
export const ALARMS = ['unlike', 'less likely', 'missed', 'apart', 'shares', 'residual'] as const;
export type Alarm = (typeof ALARMS)[number];

/** What became of a cluster in an update. */
export type Lineage =
  /** It is new: its rows were in no cluster, or in several. */
  | { what: 'born'; id: number }
  /** It is new, of rows of these. */
  | { what: 'split'; id: number; from: number[] }
  /** It is there no longer: its rows are in these. */
  | { what: 'merged'; id: number; into: number[] }
  /** It was gone, and is there again. */
  | { what: 'returned'; id: number }
  /** It is there no longer, nor are its rows. */
  | { what: 'gone'; id: number };

/** The clusters at the end of a run: the first of a stream, or an update. */
export interface PastUpdate {
  /** 0: the first run. */
  readonly update: number;
  /** Rows so far, as they count by half-lives; and of these, by their ids, those of the largest clusters. */
  readonly rows: number;
  readonly sizes: Readonly<Record<string, number>>;
  /** What became of clusters in the update. */
  readonly lineage: readonly Lineage[];
}

/** Updates that are remembered, and clusters of each. */
const [MOST_UPDATES, MOST_CLUSTERS] = [100, 200];

/** The history with one more update. `sizes`: of the clusters with these ids, in their order, which is that of size. */
export function withUpdate(
  history: readonly PastUpdate[],
  update: number,
  ids: readonly number[],
  sizes: ArrayLike<number>,
  lineage: readonly Lineage[],
): PastUpdate[] {
  const rows = ids.reduce((sum, _, k) => sum + sizes[k], 0);
  const largest = ids.slice(0, MOST_CLUSTERS).map((id, k) => [id, sizes[k]]);
  return [...history, { update, rows, sizes: Object.fromEntries(largest), lineage }].slice(-MOST_UPDATES);
}
