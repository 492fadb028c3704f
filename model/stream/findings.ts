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

/** With the graph likelihood, which has no densities (graph-drift.ts). */
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
