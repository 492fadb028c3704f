import type { State } from '../../model/state.ts';
import type { History, Message, Status, WorkSpan } from '../../view/api.ts';
import type { Event } from '../../view/events.ts';
import type { Watcher } from '../scheduler/router.ts';
import type { Run } from '../training/run-context.ts';
import type { Observer } from '../training/train.ts';
import { addEpoch, addEvent, eventsOf, readHistory } from './history.ts';
import { createSplitRatios } from './split-ratios.ts';

/** Where a run is: what its page and its metrics are made from. */
export interface Newest {
  run: Run;
  sampleRows: number;
  state: State;
  /** Log H of splitting each cluster; null: not known. */
  splitRatio: (number | null)[];
  /** Rows of each cluster by their label; null until the full pass is over. */
  counts: number[] | null;
}

/**
 * Keeps what a run has gone through, in bounded memory, for those who look on from outside. It is fed whether anybody
 * looks or not, so it copies nothing and writes no text: states do not change once they are made.
 */
export interface Recorder extends Observer, Watcher {
  event(event: Event): void;
  setStatus(status: Status): void;
  status(): Status;
  newest(): Newest | null;
  run(): { run: Run; sampleRows: number } | null;
  history(): History;
  /** Another number whenever what `history` or `newest` gives has changed. */
  version(of: 'history' | 'newest'): number;
  /** One listener hears all messages from now on, but the work, which it asks for. */
  listen(listener: ((message: Message) => void) | null): void;
  /** WorkSpan from entry number `from` on that is still kept; and the number of the next. */
  workSince(from: number): { work: WorkSpan[]; next: number };
}

const MOST_WORK = 2000;

/** `history`: the lines of events.jsonl of earlier sessions. */
export function createRecorder(
  history: Iterable<string> = [],
  now: () => number = () => performance.now(),
): Recorder {
  const begun = now();
  const { past, seconds } = readHistory(history);
  const ratios = createSplitRatios();
  const ring: WorkSpan[] = [];
  let worked = 0;
  let status: Status = 'starting';
  let listener: ((message: Message) => void) | null = null;
  let known: { run: Run; sampleRows: number } | null = null;
  let state: State | null = null;
  let counts: number[] | null = null;
  const changes = { history: 0, newest: 0 };

  /** Seconds since the run began, less the time between its sessions. */
  const time = () => seconds + (now() - begun) / 1000;
  const follow: Partial<Record<Event['type'], Status>> = {
    start: 'running',
    resume: 'running',
    end: 'finishing',
    done: 'done',
  };

  function setStatus(next: Status): void {
    if (next === status) return;
    status = next;
    listener?.({ type: 'status', status });
  }

  function newState(next: State): void {
    state = next;
    changes.newest++;
    listener?.({ type: 'state', epoch: next.epoch, k: next.mixture.k });
  }

  return {
    event(event) {
      if (event.type === 'epoch') return;
      changes.history++;
      if (event.type === 'split' || event.type === 'merge') ratios.proposed(event);
      if (event.type === 'step') {
        ratios.stepped(event, state?.mixture.k ?? 0);
        changes.newest++;
      }
      const timed = { time: new Date().toISOString(), ...event };
      addEvent(past, timed);
      listener?.({ type: 'event', event: timed });
      const next = follow[event.type];
      if (next) setStatus(next);
    },
    prepared(run, sampleRows) {
      known = { run, sampleRows };
      changes.newest++;
    },
    epoch(next, { loss, subLoss }) {
      changes.history++;
      const row = { epoch: next.epoch, time: time(), k: next.mixture.k, loss, subLoss };
      addEpoch(past, row);
      listener?.({ type: 'epoch', ...row });
      newState(next);
    },
    state: newState,
    labelled(found) {
      counts = found;
      // There is more to fetch of the last state.
      if (state) newState(state);
    },
    results(label, { round, done }, tasks) {
      changes.history++;
      let [from, to] = [Infinity, 0];
      for (const units of done)
        for (const { shard } of units) {
          if (shard < from) from = shard;
          if (shard > to) to = shard;
        }
      // A worker does its tasks one after the other, and tells as soon as it has done them.
      let start = time();
      for (const [, spent] of tasks) start -= Math.max(0, spent);
      const epoch = (state?.epoch ?? 0) + 1;
      for (const [task, spent] of tasks) {
        const end = start + Math.max(0, spent);
        ring[worked++ % MOST_WORK] = [label, task, epoch, round, from, to, start, end];
        start = end;
      }
    },
    roundEnded() {},
    setStatus,
    status: () => status,
    run: () => known,
    newest() {
      if (!known || !state) return null;
      return { ...known, state, splitRatio: ratios.of(state.mixture.k), counts };
    },
    history: () => ({ epochs: past.epochs, events: eventsOf(past), work: workSince(0).work }),
    version: (of) => changes[of],
    listen(next) {
      listener = next;
    },
    workSince,
  };

  function workSince(from: number) {
    const work: WorkSpan[] = [];
    for (let i = Math.max(from, worked - MOST_WORK); i < worked; i++) work.push(ring[i % MOST_WORK]);
    return { work, next: worked };
  }
}
