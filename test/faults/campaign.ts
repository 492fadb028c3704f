// Helpers of the fault campaigns: flags, seeded random numbers, and the final result line.
import { join } from 'node:path';
import { ROOT } from '../bench/processes.ts';
import { randomNumbers } from '../coordinator/fit/support.ts';
import { resultHashes } from '../e2e/run-files.ts';

// Backends installed on this machine must not affect these runs.
process.env.XDG_DATA_HOME = join(ROOT, 'test', 'bench', 'no-backends');

/** The number after a command-line flag, such as `--seed N`. */
export function numberFlag(name: string, defaultValue: number): number {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0) return defaultValue;
  const value = Number(process.argv[at + 1] || Number.NaN);
  if (!Number.isFinite(value)) throw new Error(`--${name} needs a number`);
  return value;
}

export const seed = numberFlag('seed', 0);
export const short = process.argv.includes('--short');
export const random = randomNumbers(seed);

/** The result hashes of a run as one string, to compare with ===. */
export const resultHash = (run: string) => resultHashes(run).join('\n');

export const log = (text: string) => console.error(text);

/** The result of a campaign: every command prints it as one JSON line on stdout at the end. */
export interface CampaignResult {
  /** The name of its file. */
  name: string;
  what: string;
  target: string;
  measured: string;
  /** Null: skipped or incomplete; `measured` has the reason. */
  ok: boolean | null;
}

export function report(result: CampaignResult): void {
  console.log(JSON.stringify(result));
  process.exitCode = result.ok === false ? 1 : 0;
}

/** Ends the command because this machine lacks something that it needs. */
export function skip(campaign: Pick<CampaignResult, 'name' | 'what' | 'target'>, reason: string): never {
  report({ ...campaign, measured: `skipped: ${reason}`, ok: null });
  process.exit(0);
}

/** `{ unitsRaced: 1000 }` as "units raced 1,000". */
export const describeCounts = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(
      ([what, times]) =>
        `${what.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)} ${times.toLocaleString('en')}`,
    )
    .join(', ');
