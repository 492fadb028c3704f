// The files of a run: its events, checkpoints, and hashes of its results.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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

/** The last epoch that a run has reported; 0 if none. */
export const epochOf = (run: string) => ofType(eventsOf(run), 'epoch').at(-1)?.epoch ?? 0;

/** Pids of all workers that have joined the run. */
export const workerPids = (run: string) => ofType(eventsOf(run), 'worker').map(({ pid }) => pid);

/** File names of the checkpoints, oldest first. */
export function checkpointsOf(run: string): string[] {
  try {
    return readdirSync(join(run, 'checkpoints'))
      .filter((name) => name.endsWith('.ckpt'))
      .sort();
  } catch {
    return [];
  }
}

export const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

const ROW_FILES = ['labels.npy', 'labels.csv', 'confidences.npy', 'distances.npy'];

/** Hashes of the results that must be reproducible: labels and what is said of rows and clusters, tree, model, mixture. */
export function resultHashes(run: string): string[] {
  const names = ['model', 'mixture'].flatMap((folder) =>
    readdirSync(join(run, folder))
      .sort()
      .map((name) => join(folder, name)),
  );
  const parquet = existsSync(join(run, 'labels.parquet')) ? ['labels.parquet'] : [];
  return [...ROW_FILES, ...parquet, 'clusters.json', 'tree.json', ...names].map(
    (name) => `${name} ${sha256(join(run, name))}`,
  );
}
