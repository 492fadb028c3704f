import { type ClusterDetails, wordsText } from '../../view/cluster-details.ts';
import type { ReportData } from '../../view/report-data.ts';
import { type Cell, saveButtons } from '../save.ts';
import { sortable, tableTexts } from '../sortable.ts';
import { magnifiable } from './magnify.ts';
import { type FoundPoint, pointAt } from './points.ts';
import { rowsBox } from './rows-box.ts';

// The script of report.html: tables that sort and search, pictures that zoom, rows at a click, and files to save.

const data: ReportData = JSON.parse(document.getElementById('data')!.textContent!);

const details = new Map(data.clusters.map((one): [number, ClusterDetails] => [one.cluster, one]));

for (const table of document.querySelectorAll('table')) {
  for (const row of table.tBodies[0].rows) row.title = wordsText(details.get(Number(row.dataset.cluster)));
  const isSearched =
    table.tBodies[0].rows.length > 8 || [...table.tBodies[0].rows].some(({ title }) => title);
  const bar = document.createElement('p');
  bar.className = 'bar';
  const title = table.closest('section, figure')?.querySelector('h3, h2')?.textContent ?? 'the table';
  const search = isSearched ? searchField(title) : null;
  if (search) bar.append(search);
  bar.append(
    saveButtons(`the table “${title}”`, {
      name: () => `${data.name}-${title.toLowerCase().replaceAll(' ', '-')}`,
      csv: () => tableTexts(table),
    }),
  );
  (table.closest('.wide') ?? table).before(bar);
  sortable(table, search);
}

function searchField(title: string): HTMLInputElement {
  const field = document.createElement('input');
  field.type = 'search';
  field.placeholder = 'Find';
  field.setAttribute('aria-label', `Find in ${title}`);
  return field;
}

const box = rowsBox(data, details);

for (const figure of document.querySelectorAll<HTMLElement>('figure[data-picture]')) {
  const name = figure.dataset.picture!;
  const svg = figure.querySelector('svg')!;
  const columns = data.numbers[name];
  const bar = document.createElement('p');
  bar.className = 'bar';
  bar.append(
    saveButtons(`the picture “${figure.querySelector('h2')!.textContent}”`, {
      name: () => `${data.name}-${name}`,
      png: () => svg,
      ...(columns && { csv: () => rowsOf(columns) }),
    }),
  );
  svg.before(bar);
  const dots = svg.querySelector<SVGElement>('.dots');
  if (!dots || !columns) continue;
  magnifiable(svg, bar, (at, reach) => {
    const spot = document
      .elementsFromPoint(...at.screen)
      .map((element) => element.closest<SVGElement>('.spot'))
      .find((found) => found && svg.contains(found));
    if (spot) return box.show(figure, { cluster: Number(spot.dataset.cluster), row: null });
    const found: FoundPoint | null = pointAt(dots, columns, at.picture, reach);
    box.show(figure, found);
  });
}

// A row of the table of clusters: by a click, or a key on its heading.
for (const row of document.querySelectorAll<HTMLElement>('tr[data-cluster]')) {
  const heading = row.querySelector('th')!;
  heading.tabIndex = 0;
  heading.setAttribute('aria-label', `Cluster ${row.dataset.cluster}: show its rows`);
  const show = () => box.show(row.closest('section')!, { cluster: Number(row.dataset.cluster), row: null });
  row.onclick = show;
  heading.onkeydown = (event) => {
    if (event.key === 'Enter') show();
  };
}

function rowsOf(columns: ReportData['numbers'][string]): Cell[][] {
  const names = Object.keys(columns);
  return [names, ...(columns[names[0]] ?? []).map((_, i) => names.map((name) => columns[name][i]))];
}
