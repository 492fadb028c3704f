import type { Outcome, RunInfo } from '../view/api.ts';
import { labelFiles } from '../view/config-text.ts';
import { certaintyText, type Summary } from '../view/summary.ts';
import { byId, make } from './dom.ts';
import { count, duration } from './format.ts';

/** The report is drawn after the run is done. */
const WAIT_FOR_REPORT = 1500;

/**
 * Shows the scores of a run of this config that is done, and where its results are. `loaded` is called once the result is there.
 */
export async function showOutcome(
  config: RunInfo['config'],
  loaded: (result: Summary) => void,
): Promise<void> {
  let outcome = await load();
  if (!outcome) return;
  show(outcome, config);
  loaded(outcome.result);
  if (outcome.report) return;
  await new Promise((resolve) => setTimeout(resolve, WAIT_FOR_REPORT));
  outcome = await load();
  if (outcome) show(outcome, config);
}

async function load(): Promise<Outcome | null> {
  try {
    const response = await fetch('api/result', { cache: 'no-store' });
    return response.status === 200 ? await response.json() : null;
  } catch {
    // The coordinator has ended.
    return null;
  }
}

function show({ result, directory, report }: Outcome, config: RunInfo['config']): void {
  const certainty = certaintyText(result);
  const score = (value: number | null) => (value === null ? null : value.toFixed(4));
  const entries: [string, string | null][] = [
    ['clusters (K)', certainty ? `${result.k} (${certainty})` : String(result.k)],
    ['NMI', score(result.nmi)],
    ['ARI', score(result.ari)],
    ['ACC', score(result.acc)],
    ['silhouette', score(result.silhouette)],
    ['loss', score(result.loss)],
    ['outliers', result.outliers ? count(result.outliers) : null],
    ['training', duration(result.seconds)],
    ['results', directory],
    ['labels', `${directory}/${labelFiles(config)}`],
    ['report', report],
  ];
  byId('outcome').hidden = false;
  byId('outcome-list').replaceChildren(
    ...entries.flatMap(([name, value]) =>
      value === null ? [] : [make('div', '', make('dt', '', name), make('dd', '', value))],
    ),
  );
}
