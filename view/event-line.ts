import * as z from 'zod/mini';
import { END_REASONS } from '../model/schedule.ts';
import { DEPARTURES, LIKELIHOODS, type RunEvent, type TimedEvent } from './events.ts';
import { addEpoch, addEvent, emptyHistory, keptEventsOf, type RunHistory } from './history.ts';

/** Lines of events.jsonl, read with distrust: the file may be damaged, or that of somebody else. */

const text = z.string();
const number = z.number();
const count = z.int().check(z.nonnegative());
const perName = z.record(text, number);
const proposal = z.object({
  epoch: count,
  clusters: z.array(count),
  points: z.array(number),
  logRatio: z.nullable(number),
  accepted: z.boolean(),
  reason: z.optional(text),
});

/** The fields of each type of event in view/events.ts. */
const SCHEMAS: { [Type in RunEvent['type']]: z.ZodMiniType<Omit<RunEvent & { type: Type }, 'type'>> } = {
  start: z.object({ rows: count, dim: count, sample: count, shards: count }),
  likelihood: z.object({ likelihood: z.enum(LIKELIHOODS), why: text }),
  resolutions: z.object({
    points: z.array(z.object({ resolution: number, k: number, stability: number })),
    chosen: z.nullable(number),
  }),
  resume: z.object({ epoch: count, k: count, from: z.nullable(text) }),
  checkpoint: z.object({ epoch: count, bytes: count, seconds: number }),
  'checkpoint-failed': z.object({ epoch: count, reason: text }),
  worker: z.object({
    ...{ worker: text, name: text, pid: number, host: text, backend: text, identity: text, why: text },
    gpu: z.optional(text),
  }),
  'worker-gone': z.object({
    ...{ worker: text, pid: number, host: z.optional(text), reason: text },
    how: z.optional(z.enum(DEPARTURES)),
    tasks: z.array(text),
  }),
  warning: z.object({ message: text }),
  'encoder-epoch': z.object({
    ...{ epoch: count, of: count, loss: number, wall: number, bytes: number },
    ...{ seconds: perName, workers: perName },
  }),
  alternation: z.object({ alternation: count, of: count, k: count, agreement: z.nullable(number) }),
  epoch: z.object({
    ...{ epoch: count, k: count, width: count, loss: z.nullable(number), subLoss: z.nullable(number) },
    ...{ seconds: perName, workers: perName },
  }),
  split: proposal,
  merge: proposal,
  step: z.object({ epoch: count, kind: z.enum(['split', 'merge']), changed: count, k: count }),
  replicate: z.object({ replicate: count, of: count, k: z.nullable(count) }),
  end: z.object({ epoch: count, k: count, reason: z.enum(END_REASONS) }),
  done: z.object({
    ...{ k: count, rowsRead: count, seconds: perName, workers: perName },
    ...{ outliers: z.optional(count), notes: z.optional(z.array(text)) },
    replicates: z.optional(
      z.object({ count, k: z.tuple([count, count]), ks: z.array(count), agreement: number }),
    ),
    stability: z.optional(z.object({ count, k: z.tuple([count, count]), agreement: number })),
  }),
};

/** The event in a line; null if it has no type, or not the fields of its type. Events of other versions may have other types. */
export function eventIn(line: string): RunEvent | null {
  try {
    const event = JSON.parse(line);
    if (typeof event?.type !== 'string') return null;
    if (!Object.hasOwn(SCHEMAS, event.type)) return event;
    return SCHEMAS[event.type as RunEvent['type']].safeParse(event).success ? event : null;
  } catch {
    return null;
  }
}

/**
 * The history of earlier sessions, read from the lines of events.jsonl, and their duration in seconds. Lines that are not
 * events are skipped, after `damaged` has got their number.
 */
export function readHistory(
  lines: Iterable<string>,
  damaged: (line: number) => void = () => {},
): { past: RunHistory; seconds: number } {
  const past = emptyHistory();
  let seconds = 0;
  let last: number | null = null;
  let number = 0;
  for (const line of lines) {
    number++;
    const event = eventIn(line) as TimedEvent | null;
    if (line && !event) damaged(number);
    const at = Date.parse(event?.time ?? '');
    if (!event || !Number.isFinite(at)) continue;
    // The time between two sessions does not count.
    if (last !== null && !startsSession(event)) seconds += Math.max(0, at - last) / 1000;
    last = at;
    if (event.type === 'epoch') addEpoch(past, { ...event, time: seconds });
    else addEvent(past, event);
  }
  past.events = keptEventsOf(past);
  return { past, seconds };
}

/** A session starts with its first worker's arrival or with a `resume`. */
const startsSession = (event: TimedEvent) =>
  event.type === 'resume' || (event.type === 'worker' && event.worker === 'w1');
