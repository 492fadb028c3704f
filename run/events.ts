import * as z from 'zod/mini';
import { list, record } from '../base/schema.ts';
import { END_REASONS } from '../model/schedule.ts';
import { ALARMS } from '../model/stream/findings.ts';

/** Lines of events.jsonl: what they have, and their reading, with distrust, as the file may be damaged, or that of somebody else. */

/**
 * How workers leave. `exited`: also after a task failed; `disconnected`: its connection was closed, and it did not come back; `stalled`: did not
 * read what it was sent; `cut`: the list of keys has changed, or its own data file is no longer used; `refused`: sent a result that cannot be right.
 */
export const DEPARTURES = [
  'killed',
  'exited',
  'silent',
  'disconnected',
  'goodbye',
  'stalled',
  'cut',
  'refused',
] as const;
export type Departure = (typeof DEPARTURES)[number];

/** What makes rows a cluster (docs/algorithm.md, sections 1 and 11). */
export const LIKELIHOODS = ['gaussian', 'graph'] as const;
export type Likelihood = (typeof LIKELIHOODS)[number];

/** What may become of a cluster in an update (model/stream/lineage.ts). */
export const FATES = ['born', 'split', 'merged', 'gone', 'returned'] as const;

const text = z.string();
const number = z.number();
const count = z.int().check(z.nonnegative());
/** By task, or by worker. */
const seconds = record(text, number);
export const proposal = z.object({
  /** The cluster to split, or both to merge. */
  clusters: list(count),
  /** Points of each part of a split, or of both clusters of a merge. */
  points: list(number),
  /** Null stands for ∞: an empty cluster always merges. */
  logRatio: z.nullable(number),
  /** What it has to exceed, if that is not 0. */
  needed: z.optional(number),
  accepted: z.boolean(),
  reason: z.optional(text),
});
const proposed = z.extend(proposal, { epoch: count });
const shares = {
  ...{ moved: number, movedZ: number },
  ...{ residual: z.optional(number), residualZ: z.optional(number) },
};
/** How new rows differ from earlier ones (model/stream/drift.ts), in the order in which that is found: with it bytes would differ. */
export const drift = z.union([
  z.object({
    ...{ rows: count, nats: number, likelihoodZ: number, unlike: number, unlikeZ: number, ...shares },
  }),
  z.object({ rows: count, missed: number, missedZ: number, apart: number, apartZ: number, ...shares }),
]);

/** The fields of each type of event, but for `type` and `time`. */
const SCHEMAS = {
  start: z.object({ rows: count, dim: count, sample: count, shards: count }),
  /** Which likelihood the run has, where the data decided or it is the graph; `why`, for people. */
  likelihood: z.object({ likelihood: z.enum(LIKELIHOODS), why: text }),
  /**
   * Resolutions of the graph that were tried: the median number of clusters of partitions of samples, and how well these agree (ARI).
   * `chosen`: null where none has clusters.
   */
  resolutions: z.object({
    points: list(z.object({ resolution: number, k: number, stability: number })),
    chosen: z.nullable(number),
  }),
  /** The start of a new session; earlier events of later epochs belong to discarded work. */
  resume: z.object({ epoch: count, k: count, from: z.nullable(text) }),
  checkpoint: z.object({ epoch: count, bytes: count, seconds: number }),
  'checkpoint-failed': z.object({ epoch: count, reason: text }),
  worker: z.object({
    worker: text,
    name: text,
    pid: number,
    host: text,
    backend: text,
    identity: text,
    /** Version and build of dpmesh, such as `0.1.0+1f2e3d4c5b6a`. */
    version: z.optional(text),
    gpu: z.optional(text),
    /** Why this backend was chosen, for people. */
    why: text,
  }),
  'worker-gone': z.object({
    worker: text,
    pid: number,
    host: text,
    how: z.enum(DEPARTURES),
    /** The same for people, with more detail. */
    reason: text,
    /** Tasks of the round that it was working on. */
    tasks: list(text),
  }),
  warning: z.object({ message: text }),
  'encoder-epoch': z.object({
    epoch: count,
    of: count,
    /** Mean of ‖output − input‖² over the epoch, as a share of the variance of the inputs. */
    loss: number,
    /** Seconds that the epoch took, and those of computing, by task and by worker. */
    wall: number,
    seconds,
    workers: seconds,
    /** Sent to and received from all workers. */
    bytes: number,
  }),
  /**
   * The clusters of codes so far, of which the encoder learns next; epochs until now are those of their training. `agreement`: adjusted
   * Rand index of the labels and those of the clusters before; null for the first ones.
   */
  alternation: z.object({ alternation: count, of: count, k: count, agreement: z.nullable(number) }),
  epoch: z.object({
    epoch: count,
    k: count,
    width: count,
    loss: z.nullable(number),
    subLoss: z.nullable(number),
    seconds,
    workers: seconds,
  }),
  /** Of this update, before it changes anything; `alarms`: what of it matters. */
  drift: z.intersection(drift, z.object({ update: count, alarms: list(z.enum(ALARMS)) })),
  /** What became of a cluster in an update, by ids. */
  lineage: z.object({
    what: z.enum(FATES),
    id: count,
    from: z.optional(list(count)),
    into: z.optional(list(count)),
  }),
  split: proposed,
  merge: proposed,
  step: z.object({ epoch: count, kind: z.enum(['split', 'merge']), changed: count, k: count }),
  /** A replicate begins (`k` null), or has ended with so many clusters. */
  replicate: z.object({ replicate: count, of: count, k: z.nullable(count) }),
  end: z.object({ epoch: count, k: count, reason: z.enum(END_REASONS) }),
  /** `outliers`, `notes`, `replicates`, `stability`: those of the result (`Summary`), if there are any. */
  done: z.object({
    k: count,
    outliers: z.optional(count),
    notes: z.optional(list(text)),
    replicates: z.optional(
      z.object({
        count,
        k: z.tuple([count, count]),
        ks: list(count),
        agreement: number,
        clusters: z._default(list(z.nullable(number)), []),
      }),
    ),
    stability: z.optional(z.object({ count, k: z.tuple([count, count]), agreement: number })),
    /** By all workers in the entire run: twice the rows of the data if a sample was used that did not grow, and no worker was lost. */
    rowsRead: count,
    /** Since the last epoch: the full pass. */
    seconds,
    workers: seconds,
  }),
};
type EventType = keyof typeof SCHEMAS;

/** A line of `events.jsonl` without its time. */
export type RunEvent = {
  [Type in EventType]: { type: Type } & z.infer<(typeof SCHEMAS)[Type]>;
}[EventType];

/** A line of events.jsonl. */
export type TimedEvent = RunEvent & { time: string };

export type Emit = (event: RunEvent) => void;

/** The event in a line; null if it has no type, or not the fields of its type. Events of other versions may have other types. */
export function eventIn(line: string): RunEvent | null {
  try {
    const event = JSON.parse(line);
    if (typeof event?.type !== 'string') return null;
    if (!Object.hasOwn(SCHEMAS, event.type)) return event;
    return SCHEMAS[event.type as EventType].safeParse(event).success ? event : null;
  } catch {
    return null;
  }
}
