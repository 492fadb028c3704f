// What the campaigns of this folder share: flags, seeded numbers, and the line at the end.
import { join } from 'node:path';
import { ROOT } from '../../bench/processes.ts';
import { bytesOfRun } from '../../bench/run-files.ts';
import { randomNumbers } from '../coordinator/support.ts';

// What is set up on this machine must not change what these runs compute with.
process.env.XDG_DATA_HOME = join(ROOT, 'bench', 'no-backends');

/** `--seed N` and the like: a number behind a flag of the command line. */
export function numberFlag(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0) return otherwise;
  const value = Number(process.argv[at + 1] || Number.NaN);
  if (!Number.isFinite(value)) throw new Error(`--${name} needs a number`);
  return value;
}

export const seed = numberFlag('seed', 0);
export const short = process.argv.includes('--short');
export const random = randomNumbers(seed);

/** The bytes of a run, to be compared by ===. */
export const bytesOf = (run: string) => bytesOfRun(run).join('\n');

export const say = (text: string) => console.error(text);

/** What every command ends with: one JSON line on stdout. */
export interface Outcome {
  /** The name of its file. */
  name: string;
  what: string;
  asked: string;
  measured: string;
  /** Null: skipped, or done in part; `measured` says why. */
  ok: boolean | null;
}

export function report(outcome: Outcome): void {
  console.log(JSON.stringify(outcome));
  process.exitCode = outcome.ok === false ? 1 : 0;
}

/** Ends the command where this machine cannot do what it needs. */
export function skip(about: Pick<Outcome, 'name' | 'what' | 'asked'>, reason: string): never {
  report({ ...about, measured: `skipped: ${reason}`, ok: null });
  process.exit(0);
}

/** `{ unitsRaced: 1000 }` as "units raced 1,000". */
export const inWords = (seen: Record<string, number>): string =>
  Object.entries(seen)
    .map(
      ([what, times]) =>
        `${what.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)} ${times.toLocaleString('en')}`,
    )
    .join(', ');
