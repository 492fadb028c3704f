import { basename, resolve } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { NOISE } from '../../model/order.ts';
import { accuracy, ariOfLabels, contingency, nmiOfLabels } from '../../model/scores.ts';
import type { RunConfig } from '../../run/config.ts';
import type { RunFile } from '../../run/run-file.ts';
import { numberOfLabel, readRunLabels, runFiles } from '../../run/run-files.ts';
import type { RunComparison, RunTable } from '../drawing/api.ts';
import { crosstab } from '../report/crosstab.ts';

/** Several runs beside each other: a table of them, and the clusters of two. */

/** A run directory and its run.json. */
export interface ViewedRun {
  path: string;
  run: RunFile;
}

/** The runs in a table: their results, and the options in which they differ. */
export function runTable(runs: readonly ViewedRun[]): RunTable {
  const names = [...new Set(runs.flatMap(({ run }) => Object.keys(run.config)))] as (keyof RunConfig)[];
  const options = names.filter((name) => new Set(runs.map(({ run }) => textOf(run.config[name]))).size > 1);
  return {
    options,
    runs: runs.map(({ path, run: { config, data, result } }) => ({
      name: basename(resolve(path)),
      out: path,
      rows: data.rows,
      columns: data.dim,
      result: result && {
        ...{ k: result.k, nmi: result.nmi, ari: result.ari, acc: result.acc },
        ...{ silhouette: result.silhouette, epochs: result.epochs, seconds: result.seconds },
      },
      options: options.map((name) => textOf(config[name])),
    })),
  };
}

const textOf = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : value == null
      ? '–'
      : Array.isArray(value)
        ? value.join(',')
        : JSON.stringify(value);

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
  const names = Array.from({ length: counted.classes }, (_, cluster) =>
    String(b.run.ids?.[cluster] ?? cluster),
  );
  const { clusters, classes, counts } = crosstab([...counted.counts], names, a.run.ids);
  return { ...scores, matched: accuracy(counted), table: { a: clusters, b: classes, counts } };
}

function labelsOf({ path, run }: ViewedRun): Int32Array {
  if (!run.result) throw new UserError(`${path} is not finished: it has no labels to compare`);
  runFiles(path, run.files).assertIntact('labels.npy');
  const labels = readRunLabels(path, run.data.rows).map(numberOfLabel(run.ids));
  // They are places in tables of counts.
  const { k, noise } = run.result;
  if (!labels.every((label) => (label >= 0 || (noise > 0 && label === NOISE)) && label < k))
    throw new UserError(
      `${path}/labels.npy has labels that are none of the ${k} clusters in run.json: it is damaged`,
    );
  // Noise is compared as one more cluster.
  return noise ? labels.map((label) => (label === NOISE ? k : label)) : labels;
}
