import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { indentContinuation } from '../base/text.ts';
import type { RunResult } from '../library/result.ts';
import { CLUSTERS } from '../run/saved-clusters.ts';
import { alternationsText, cameBackText, certaintyText, evidenceText } from '../run/summary.ts';

/** As a word of a shell's command line. */
const word = (text: string) => (/^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** Clusters that are named, the largest ones. */
const MOST_NAMED = 5;

/** None of a run of an earlier version, which describes no clusters. */
const named = (result: RunResult) =>
  (existsSync(join(result.directory, CLUSTERS)) ? result.clusters : [])
    .filter(({ name, namedBy }) => name !== undefined && namedBy !== 'number')
    .slice(0, MOST_NAMED);

/** Prints the result, as text or as one JSON object. */
export function print(result: RunResult, json: boolean): void {
  const { k, scores, columns: dim, directory: out, report, ...others } = result;
  const { alternations, outliers, seconds } = others;
  if (json) {
    const summary = {
      k,
      ...scores,
      ...others,
      dim,
      out,
      alternations: alternations ?? undefined,
      ...result.update,
    };
    return void console.log(JSON.stringify(summary));
  }
  const certainty = certaintyText(result);
  const score = (value: number | null) => value?.toFixed(4) ?? '–';
  const known = (value: number | null) => value?.toFixed(4) ?? null;
  const rows: [name: string, value: string | null][] = [
    ['clusters (K)', certainty ? `${k} (${certainty})` : String(k)],
    ['evidence for K', evidenceText(result.evidence) || null],
    ['came back', cameBackText(result.replicates)],
    ['NMI', known(scores.nmi)],
    ['ARI', known(scores.ari)],
    ['ACC', known(scores.acc)],
    ['silhouette', score(scores.silhouette)],
    ['alternations', alternations && alternationsText(alternations)],
    ['loss', score(result.loss)],
    ['rows × dimensions', `${result.rows.toLocaleString('en')} × ${dim}`],
    ['outliers', outliers ? outliers.toLocaleString('en') : null],
    ['epochs, rounds', `${result.epochs}, ${result.rounds}`],
    ['workers', String(result.workers)],
    ['training', `${seconds.toFixed(2)} s`],
    ['results', out],
    ['report', report],
    // The address of the live page ends with the run.
    ['page', `dpmesh view ${word(out)}`],
  ];
  for (const { cluster, id = cluster, name, size } of named(result))
    rows.push([`cluster ${id}`, `${name} (${size.toLocaleString('en')} rows)`]);
  for (const [name, value] of rows)
    if (value !== null) console.log(indentContinuation(`${name.padEnd(18)}  ${value}`));
  for (const note of result.notes) console.log(indentContinuation(`note: ${note}`));
}
