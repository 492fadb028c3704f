import type { RunComparison, RunRow, RunTable } from '../view/runs.ts';
import { byId, make, setText } from './dom.ts';
import { count, duration, percent, splitCamelCase, threeDigits } from './format.ts';
import { themeButton } from './theme.ts';

/** The page of several runs: a table of them, and the clusters of two against each other. */

const RESULTS: [head: string, text: (run: RunRow) => string][] = [
  ['Rows', ({ rows, columns }) => `${count(rows)} × ${columns}`],
  ['K', ({ result }) => count(result?.k)],
  ['NMI', ({ result }) => threeDigits(result?.nmi)],
  ['ARI', ({ result }) => threeDigits(result?.ari)],
  ['ACC', ({ result }) => threeDigits(result?.acc)],
  ['Silhouette', ({ result }) => threeDigits(result?.silhouette)],
  ['Epochs', ({ result }) => count(result?.epochs)],
  ['Time', ({ result }) => duration(result?.seconds)],
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
  const heads = ['Run', ...RESULTS.map(([head]) => head), ...options.map(splitCamelCase)];
  tHead!.rows[0].replaceChildren(...heads.map((text, i) => columnHead(text, i > 0 && i <= RESULTS.length)));
  tBodies[0].replaceChildren(
    ...runs.map((run, i) => {
      const name = run.result ? make('a', '', run.name) : make('span', '', `${run.name} (not finished)`);
      if (name instanceof HTMLAnchorElement) name.href = `runs/${i}/`;
      name.title = run.out;
      const head = make('th', '', name);
      head.scope = 'row';
      const results = RESULTS.map(([, text]) => make('td', 'n', text(run)));
      return make('tr', '', head, ...results, ...run.options.map((text) => make('td', '', text)));
    }),
  );
}

async function compare([a, b]: HTMLSelectElement[], { runs }: RunTable): Promise<void> {
  const [first, second] = [a.value, b.value];
  const found = await fetchJson<RunComparison>(`api/compare?a=${first}&b=${second}`);
  // Another choice was made meanwhile.
  if (a.value !== first || b.value !== second) return;
  const { tHead, tBodies } = byId<HTMLTableElement>('pairs');
  tHead!.rows[0].replaceChildren();
  tBodies[0].replaceChildren();
  if ('error' in found) return setText(byId('scores'), found.error);
  const { rows, ari, nmi, matched, table } = found;
  const share = table ? `, ${percent(matched)} in matched clusters` : '; too many clusters for a table';
  setText(byId('scores'), `ARI ${threeDigits(ari)}, NMI ${threeDigits(nmi)}; ${count(rows)} rows${share}`);
  if (!table) return;
  const [one, other] = [runs[Number(first)].name, runs[Number(second)].name];
  tHead!.rows[0].append(columnHead(`${one} ↓ ${other} →`), ...table.b.map((name) => columnHead(name, true)));
  for (const [i, name] of table.a.entries()) {
    const head = make('th', '', name);
    head.scope = 'row';
    const size = table.counts[i].reduce((sum, cell) => sum + cell, 0);
    tBodies[0].append(make('tr', '', head, ...table.counts[i].map((cell) => pairCell(cell, size))));
  }
}

/** Darker, the larger a part of its line it is. */
function pairCell(rows: number, size: number): HTMLTableCellElement {
  const cell = make('td', 'n', rows ? count(rows) : '');
  cell.style.setProperty('--share', `${Math.round((100 * rows) / size)}%`);
  return cell;
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
