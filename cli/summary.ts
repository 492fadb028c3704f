import type { Summary } from '../view/summary.ts';

/** The result, as text or as one JSON object. `report`: path of report.html. */
export function print(summary: Summary, json: boolean, report?: string): void {
  if (json) {
    console.log(JSON.stringify(summary));
    return;
  }
  const score = (value: number | null) => (value === null ? '–' : value.toFixed(4));
  const rows: [string, string][] = [
    ['clusters (K)', String(summary.k)],
    ...(summary.nmi === null
      ? []
      : ([
          ['NMI', score(summary.nmi)],
          ['ARI', score(summary.ari)],
          ['ACC', score(summary.acc)],
        ] as [string, string][])),
    ['silhouette', score(summary.silhouette)],
    ['loss', score(summary.loss)],
    ['rows × dimensions', `${summary.rows.toLocaleString('en')} × ${summary.dim}`],
    ['epochs, rounds', `${summary.epochs}, ${summary.rounds}`],
    ['workers', String(summary.workers)],
    ['training', `${summary.seconds.toFixed(2)} s`],
    ['results', summary.out],
    ...(report ? ([['report', report]] as [string, string][]) : []),
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(18)}  ${value}`);
}
