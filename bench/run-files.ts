// What a run has written: its events, and hashes of its results.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent } from '../view/events.ts';

export type Timed = RunEvent & { time: string };
type Of<T extends RunEvent['type']> = Extract<Timed, { type: T }>;

/** A run's events until now; a line that is being written does not count. */
export function eventsOf(run: string): Timed[] {
  let text: string;
  try {
    text = readFileSync(join(run, 'events.jsonl'), 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').slice(0, -1).filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

export const ofType = <T extends RunEvent['type']>(events: Timed[], type: T) =>
  events.filter((event): event is Of<T> => event.type === type);

/** The last epoch that a run has reported. */
export const epochOf = (run: string) => ofType(eventsOf(run), 'epoch').at(-1)?.epoch ?? 0;

/** Pids of all workers that the run has had. */
export const workerPids = (run: string) => ofType(eventsOf(run), 'worker').map(({ pid }) => pid);

/** Checkpoints that are there, the oldest first. */
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

/** Hashes of all that depends neither on who computes nor on how the run goes: labels, model, mixture. */
export function bytesOfRun(run: string): string[] {
  const names = ['model', 'mixture'].flatMap((folder) =>
    readdirSync(join(run, folder))
      .sort()
      .map((name) => join(folder, name)),
  );
  return ['labels.npy', ...names].map((name) => `${name} ${sha256(join(run, name))}`);
}
