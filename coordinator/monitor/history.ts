import { cutBack, type Epochs } from '../../view/api.ts';
import { eventIn } from '../../view/event-line.ts';
import { keptEvents, type TimedEvent } from '../../view/events.ts';

/** The history of a run in bounded memory: its epochs as columns, and its other events. */
export interface RunHistory {
  epochs: Epochs;
  events: TimedEvent[];
}

/** Beyond this many epochs, every second one is dropped. */
const MAX_EPOCHS = 20_000;
const MAX_EVENTS = 10_000;

export function addEpoch(
  { epochs }: RunHistory,
  row: { [Name in keyof Epochs]: Epochs[Name][number] },
): void {
  for (const [name, column] of columns(epochs)) column.push(row[name]);
  if (epochs.epoch.length > MAX_EPOCHS) thin(epochs);
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

/**
 * The history of earlier sessions, read from the lines of events.jsonl, and their duration in seconds. Lines that are not
 * events are skipped.
 */
export function readHistory(lines: Iterable<string>): { past: RunHistory; seconds: number } {
  const past: RunHistory = { epochs: { epoch: [], time: [], k: [], loss: [], subLoss: [] }, events: [] };
  let seconds = 0;
  let last: number | null = null;
  for (const line of lines) {
    const event = eventIn(line) as TimedEvent | null;
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

const columns = (epochs: Epochs) => Object.entries(epochs) as [keyof Epochs, (number | null)[]][];

function thin(epochs: Epochs): void {
  for (const [, column] of columns(epochs)) {
    let kept = 0;
    for (let i = 0; i < column.length; i += 2) column[kept++] = column[i];
    column.length = kept;
  }
}
