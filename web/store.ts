import {
  cutBack,
  type Epochs,
  type History,
  type Message,
  type RunInfo,
  type Status,
  type WorkSpan,
} from '../view/api.ts';
import { keptEvents, type TimedEvent } from '../view/events.ts';

/** Numbers of work entries and events kept. The coordinator keeps as many work entries. */
const MAX_WORK = 2000;
const MAX_EVENTS = 10_000;

/** Everything the page knows about the run except the model state. */
export interface Store {
  run: RunInfo;
  status: Status;
  /** Connected workers. */
  present: Set<string>;
  epochs: Epochs;
  events: TimedEvent[];
  work: WorkSpan[];
}

/** A part of the store that a message can change. */
export type StorePart = 'epochs' | 'events' | 'work' | 'status';

/** Applies a message and returns the part that changed; null if none did. The page fetches model states itself. */
export function applyMessage(store: Store, message: Message): StorePart | null {
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
      updatePresent(store.present, message.event);
      if (message.event.type === 'alternation') cutBack(store.epochs, 0);
      store.events.push(message.event);
      if (store.events.length > 2 * MAX_EVENTS) store.events = keptEvents(store.events, MAX_EVENTS);
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
export function createStore(run: RunInfo, history: History, early: readonly Message[]): Store {
  const store: Store = { run, status: run.status, present: new Set(run.workers), ...history };
  const seen = new Set(history.events.slice(-1000).map((line) => JSON.stringify(line)));
  const seenWork = new Set(history.work.map((entry) => entry.join()));
  const last = history.epochs.epoch.at(-1) ?? 0;
  for (const message of early) {
    if (message.type === 'epoch' && message.epoch <= last) continue;
    if (message.type === 'event') updatePresent(store.present, message.event);
    if (message.type === 'event' && seen.has(JSON.stringify(message.event))) continue;
    if (message.type === 'work')
      applyMessage(store, {
        type: 'work',
        work: message.work.filter((entry) => !seenWork.has(entry.join())),
      });
    else applyMessage(store, message);
  }
  return store;
}

/** Split and merge steps that changed K, less those that a resume discarded. */
export function kChanges(
  events: readonly TimedEvent[],
): { epoch: number; kind: 'split' | 'merge'; k: number; changed: number }[] {
  const changes: ReturnType<typeof kChanges> = [];
  for (const event of events) {
    if (event.type === 'resume')
      while (changes.length && changes[changes.length - 1].epoch > event.epoch) changes.pop();
    if (event.type === 'alternation') changes.length = 0;
    if (event.type === 'step' && event.changed) {
      const { epoch, kind, k, changed } = event;
      changes.push({ epoch, kind, k, changed });
    }
  }
  return changes;
}

type EpochsAndEvents = Pick<Store, 'epochs' | 'events'>;

/**
 * The current K. An epoch reports the K that it trained with; a split or merge step at its end, or a later resume,
 * reports a newer one.
 */
export function currentK({ epochs, events }: EpochsAndEvents): number | undefined {
  const last = events.findLast(
    (event) => event.type === 'step' || event.type === 'resume' || event.type === 'alternation',
  );
  // The clusters before an alternation are those of other codes.
  if (last?.type === 'alternation') return epochs.k.at(-1) ?? last.k;
  const isNewer = last && last.epoch >= (epochs.epoch.at(-1) ?? 0);
  return isNewer ? last.k : epochs.k.at(-1);
}

/** K after each epoch and the step at its end, with which the next epoch trained. */
export function kAfterEpochs(history: EpochsAndEvents): number[] {
  const { k } = history.epochs;
  return k.map((trained, i) => k[i + 1] ?? currentK(history) ?? trained);
}
