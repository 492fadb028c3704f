import { UserError } from '../base/user-error.ts';
import { eventIn } from '../view/event-line.ts';
import type { RunEvent } from '../view/events.ts';

/** The course of a run, from its events: each epoch once, without epochs that a resume discarded. */

export interface EpochRecord {
  epoch: number;
  k: number;
  loss: number | null;
  subLoss: number | null;
}

export interface StepRecord {
  epoch: number;
  kind: 'split' | 'merge';
  changed: number;
  /** K after the step. */
  k: number;
}

export interface SplitProposal {
  epoch: number;
  cluster: number;
  logRatio: number | null;
  accepted: boolean;
  /** Why it was refused, if not for its ratio. */
  reason: string | null;
}

export interface RunHistory {
  epochs: EpochRecord[];
  steps: StepRecord[];
  /** Two-way split proposals of the last split step; empty if clusters have been renumbered since. */
  splits: SplitProposal[];
  proposed: { split: number; merge: number };
  /** Why training ended; null if it has not. */
  ended: string | null;
  sessions: number;
}

/** Only these are kept in memory: there may be any number of others. */
const DRAWN = new Set<RunEvent['type']>(['epoch', 'split', 'merge', 'step', 'end']);

/** UserError for a line that is not an event. `path` is for messages. */
export function historyFrom(lines: Iterable<string>, path: string): RunHistory {
  let events: RunEvent[] = [];
  let sessions = 1;
  let number = 0;
  for (const line of lines) {
    number++;
    if (!line) continue;
    const event = eventIn(line);
    if (!event)
      throw new UserError(
        `${path} line ${number} is not an event of a run: the file is damaged; restore or remove it`,
      );
    if (event.type === 'resume') {
      const { epoch } = event;
      sessions++;
      // Later epochs were computed again.
      events = events.filter((other) => !('epoch' in other) || other.epoch <= epoch);
      events = events.filter(({ type }) => type !== 'end');
    } else if (event.type === 'alternation') events = [];
    else if (DRAWN.has(event.type)) events.push(event);
  }
  const epochs = new Map<number, EpochRecord>();
  for (const event of events) {
    if (event.type !== 'epoch') continue;
    const { epoch, k, loss, subLoss } = event;
    epochs.set(epoch, { epoch, k, loss, subLoss });
  }
  const steps = events.flatMap((event): StepRecord[] =>
    event.type === 'step'
      ? [{ epoch: event.epoch, kind: event.kind, changed: event.changed, k: event.k }]
      : [],
  );
  const countOf = (kind: 'split' | 'merge') => events.filter(({ type }) => type === kind).length;
  const end = events.find((event) => event.type === 'end');
  return {
    epochs: [...epochs.values()].sort((a, b) => a.epoch - b.epoch),
    steps,
    splits: lastSplits(events, steps),
    proposed: { split: countOf('split'), merge: countOf('merge') },
    ended: end?.type === 'end' ? end.reason : null,
    sessions,
  };
}

function lastSplits(events: RunEvent[], steps: StepRecord[]): SplitProposal[] {
  const last = steps.findLast(({ kind }) => kind === 'split');
  if (!last || steps.some(({ epoch, changed }) => epoch >= last.epoch && changed)) return [];
  return events.flatMap((event): SplitProposal[] => {
    if (event.type !== 'split' || event.epoch !== last.epoch || event.points.length !== 2) return [];
    const { epoch, clusters, logRatio, accepted, reason = null } = event;
    return [{ epoch, cluster: clusters[0], logRatio, accepted, reason }];
  });
}
