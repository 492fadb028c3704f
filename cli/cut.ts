import { printable } from '../base/text.ts';
import type { Cut } from '../library/cut.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'cut [folder]';
export const words = ['run'];
export const describe = 'join the clusters of a finished run to fewer, by its tree of merges';
export const builder = {
  run: { type: 'string', demandOption: true, requiresArg: true, describe: 'run directory' },
  clusters: {
    type: 'number',
    demandOption: true,
    requiresArg: true,
    describe: 'number of clusters, at most those of the run',
  },
  out: {
    type: 'string',
    requiresArg: true,
    describe: 'output file of the labels: .npy, int32, or a table with what names the rows: .csv or .parquet',
    defaultDescription: 'none: a table is printed',
  },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of text' },
  force: { type: 'boolean', default: false, describe: 'overwrite an existing file' },
} as const satisfies Flags;
export const examples = [
  ['cut runs/x --clusters 7', 'which clusters join'],
  ['cut runs/x --clusters 7 --out seven.csv', 'the labels of all rows'],
  ['predict runs/x new.npy --clusters 7 --out labels.npy', 'those of new rows'],
] as const;

/** Of more clusters, a row of the table names only the first. */
const MOST_NAMED = 16;
/** Of the words of a cluster. */
const SHOWN_WORDS = 6;

export async function handler({
  run,
  clusters,
  out,
  json,
  force,
}: FlagValues<typeof builder>): Promise<void> {
  const { cut, nextSplitText } = await import('../library/cut.ts');
  const result = await cut({ run, clusters, out, force });
  const { rows, next } = result;
  if (json) console.log(JSON.stringify({ run, rows, out: out ?? null, clusters: result.clusters, next }));
  else if (out !== undefined)
    console.log(printable(`${out}: labels of ${rows} rows, clusters 0 to ${clusters - 1}`));
  else {
    for (const line of tableOf(result)) console.log(line);
    // With fewer clusters, the next split would be the last join.
    const isWhole = result.clusters.every(({ from }) => from.length === 1);
    if (isWhole && next.length) console.log(`\n${nextSplitText(next[0])}`);
  }
}

function tableOf({ rows, clusters }: Cut): string[] {
  const cells = clusters.map((own, cluster) => [
    String(cluster),
    own.rows.toLocaleString('en'),
    `${((100 * own.rows) / rows).toFixed(2)} %`,
    own.from.slice(0, MOST_NAMED).join(', ') +
      (own.from.length > MOST_NAMED ? `, … (${own.from.length} clusters)` : ''),
  ]);
  const head = ['cluster', 'rows', 'share', 'joined from'];
  if (clusters.some(({ words }) => words)) {
    head.push('words');
    for (const [i, { words = [] }] of clusters.entries())
      cells[i].push(words.slice(0, SHOWN_WORDS).join(', '));
  }
  const widths = head.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i].length)));
  const aligned = (cell: string, i: number) =>
    i < 3 ? cell.padStart(widths[i]) : i < head.length - 1 ? cell.padEnd(widths[i]) : cell;
  return [head, ...cells].map((row) => printable(row.map(aligned).join('  ')));
}
