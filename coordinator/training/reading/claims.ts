import { UserError } from '../../../base/user-error.ts';
import { formatNumber, MAX_MAGNITUDE } from '../../../data/value-range.ts';
import type { Layout } from '../../../model/layout.ts';
import type { RunConfig } from '../../config.ts';
import type { Witnesses } from '../../scheduler/witnesses.ts';

/**
 * What workers claim of the data in the moments round, judged by the coordinator's own file: no run ends because of what only a
 * worker says.
 */

/** What the coordinator knows of the data itself, by which it judges what workers claim. */
export interface OwnData {
  /** Locates the first value of a row that cannot be computed with, in the coordinator's own file. */
  diagnose(row: number): Promise<{ where: string; isLarge: boolean; isValid: boolean }>;
  /**
   * Shards that have to be read again, as their workers (`by`, for each shard) did not read the coordinator's rows, by the hashes
   * of all blocks.
   */
  staleShards?(hashes: Uint8Array, by: string[]): Promise<number[]>;
  /** Rows of the coordinator's own file, where workers may have read another; they may be modified. */
  read?(start: number, count: number): Promise<Float32Array>;
  workers: Pick<Witnesses, 'misread' | 'sendAway'>;
}

/** What a worker says of the rows of a shard: those in the sample, bad ones, and the first of these. */
export interface Counts {
  kept: number;
  bad: number;
  first: number;
}

/** Sends away the workers whose number of sampled rows is wrong, and returns them. */
export function wrongCounts(
  counts: Counts[],
  sampled: number[],
  by: string[],
  { workers }: OwnData,
): Set<string> {
  const wrong = new Set<string>();
  for (const [shard, { kept }] of counts.entries()) {
    if (kept === sampled[shard] || wrong.has(by[shard])) continue;
    wrong.add(by[shard]);
    workers.sendAway(
      by[shard],
      `it kept ${kept} rows of shard ${shard} for the sample, not ${sampled[shard]}`,
    );
  }
  return wrong;
}

/**
 * UserError if one of the bad rows that workers claim is bad in the coordinator's own file too. Returns the workers that claim
 * others.
 */
export async function falseBadRows(
  counts: Counts[],
  by: string[],
  { diagnose, workers }: OwnData,
  config: RunConfig,
  layout: Layout,
): Promise<Set<string>> {
  const claims = counts.flatMap(({ bad, first }, shard) =>
    bad > 0 ? [{ bad, first, worker: by[shard] }] : [],
  );
  claims.sort((a, b) => a.first - b.first);
  const found = new Map<string, string>();
  let bad = 0;
  let problem: { where: string; isLarge: boolean } | null = null;
  for (const { bad: rows, first, worker } of claims) {
    const { isValid, ...diagnosis } = await diagnose(first);
    if (isValid) found.set(worker, diagnosis.where);
    else {
      bad += rows;
      problem ??= diagnosis;
    }
  }
  if (problem) {
    const [what, remedy] = problem.isLarge
      ? [`values larger than the supported maximum (${formatNumber(MAX_MAGNITUDE)})`, 'scale the data']
      : ['NaN or infinite values', 'remove or fill them'];
    throw new UserError(
      `${config.data}: ${bad} of ${layout.rows} rows have ${what}, the first is ${problem.where}; ${remedy}`,
    );
  }
  for (const [worker, where] of found)
    workers.misread(worker, `it found a bad value in ${where}, which is valid in ${config.data}`);
  return new Set(found.keys());
}
