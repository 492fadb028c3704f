import type { TimedEvent } from './events.ts';

/** Columns of equal length, in ascending order of epochs. `time`: seconds since the run began. */
export interface Epochs {
  epoch: number[];
  time: number[];
  k: number[];
  loss: (number | null)[];
  subLoss: (number | null)[];
}

/** The history of a run in bounded memory: its epochs as columns, and its other events. */
export interface RunHistory {
  epochs: Epochs;
  events: TimedEvent[];
}

/** Beyond this many epochs, every second one is dropped. */
const MAX_EPOCHS = 20_000;
const MAX_EVENTS = 10_000;

export const emptyHistory = (): RunHistory => ({
  epochs: { epoch: [], time: [], k: [], loss: [], subLoss: [] },
  events: [],
});

export function addEpoch(
  { epochs }: RunHistory,
  row: { [Name in keyof Epochs]: Epochs[Name][number] },
): void {
  for (const [name, column] of columns(epochs)) column.push(row[name]);
  if (epochs.epoch.length <= MAX_EPOCHS) return;
  for (const [, column] of columns(epochs))
    column.splice(0, column.length, ...column.filter((_, i) => i % 2 === 0));
}

/** Adds an event that is not an epoch. A `resume` drops the epochs after its checkpoint: their work was lost. */
export function addEvent(history: RunHistory, event: TimedEvent): void {
  if (event.type === 'resume') cutBack(history.epochs, event.epoch);
  if (event.type === 'alternation') cutBack(history.epochs, 0);
  history.events.push(event);
  // In batches: removing one event costs as much as removing many.
  if (history.events.length > 2 * MAX_EVENTS) history.events = keptEventsOf(history);
}

/** The events to show: at most `MAX_EVENTS`. */
export const keptEventsOf = ({ events }: RunHistory) => keptEvents(events, MAX_EVENTS);

const columns = (epochs: Epochs) => Object.entries(epochs) as [keyof Epochs, (number | null)[]][];

/** Split and merge steps that changed K, less those that a resume discarded. */
export function kChanges(events: readonly TimedEvent[]) {
  const changes: (TimedEvent & { type: 'step' })[] = [];
  for (const event of events) {
    if (event.type === 'resume') while (changes.length && changes.at(-1)!.epoch > event.epoch) changes.pop();
    if (event.type === 'alternation') changes.length = 0;
    if (event.type === 'step' && event.changed) changes.push(event);
  }
  return changes;
}

/**
 * The current K. An epoch reports the K that it trained with; a split or merge step at its end, or a later resume,
 * reports a newer one.
 */
export function currentK({ epochs, events }: RunHistory): number | undefined {
  const last = events.findLast(
    (event) => event.type === 'step' || event.type === 'resume' || event.type === 'alternation',
  );
  // The clusters before an alternation are those of other codes.
  if (last?.type === 'alternation') return epochs.k.at(-1) ?? last.k;
  return last && last.epoch >= (epochs.epoch.at(-1) ?? 0) ? last.k : epochs.k.at(-1);
}

/** K after each epoch and the step at its end, with which the next epoch trained. */
export function kAfterEpochs(history: RunHistory): number[] {
  const { k } = history.epochs;
  return k.map((trained, i) => k[i + 1] ?? currentK(history) ?? trained);
}

/** Rejected proposals, steps without changes and checkpoints: most events of a long run, and the least interesting. */
const isMinor = (event: TimedEvent): boolean =>
  event.type === 'checkpoint' ||
  ((event.type === 'split' || event.type === 'merge') && !event.accepted) ||
  (event.type === 'step' && !event.changed);

/** At most `most` of the events, in order: drops the oldest minor events first, then the oldest of the rest. */
export function keptEvents(events: TimedEvent[], most: number): TimedEvent[] {
  let excess = events.length - most;
  if (excess <= 0) return events;
  const kept = events.filter((event) => !(excess > 0 && isMinor(event) && excess--));
  return kept.slice(Math.max(0, kept.length - most));
}

/** Removes epochs above `last`, which a run that was resumed from a checkpoint computes again. */
export function cutBack(epochs: Epochs, last: number): void {
  let keep = epochs.epoch.length;
  while (keep && epochs.epoch[keep - 1] > last) keep--;
  for (const column of Object.values(epochs)) column.length = keep;
}
