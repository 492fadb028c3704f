import type { RunComparison, RunRow, RunTable } from '../drawing/api.ts';
import { pairsTable } from '../drawing/panels.ts';
import { count, duration, percent, splitCamelCase, threeDigits } from '../drawing/text.ts';
import { themeButton } from './controls.ts';
import { byId, make, setHtml, setText } from './dom.ts';

/** The page of several runs: a table of them, and the clusters of two against each other. */

const RESULTS = ['Rows', 'K', 'NMI', 'ARI', 'ACC', 'Silhouette', 'Epochs', 'Time'];
const resultTexts = ({ rows, columns, result }: RunRow): string[] => [
  `${count(rows)} × ${columns}`,
  count(result?.k),
  ...[result?.nmi, result?.ari, result?.acc, result?.silhouette].map(threeDigits),
  count(result?.epochs),
  duration(result?.seconds),
];

themeButton();
void start();

async function start(): Promise<void> {
  const table = await fetchJson<RunTable>('api/runs');
  if ('error' in table) return notice(table.error);
  showRuns(table);
  const finished = [...table.runs.entries()].filter(([, { result }]) => result);
  if (finished.length < 2) return;
  byId('comparison').hidden = false;
  const selects = [byId<HTMLSelectElement>('a'), byId<HTMLSelectElement>('b')];
  for (const [s, select] of selects.entries()) {
    select.replaceChildren(
      ...finished.map(([i, { name }]) => Object.assign(make('option', '', name), { value: String(i) })),
    );
    select.selectedIndex = s;
    select.onchange = () => void compare(selects, table);
  }
  await compare(selects, table);
}

function showRuns({ runs, options }: RunTable): void {
  const { tHead, tBodies } = byId<HTMLTableElement>('runs');
  const heads = ['Run', ...RESULTS, ...options.map(splitCamelCase)];
  tHead!.rows[0].replaceChildren(...heads.map((text, i) => columnHead(text, i > 0 && i <= RESULTS.length)));
  tBodies[0].replaceChildren(
    ...runs.map((run, i) => {
      const name = run.result ? make('a', '', run.name) : make('span', '', `${run.name} (not finished)`);
      if (name instanceof HTMLAnchorElement) name.href = `runs/${i}/`;
      name.title = run.out;
      const head = make('th', '', name);
      head.scope = 'row';
      const results = resultTexts(run).map((text) => make('td', 'n', text));
      return make('tr', '', head, ...results, ...run.options.map((text) => make('td', '', text)));
    }),
  );
}

async function compare([a, b]: HTMLSelectElement[], { runs }: RunTable): Promise<void> {
  const [first, second] = [a.value, b.value];
  const found = await fetchJson<RunComparison>(`api/compare?a=${first}&b=${second}`);
  // Another choice was made meanwhile.
  if (a.value !== first || b.value !== second) return;
  setHtml(byId('pairs'), '');
  if ('error' in found) return setText(byId('scores'), found.error);
  const { rows, ari, nmi, matched, table } = found;
  const share = table ? `, ${percent(matched)} in matched clusters` : '; too many clusters for a table';
  setText(byId('scores'), `ARI ${threeDigits(ari)}, NMI ${threeDigits(nmi)}; ${count(rows)} rows${share}`);
  if (!table) return;
  const [one, other] = [runs[Number(first)].name, runs[Number(second)].name];
  setHtml(byId('pairs'), pairsTable(`${one} ↓ ${other} →`, table.a, table.b, table.counts));
}

function columnHead(text: string, isNumber = false): HTMLTableCellElement {
  const head = make('th', isNumber ? 'n' : '', text);
  head.scope = 'col';
  return head;
}

function notice(text: string): void {
  const element = byId('notice');
  element.hidden = false;
  element.dataset.tone = 'bad';
  setText(element, text);
}

async function fetchJson<T>(path: string): Promise<T | { error: string }> {
  try {
    return await (await fetch(path, { cache: 'no-store' })).json();
  } catch {
    return { error: 'dpmesh view is not responding: it has ended, or this page is of another one.' };
  }
}
