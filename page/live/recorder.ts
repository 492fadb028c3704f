import type { Prepared } from '../../coordinator/fit/run-context.ts';
import type { Observer } from '../../coordinator/fit/train.ts';
import type { RoundListener } from '../../coordinator/rounds/scheduler.ts';
import { clusterCountOf, type State } from '../../model/state.ts';
import { readHistory } from '../../run/event-log.ts';
import type { RunEvent } from '../../run/events.ts';
import { addEpoch, addEvent, keptEventsOf } from '../../run/history.ts';
import type { History, MergeTree, Message, Status, WorkSpan } from '../drawing/api.ts';
import { clusterRatios, createSplitRatios } from '../split-ratios.ts';

export type Recorder = ReturnType<typeof createRecorder>;

const MAX_WORK = 2000;

/**
 * Records a run's history and current state for monitoring, in bounded memory. It is updated even if no client is connected,
 * so it neither copies nor serializes anything: states are immutable. `history`: lines of events.jsonl from earlier sessions.
 */
export function createRecorder(history: Iterable<string> = [], now: () => number = () => performance.now()) {
  const startedAt = now();
  const { past, seconds } = readHistory(history);
  const ratios = createSplitRatios();
  const ring: WorkSpan[] = [];
  let workCount = 0;
  let status: Status = 'starting';
  let listener: ((message: Message) => void) | null = null;
  let prepared: { run: Prepared; sampleRows: number } | null = null;
  let state: State | null = null;
  /** Labelled rows in each cluster, and the tree of merges above these, if there is one: null until the full pass is complete. */
  let counts: number[] | null = null;
  let tree: MergeTree | null = null;
  /** The labels of the clusters of an update, from then on. */
  let ids: readonly number[] | undefined;
  /** How often rows were prepared to be clustered: latent vectors are again after each alternation. */
  let preparations = 0;
  const versions = { history: 0, snapshot: 0 };

  /** Seconds since the start of the run, without the time between its sessions. */
  const time = () => seconds + (now() - startedAt) / 1000;
  const statusAfter: Partial<Record<RunEvent['type'], Status>> = {
    start: 'running',
    resume: 'running',
    alternation: 'running',
    end: 'finishing',
    done: 'done',
  };

  /** The sample may have grown since the run was prepared. */
  const current = () => prepared && { ...prepared, sampleRows: state?.sample.rows ?? prepared.sampleRows };

  function setStatus(next: Status): void {
    if (next === status) return;
    status = next;
    listener?.({ type: 'status', status });
  }

  function newState(next: State): void {
    state = next;
    versions.snapshot++;
    listener?.({ type: 'state', epoch: next.epoch, k: clusterCountOf(next) });
  }

  const observer: Observer = {
    prepared(run, sampleRows) {
      prepared = { run, sampleRows };
      // Those of other rows: the latent vectors of an encoder before.
      [state, counts, tree] = [null, null, null];
      preparations++;
      versions.snapshot++;
    },
    epoch(next, { loss, subLoss }) {
      versions.history++;
      const row = { epoch: next.epoch, time: time(), k: next.mixture.k, loss, subLoss };
      addEpoch(past, row);
      listener?.({ type: 'epoch', ...row });
      newState(next);
    },
    state: newState,
    labelled(rows, numbered, merges) {
      counts = rows;
      tree = merges;
      ids = numbered.ids;
      ratios.renumber(numbered.order);
      newState(numbered.state);
    },
  };

  return {
    ...observer,
    event(event: RunEvent): void {
      if (event.type === 'epoch') return;
      versions.history++;
      if (event.type === 'split' || event.type === 'merge') ratios.addProposal(event);
      if (event.type === 'step') {
        ratios.endStep(event, state?.mixture.k ?? 0);
        versions.snapshot++;
      }
      const timed = { time: new Date().toISOString(), ...event };
      addEvent(past, timed);
      listener?.({ type: 'event', event: timed });
      const next = statusAfter[event.type];
      if (next) setStatus(next);
    },
    results(...[label, { round, done }, tasks]: Parameters<RoundListener['results']>): void {
      versions.history++;
      let [from, to] = [Infinity, 0];
      for (const units of done)
        for (const { shard } of units) {
          if (shard < from) from = shard;
          if (shard > to) to = shard;
        }
      // A worker computes its tasks one after another and reports at once, so the last one has just ended.
      let start = time();
      for (const [, duration] of tasks) start -= Math.max(0, duration);
      const epoch = (state?.epoch ?? 0) + 1;
      for (const [task, duration] of tasks) {
        const end = start + Math.max(0, duration);
        ring[workCount++ % MAX_WORK] = [label, task, epoch, round, from, to, start, end];
        start = end;
      }
    },
    setStatus,
    status: () => status,
    run: current,
    /** The current state of a run, from which page and metrics are made. `splitRatio`: log H of splitting each cluster; null: not known. */
    snapshot() {
      const run = current();
      if (!run || !state) return null;
      const splitRatio = clusterRatios(ratios.of(state.mixture.k), state.groups);
      return { ...run, state, splitRatio, counts, tree, ids, preparations };
    },
    history: (): History => ({ epochs: past.epochs, events: keptEventsOf(past), work: workSince(0).work }),
    /** A number that changes whenever the result of `history` or `snapshot` does. */
    version: (of: keyof typeof versions) => versions[of],
    /** Sets the single listener, which receives all messages except work; that is read with `workSince`. */
    listen(next: typeof listener): void {
      listener = next;
    },
    workSince,
  };

  /** The entries of work from number `from` on that are still kept, and the number of the next entry. */
  function workSince(from: number) {
    const work: WorkSpan[] = [];
    for (let i = Math.max(from, workCount - MAX_WORK); i < workCount; i++) work.push(ring[i % MAX_WORK]);
    return { work, next: workCount };
  }
}
