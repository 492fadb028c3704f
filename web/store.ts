import {
  cutBack,
  type Epochs,
  type History,
  type Message,
  type RunInfo,
  type Status,
  type WorkSpan,
} from '../view/api.ts';
import type { TimedEvent } from '../view/events.ts';
import { keptEvents } from '../view/events.ts';

/** Lane entries that are kept, as many as the coordinator keeps. */
const WORK_KEPT = 2000;
const EVENTS_KEPT = 10_000;

/** All that the page knows of the run, the pictures apart. */
export interface Store {
  run: RunInfo;
  status: Status;
  /** Workers that are here. */
  present: Set<string>;
  epochs: Epochs;
  events: TimedEvent[];
  work: WorkSpan[];
}

/** Which part of the store a message has changed. */
export type Part = 'epochs' | 'events' | 'work' | 'status';

/** Takes a message in. Returns the part that changed; null: none, or only the state, which the page fetches. */
export function apply(store: Store, message: Message): Part | null {
  switch (message.type) {
    case 'epoch': {
      const { epochs } = store;
      cutBack(epochs, message.epoch - 1);
      for (const column of ['epoch', 'time', 'k', 'loss', 'subLoss'] as const)
        epochs[column].push(message[column] as number);
      return 'epochs';
    }
    case 'event':
      if (message.event.type === 'epoch') return null;
      note(store.present, message.event);
      store.events.push(message.event);
      if (store.events.length > 2 * EVENTS_KEPT) store.events = keptEvents(store.events, EVENTS_KEPT);
      return 'events';
    case 'work':
      store.work.push(...message.work);
      if (store.work.length > WORK_KEPT) store.work.splice(0, store.work.length - WORK_KEPT);
      return 'work';
    case 'status':
      store.status = message.status;
      return 'status';
    default:
      return null;
  }
}

function note(present: Set<string>, event: TimedEvent): void {
  if (event.type === 'worker') present.add(event.worker);
  if (event.type === 'worker-gone') present.delete(event.worker);
}

/**
 * Messages that came while the history was under way, after it: what it already holds is left out. Nothing gets
 * lost or doubled, whichever of the two the coordinator wrote first.
 */
export function startFrom(run: RunInfo, history: History, early: readonly Message[]): Store {
  const store: Store = { run, status: run.status, present: new Set(run.workers), ...history };
  const seen = new Set(history.events.slice(-1000).map((line) => JSON.stringify(line)));
  const seenWork = new Set(history.work.map((entry) => entry.join()));
  const last = history.epochs.epoch.at(-1) ?? 0;
  for (const message of early) {
    if (message.type === 'epoch' && message.epoch <= last) continue;
    if (message.type === 'event') note(store.present, message.event);
    if (message.type === 'event' && seen.has(JSON.stringify(message.event))) continue;
    if (message.type === 'work')
      apply(store, { type: 'work', work: message.work.filter((entry) => !seenWork.has(entry.join())) });
    else apply(store, message);
  }
  return store;
}

/** Epochs at whose end K changed, from the lines `step`; what a resume made void is left out. */
export function changesOf(
  events: readonly TimedEvent[],
): { epoch: number; kind: 'split' | 'merge'; k: number; changed: number }[] {
  const changes: ReturnType<typeof changesOf> = [];
  for (const event of events) {
    if (event.type === 'resume')
      while (changes.length && changes[changes.length - 1].epoch > event.epoch) changes.pop();
    if (event.type === 'step' && event.changed) {
      const { epoch, kind, k, changed } = event;
      changes.push({ epoch, kind, k, changed });
    }
  }
  return changes;
}

type Course = Pick<Store, 'epochs' | 'events'>;

/**
 * K now. An epoch tells the K that it trained with; the split or merge step at its end, and a resume after it, tell a
 * newer one.
 */
export function kNow({ epochs, events }: Course): number | undefined {
  const told = events.findLast((event) => event.type === 'step' || event.type === 'resume');
  const newer = told && told.epoch >= (epochs.epoch.at(-1) ?? 0);
  return newer ? told.k : epochs.k.at(-1);
}

/** K after each epoch and the step at its end: what the next epoch trained with. */
export function kAfter(course: Course): number[] {
  const { k } = course.epochs;
  return k.map((own, i) => k[i + 1] ?? kNow(course) ?? own);
}
