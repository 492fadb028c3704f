import type { Change, EndReason } from '../model/schedule.ts';
import type { Replicates, Stability } from './summary.ts';

/**
 * How workers leave. `exited`: also after a task failed; `stalled`: did not read what it was sent; `cut`: the list of keys has
 * changed, or its own data file is no longer used; `refused`: sent a result that cannot be right.
 */
export const DEPARTURES = ['killed', 'exited', 'silent', 'goodbye', 'stalled', 'cut', 'refused'] as const;
export type Departure = (typeof DEPARTURES)[number];

/** What makes rows a cluster (docs/algorithm.md, sections 1 and 11). */
export const LIKELIHOODS = ['gaussian', 'graph'] as const;
export type Likelihood = (typeof LIKELIHOODS)[number];

/** Such as `graph likelihood: asked for`. */
export const likelihoodText = (likelihood: Likelihood, why: string): string =>
  `${likelihood === 'graph' ? 'graph' : 'Gaussian'} likelihood: ${why}`;

/** A line of `events.jsonl` without its time. */
export type RunEvent =
  | { type: 'start'; rows: number; dim: number; sample: number; shards: number }
  /** Which likelihood the run has, where the data decided or it is the graph; `why`, for people. */
  | { type: 'likelihood'; likelihood: Likelihood; why: string }
  /**
   * Resolutions of the graph that were tried: the median number of clusters of partitions of samples, and how well these agree (ARI).
   * `chosen`: null where none has clusters.
   */
  | {
      type: 'resolutions';
      points: { resolution: number; k: number; stability: number }[];
      chosen: number | null;
    }
  /** The start of a new session; earlier events of later epochs belong to discarded work. */
  | { type: 'resume'; epoch: number; k: number; from: string | null }
  | { type: 'checkpoint'; epoch: number; bytes: number; seconds: number }
  | { type: 'checkpoint-failed'; epoch: number; reason: string }
  | {
      type: 'worker';
      worker: string;
      name: string;
      pid: number;
      host: string;
      backend: string;
      identity: string;
      /** Version and build of dpmesh, such as `0.1.0+1f2e3d4c5b6a`. */
      version?: string;
      gpu?: string;
      /** Why this backend was chosen, for people. */
      why: string;
    }
  | {
      type: 'worker-gone';
      worker: string;
      pid: number;
      /** Like `how` missing in files of earlier versions. */
      host?: string;
      how?: Departure;
      /** The same for people, with more detail. */
      reason: string;
      /** Tasks of the round that it was working on. */
      tasks: string[];
    }
  | { type: 'warning'; message: string }
  | {
      type: 'encoder-epoch';
      epoch: number;
      of: number;
      /** Mean of ‖output − input‖² over the epoch, as a share of the variance of the inputs. */
      loss: number;
      /** Seconds that the epoch took, and those of computing, by task and by worker. */
      wall: number;
      seconds: Record<string, number>;
      workers: Record<string, number>;
      /** Sent to and received from all workers. */
      bytes: number;
    }
  /** The clusters of codes so far, of which the encoder learns next; epochs until now are those of their training. */
  | {
      type: 'alternation';
      alternation: number;
      of: number;
      /** Clusters that have rows. */
      k: number;
      /** Adjusted Rand index of the labels and those of the clusters before; null for the first ones. */
      agreement: number | null;
    }
  | {
      type: 'epoch';
      epoch: number;
      k: number;
      width: number;
      loss: number | null;
      subLoss: number | null;
      seconds: Record<string, number>;
      workers: Record<string, number>;
    }
  | {
      type: Change;
      epoch: number;
      /** The cluster to split, or both to merge. */
      clusters: number[];
      /** Points of each part of a split, or of both clusters of a merge. */
      points: number[];
      /** Null stands for ∞: an empty cluster always merges. */
      logRatio: number | null;
      accepted: boolean;
      reason?: string;
    }
  | { type: 'step'; epoch: number; kind: Change; changed: number; k: number }
  /** A replicate begins (`k` null), or has ended with so many clusters. */
  | { type: 'replicate'; replicate: number; of: number; k: number | null }
  | { type: 'end'; epoch: number; k: number; reason: EndReason }
  | {
      type: 'done';
      k: number;
      /** Rows that were set apart before training; files of earlier versions lack it. */
      outliers?: number;
      /** Those of the result (`Summary`); missing if there are none. */
      notes?: string[];
      replicates?: Replicates;
      stability?: Stability;
      /** By all workers in the entire run: twice the rows of the data if a sample was used that did not grow, and no worker was lost. */
      rowsRead: number;
      /** Since the last epoch: the full pass. */
      seconds: Record<string, number>;
      workers: Record<string, number>;
    };

/** A line of events.jsonl. */
export type TimedEvent = RunEvent & { time: string };

export type Emit = (event: RunEvent) => void;

/** The fields that decide which events are kept when there are many. */
interface EventOutcome {
  type: string;
  accepted?: unknown;
  changed?: unknown;
}

/** Rejected proposals, steps without changes and checkpoints: most events of a long run, and the least interesting. */
function isMinor({ type, accepted, changed }: EventOutcome): boolean {
  return (
    type === 'checkpoint' ||
    ((type === 'split' || type === 'merge') && !accepted) ||
    (type === 'step' && !changed)
  );
}

/** At most `most` of the events, in order: drops the oldest minor events first, then the oldest of the rest. */
export function keptEvents<T extends EventOutcome>(events: T[], most: number): T[] {
  let excess = events.length - most;
  if (excess <= 0) return events;
  const kept = events.filter((event) => !(excess > 0 && isMinor(event) && excess--));
  return kept.slice(Math.max(0, kept.length - most));
}
