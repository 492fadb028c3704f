import { printable } from '../base/text.ts';
import type { RunResult } from '../library/result.ts';
import { alternationsText, certaintyText } from '../view/summary.ts';

/** As a word of a shell's command line. */
const word = (text: string) => (/^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** Prints the result, as text or as one JSON object. */
export function print(result: RunResult, json: boolean): void {
  const { k, scores, loss, epochs, rounds, workers, rows: count, columns: dim, seconds, directory } = result;
  const { outliers, notes, replicates, stability, alternations } = result;
  const certainty = certaintyText(result);
  if (json) {
    const summary = {
      k,
      ...scores,
      loss,
      epochs,
      rounds,
      workers,
      rows: count,
      outliers,
      dim,
      seconds,
      out: directory,
      notes,
      replicates,
      stability,
      ...(alternations && { alternations }),
    };
    console.log(JSON.stringify(summary));
    return;
  }
  const score = (value: number | null) => (value === null ? '–' : value.toFixed(4));
  const rows: [string, string][] = [
    ['clusters (K)', certainty ? `${k} (${certainty})` : String(k)],
    ...(scores.nmi === null
      ? []
      : ([
          ['NMI', score(scores.nmi)],
          ['ARI', score(scores.ari)],
          ['ACC', score(scores.acc)],
        ] as [string, string][])),
    ['silhouette', score(scores.silhouette)],
    ...(alternations ? ([['alternations', alternationsText(alternations)]] as [string, string][]) : []),
    ['loss', score(loss)],
    ['rows × dimensions', `${count.toLocaleString('en')} × ${dim}`],
    ...(outliers ? ([['outliers', outliers.toLocaleString('en')]] as [string, string][]) : []),
    ['epochs, rounds', `${epochs}, ${rounds}`],
    ['workers', String(workers)],
    ['training', `${seconds.toFixed(2)} s`],
    ['results', directory],
    ...(result.report ? ([['report', result.report]] as [string, string][]) : []),
    // The address of the live page ends with the run.
    ['page', `dpmesh view ${word(directory)}`],
  ];
  for (const [name, value] of rows) console.log(printable(`${name.padEnd(18)}  ${value}`));
  for (const note of notes) console.log(printable(`note: ${note}`));
}
