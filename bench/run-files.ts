// The files of a run.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent, TimedEvent } from '../view/events.ts';

type EventOfType<T extends RunEvent['type']> = Extract<TimedEvent, { type: T }>;

/** The events of a run so far, without an incomplete last line. */
export function eventsOf(run: string): TimedEvent[] {
  let text: string;
  try {
    text = readFileSync(join(run, 'events.jsonl'), 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').slice(0, -1).filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

export const ofType = <T extends RunEvent['type']>(events: TimedEvent[], type: T) =>
  events.filter((event): event is EventOfType<T> => event.type === type);

/** Pids of all workers that have joined the run. */
export const workerPids = (run: string) => ofType(eventsOf(run), 'worker').map(({ pid }) => pid);

export const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
