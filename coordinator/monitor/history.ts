import { cutBack, type Epochs } from '../../view/api.ts';
import { keptEvents, type TimedEvent } from '../../view/events.ts';

/** What a run has gone through, in bounded memory: its epochs, column by column, and its other events. */
export interface Past {
  epochs: Epochs;
  events: TimedEvent[];
}

/** Beyond this many epochs, only every second one of those until now is kept. */
const MOST_EPOCHS = 20_000;
const MOST_EVENTS = 10_000;

export function addEpoch({ epochs }: Past, row: { [Name in keyof Epochs]: Epochs[Name][number] }): void {
  for (const [name, column] of columns(epochs)) column.push(row[name]);
  if (epochs.epoch.length > MOST_EPOCHS) thin(epochs);
}

/** Adds an event of another type. Epochs after the one that a session resumes from are work that was lost. */
export function addEvent(past: Past, event: TimedEvent): void {
  if (event.type === 'resume') cutBack(past.epochs, event.epoch);
  past.events.push(event);
  // Not one by one: each would move all the others.
  if (past.events.length > 2 * MOST_EVENTS) past.events = eventsOf(past);
}

/** The events that are of interest still. */
export const eventsOf = ({ events }: Past) => keptEvents(events, MOST_EVENTS);

/**
 * What earlier sessions have gone through, from the lines of events.jsonl, and the seconds that they took. Lines that
 * are no events are passed over.
 */
export function readHistory(lines: Iterable<string>): { past: Past; seconds: number } {
  const past: Past = { epochs: { epoch: [], time: [], k: [], loss: [], subLoss: [] }, events: [] };
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
    if (event.type === 'epoch') addEpoch(past, { ...event, time: seconds });
    else addEvent(past, event);
  }
  past.events = eventsOf(past);
  return { past, seconds };
}

/** Does a session begin here? */
const isFirst = (event: TimedEvent) =>
  event.type === 'resume' || (event.type === 'worker' && event.worker === 'w1');

const columns = (epochs: Epochs) => Object.entries(epochs) as [keyof Epochs, (number | null)[]][];

function thin(epochs: Epochs): void {
  for (const [, column] of columns(epochs)) {
    let kept = 0;
    for (let i = 0; i < column.length; i += 2) column[kept++] = column[i];
    column.length = kept;
  }
}
