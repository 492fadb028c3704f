import type { TimedEvent } from '../../run/events.ts';
import { addEpoch, addEvent, cutBack, type RunHistory } from '../../run/history.ts';
import type { History, Message, RunInfo, Status, WorkSpan } from '../drawing/api.ts';

/** Work entries kept, as many as the coordinator keeps. */
const MAX_WORK = 2000;

/** Everything the page knows about the run except the model state. */
export interface PageStore extends RunHistory {
  run: RunInfo;
  status: Status;
  /** Connected workers. */
  present: Set<string>;
  work: WorkSpan[];
}

/** A part of the store that a message can change. */
export type StorePart = 'epochs' | 'events' | 'work' | 'status';

/** Applies a message and returns the part that changed; null if none did. The page fetches model states itself. */
export function applyMessage(store: PageStore, message: Message): StorePart | null {
  switch (message.type) {
    case 'epoch':
      cutBack(store.epochs, message.epoch - 1);
      addEpoch(store, message);
      return 'epochs';
    case 'event':
      if (message.event.type === 'epoch') return null;
      updatePresent(store.present, message.event);
      addEvent(store, message.event);
      return 'events';
    case 'work':
      store.work.push(...message.work);
      if (store.work.length > MAX_WORK) store.work.splice(0, store.work.length - MAX_WORK);
      return 'work';
    case 'status':
      store.status = message.status;
      return 'status';
    default:
      return null;
  }
}

function updatePresent(present: Set<string>, event: TimedEvent): void {
  if (event.type === 'worker') present.add(event.worker);
  if (event.type === 'worker-gone') present.delete(event.worker);
}

/**
 * A store from the history and the messages that arrived while it was loading. Skips what the history already contains,
 * so nothing is lost or duplicated, whichever of the two the coordinator wrote first.
 */
export function createStore(run: RunInfo, history: History, early: readonly Message[]): PageStore {
  const store: PageStore = { run, status: run.status, present: new Set(run.workers), ...history };
  const seen = new Set(history.events.slice(-1000).map((line) => JSON.stringify(line)));
  const seenWork = new Set(history.work.map((entry) => entry.join()));
  const last = history.epochs.epoch.at(-1) ?? 0;
  for (const message of early) {
    if (message.type === 'epoch' && message.epoch <= last) continue;
    if (message.type === 'event') updatePresent(store.present, message.event);
    if (message.type === 'event' && seen.has(JSON.stringify(message.event))) continue;
    const isWork = message.type === 'work';
    const work = isWork ? message.work.filter((entry) => !seenWork.has(entry.join())) : [];
    applyMessage(store, isWork ? { type: 'work', work } : message);
  }
  return store;
}
