import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runFiles } from '../../../data/saved/run-files.ts';
import type { Outcome } from '../../../view/api.ts';
import type { Summary } from '../../../view/summary.ts';

/** What the run directory at `out` has once the run is done. Both throw a UserError for a file that is damaged. */

/** The scores, and where the results are; null if there are none. */
export function outcomeOf(out: string): Outcome | null {
  const { result } = runFiles(out).json('run.json') as { result: Summary | null };
  if (!result) return null;
  const report = resolve(join(out, 'report', 'report.html'));
  return { result, directory: resolve(out), report: existsSync(report) ? report : null };
}

/** The content of `clusters.json`; null if the run has none. */
export function describedClusters(out: string): unknown {
  const files = runFiles(out);
  return files.has('clusters.json') ? files.json('clusters.json') : null;
}
