import type { State } from '../../model/state.ts';
import type { History, Message, Status, Work } from '../../view/api.ts';
import { type Event, keptEvents, type TimedEvent } from '../../view/events.ts';
import type { Watcher } from '../scheduler/membership.ts';
import type { Run } from '../training/run-context.ts';
import type { Losses } from '../training/train.ts';
import { splitRatiosAfter } from './split-ratios.ts';

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
export interface Recorder extends Watcher {
  event(event: Event): void;
  /** The data are known, and what follows from them. */
  prepared(run: Run, sampleRows: number): void;
  epoch(state: State, losses: Losses): void;
  /** A state that no epoch led to. */
  state(state: State): void;
  /** All rows have their labels, so many of each cluster. */
  labelled(counts: number[]): void;
  setStatus(status: Status): void;
  status(): Status;
  newest(): Newest | null;
  run(): { run: Run; sampleRows: number } | null;
  history(): History;
  /** Another number whenever what `history` or `newest` gives has changed. */
  version(of: 'history' | 'newest'): number;
  /** Seconds since the run began, less the time between its sessions. */
  time(): number;
  /** One listener hears all messages from now on, but the work, which it asks for. */
  listen(listener: ((message: Message) => void) | null): void;
  /** Work from entry number `from` on that is still kept; and the number of the next. */
  workSince(from: number): { work: Work[]; next: number };
}

/** Beyond this many epochs, only every second one of those until now is kept. */
const MOST_EPOCHS = 20_000;
const MOST_EVENTS = 10_000;
const MOST_WORK = 2000;

/** `history`: the lines of events.jsonl of earlier sessions. */
export function createRecorder(
  history: Iterable<string> = [],
  now: () => number = () => performance.now(),
): Recorder {
  const begun = now();
  const before = readHistory(history);
  const { epochs } = before;
  let { events } = before;
  const ring: Work[] = [];
  let worked = 0;
  let status: Status = 'starting';
  let listener: ((message: Message) => void) | null = null;
  let known: { run: Run; sampleRows: number } | null = null;
  let state: State | null = null;
  let ratios: (number | null)[] = [];
  let counts: number[] | null = null;
  let proposals: Extract<Event, { type: 'split' | 'merge' }>[] = [];
  const changes = { history: 0, newest: 0 };

  const time = () => before.seconds + (now() - begun) / 1000;
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
      if (event.type === 'split' || event.type === 'merge') proposals.push(event);
      if (event.type === 'step') {
        const k = state?.mixture.k ?? 0;
        const full = ratios.length === k ? ratios : Array<null>(k).fill(null);
        ratios = splitRatiosAfter(full, event.kind, proposals, event.k);
        proposals = [];
        changes.newest++;
      }
      if (event.type === 'resume') cutBack(epochs, event.epoch);
      const timed = { time: new Date().toISOString(), ...event };
      events.push(timed);
      // Not one by one: each would move all the others.
      if (events.length > 2 * MOST_EVENTS) events = keptEvents(events, MOST_EVENTS);
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
      const { epoch } = next;
      const { k } = next.mixture;
      const at = time();
      epochs.epoch.push(epoch);
      epochs.time.push(at);
      epochs.k.push(k);
      epochs.loss.push(loss);
      epochs.subLoss.push(subLoss);
      if (epochs.epoch.length > MOST_EPOCHS) thin(epochs);
      listener?.({ type: 'epoch', epoch, time: at, k, loss, subLoss });
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
      const { k } = state.mixture;
      return { ...known, state, splitRatio: ratios.length === k ? ratios : Array(k).fill(null), counts };
    },
    history: () => ({ epochs, events: keptEvents(events, MOST_EVENTS), work: workSince(0).work }),
    version: (of) => changes[of],
    time,
    listen(next) {
      listener = next;
    },
    workSince,
  };

  function workSince(from: number) {
    const work: Work[] = [];
    for (let i = Math.max(from, worked - MOST_WORK); i < worked; i++) work.push(ring[i % MOST_WORK]);
    return { work, next: worked };
  }
}

type Epochs = History['epochs'];
const columns = (epochs: Epochs) => Object.values(epochs) as (number | null)[][];

function thin(epochs: Epochs): void {
  for (const column of columns(epochs)) {
    let kept = 0;
    for (let i = 0; i < column.length; i += 2) column[kept++] = column[i];
    column.length = kept;
  }
}

/** Epochs above this one are work that was lost. */
function cutBack(epochs: Epochs, last: number): void {
  let kept = epochs.epoch.length;
  while (kept > 0 && epochs.epoch[kept - 1] > last) kept--;
  for (const column of columns(epochs)) column.length = kept;
}

/** Columns and events of earlier sessions, and the seconds that these took. Lines that are none are passed over. */
function readHistory(lines: Iterable<string>): { epochs: Epochs; events: TimedEvent[]; seconds: number } {
  const epochs: Epochs = { epoch: [], time: [], k: [], loss: [], subLoss: [] };
  let events: TimedEvent[] = [];
  let seconds = 0;
  let last: number | null = null;
  for (const line of lines) {
    let event: TimedEvent;
    try {
      event = JSON.parse(line);
    } catch {
      continue;
    }
    const at = Date.parse(event?.time);
    if (!Number.isFinite(at)) continue;
    // A session begins with its workers' arrival or its `resume`; nobody waited in between.
    if (last !== null && !isFirst(event)) seconds += Math.max(0, at - last) / 1000;
    last = at;
    if (event.type === 'resume') cutBack(epochs, event.epoch);
    if (event.type === 'epoch') {
      const { epoch, k, loss, subLoss } = event;
      for (const [name, value] of Object.entries({ epoch, time: seconds, k, loss, subLoss }))
        epochs[name as keyof Epochs].push(value as number);
      if (epochs.epoch.length > MOST_EPOCHS) thin(epochs);
    } else events.push(event);
    if (events.length > 2 * MOST_EVENTS) events = keptEvents(events, MOST_EVENTS);
  }
  return { epochs, events: keptEvents(events, MOST_EVENTS), seconds };
}

/** Does a session begin here? */
const isFirst = (event: TimedEvent) =>
  event.type === 'resume' || (event.type === 'worker' && event.worker === 'w1');
