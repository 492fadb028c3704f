import { join } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { readRunLabels, runFiles } from '../../data/saved/run-files.ts';
import { accuracy, ariOfLabels, contingency, nmiOfLabels } from '../../model/scores.ts';
import { crosstab } from '../../report/crosstab.ts';
import type { RunComparison } from '../../view/runs.ts';
import type { ViewedRun } from './run-table.ts';

/** A larger table shows nothing, and matching its clusters takes long. */
const MOST_CELLS = 1 << 18;

/** Compares the labels of two finished runs. UserError if they are not of the same rows, or files are damaged. */
export function compareRuns(a: ViewedRun, b: ViewedRun): RunComparison {
  const [first, second] = [a.run.data, b.run.data];
  if (first.fingerprint !== second.fingerprint || first.rows !== second.rows)
    throw new UserError(`${a.path} and ${b.path} are of different rows`);
  const [own, other] = [labelsOf(a), labelsOf(b)];
  const scores = { rows: own.length, ari: ariOfLabels(own, other), nmi: nmiOfLabels(own, other) };
  const counted = a.run.result!.k * b.run.result!.k <= MOST_CELLS ? contingency(own, other) : null;
  if (!counted) return { ...scores, matched: null, table: null };
  const names = Array.from({ length: counted.classes }, (_, cluster) => String(cluster));
  const { clusters, classes, counts } = crosstab([...counted.counts], names);
  return { ...scores, matched: accuracy(counted), table: { a: clusters, b: classes, counts } };
}

function labelsOf({ path, run }: ViewedRun): Int32Array {
  if (!run.result) throw new UserError(`${path} is not finished: it has no labels to compare`);
  runFiles(path, run.files).assertIntact('labels.npy');
  const labels = readRunLabels(join(path, 'labels.npy'), run.data.rows);
  // They are places in tables of counts.
  const { k } = run.result;
  if (!labels.every((label) => label >= 0 && label < k))
    throw new UserError(
      `${path}/labels.npy has labels that are none of the ${k} clusters in run.json: it is damaged`,
    );
  return labels;
}
