import { UserError } from '../base/user-error.ts';
import type { Event } from '../view/events.ts';

/** What happened in a run, from its events: each epoch once, and nothing of work that was lost. */

export interface Epoch {
  epoch: number;
  k: number;
  loss: number | null;
  subLoss: number | null;
}

export interface Step {
  epoch: number;
  kind: 'split' | 'merge';
  changed: number;
  /** After it. */
  k: number;
}

export interface Proposal {
  epoch: number;
  cluster: number;
  logRatio: number | null;
  accepted: boolean;
}

export interface History {
  epochs: Epoch[];
  steps: Step[];
  /** Proposals of the last split step to split each cluster in two; empty where clusters were renumbered since. */
  splits: Proposal[];
  proposed: { split: number; merge: number };
  /** Why training ended; null: it has not. */
  ended: string | null;
  sessions: number;
}

/** Of others there may be any number. */
const DRAWN = new Set<Event['type']>(['epoch', 'split', 'merge', 'step', 'end']);

/** UserError for a line that is not an event. `path` is for messages. */
export function historyFrom(lines: Iterable<string>, path: string): History {
  let events: Event[] = [];
  let sessions = 1;
  let number = 0;
  for (const line of lines) {
    number++;
    if (!line) continue;
    const event = parsed(line, `${path} line ${number}`);
    if (event.type === 'resume') {
      const { epoch } = event;
      sessions++;
      // What came after it was done again.
      events = events.filter((other) => !('epoch' in other) || other.epoch <= epoch);
      events = events.filter(({ type }) => type !== 'end');
    } else if (DRAWN.has(event.type)) events.push(event);
  }
  const epochs = new Map<number, Epoch>();
  for (const event of events) {
    if (event.type !== 'epoch') continue;
    const { epoch, k, loss, subLoss } = event;
    epochs.set(epoch, { epoch, k, loss, subLoss });
  }
  const steps = events.flatMap((event): Step[] =>
    event.type === 'step'
      ? [{ epoch: event.epoch, kind: event.kind, changed: event.changed, k: event.k }]
      : [],
  );
  const of = (kind: 'split' | 'merge') => events.filter(({ type }) => type === kind).length;
  const end = events.find((event) => event.type === 'end');
  return {
    epochs: [...epochs.values()].sort((a, b) => a.epoch - b.epoch),
    steps,
    splits: lastSplits(events, steps),
    proposed: { split: of('split'), merge: of('merge') },
    ended: end?.type === 'end' ? end.reason : null,
    sessions,
  };
}

/** Of an event, what must be a number, and what may be null instead. */
const NUMBERS: Partial<Record<Event['type'], (event: Record<string, unknown>) => [unknown[], unknown[]]>> = {
  epoch: ({ epoch, k, loss, subLoss }) => [
    [epoch, k],
    [loss, subLoss],
  ],
  step: ({ epoch, k, changed }) => [[epoch, k, changed], []],
  split: ({ epoch, clusters, points, logRatio }) => [[epoch, ...list(clusters), ...list(points)], [logRatio]],
};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

function parsed(line: string, where: string): Event {
  try {
    const event = JSON.parse(line);
    const [always, sometimes] = NUMBERS[event.type as Event['type']]?.(event) ?? [[], []];
    const given = [...always, ...sometimes.filter((value) => value !== null)];
    if (typeof event.type === 'string' && given.every(Number.isFinite)) return event;
  } catch {
    // Said below.
  }
  throw new UserError(`${where} is not an event of a run: it is damaged; put the file back, or take it away`);
}

function lastSplits(events: Event[], steps: Step[]): Proposal[] {
  const last = steps.findLast(({ kind }) => kind === 'split');
  if (!last || steps.some(({ epoch, changed }) => epoch >= last.epoch && changed)) return [];
  return events.flatMap((event): Proposal[] => {
    if (event.type !== 'split' || event.epoch !== last.epoch || event.points.length !== 2) return [];
    const { epoch, clusters, logRatio, accepted } = event;
    return [{ epoch, cluster: clusters[0], logRatio, accepted }];
  });
}
