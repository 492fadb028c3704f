import { type ClusterDetails, wordsText } from '../view/cluster-details.ts';
import { legend, separationText } from '../view/cluster-table.ts';
import { colourOf } from '../view/palette.ts';
import type { Cluster, ModelView } from './analyse.ts';
import { byId, make, setText } from './dom.ts';
import { columnTexts, count, logRatioText, percent } from './format.ts';
import type { Highlight } from './highlight.ts';
import { sortable } from './sortable.ts';

interface TableRow {
  row: HTMLTableRowElement;
  button: HTMLButtonElement;
  swatch: HTMLElement;
  name: HTMLElement;
  cells: HTMLElement[];
}

export interface ClusterTableView {
  show(view: ModelView): void;
  draw(): void;
  /** The clusters are found by their words from now on. */
  describe(details: ReadonlyMap<number, ClusterDetails>): void;
}

/** The table of clusters. Tab reaches one row, the arrow keys move to the others. */
export function clusterTableView(highlight: Highlight): ClusterTableView {
  const body = byId<HTMLTableElement>('table').tBodies[0];
  const order = sortable(byId<HTMLTableElement>('table'), byId<HTMLInputElement>('table-search'));
  const rows: TableRow[] = [];
  let clusters: Cluster[] = [];
  let details: ReadonlyMap<number, ClusterDetails> = new Map();
  let current = 0;

  const slotOf = (target: EventTarget | null) => {
    const row = (target as HTMLElement | null)?.closest('tr');
    return clusters[rows.findIndex((other) => other.row === row)]?.slot ?? null;
  };
  body.onpointerover = ({ target }) => highlight.hover(slotOf(target));
  body.onpointerleave = () => highlight.hover(null);
  body.addEventListener('focusin', ({ target }) => highlight.hover(slotOf(target)));
  body.addEventListener('focusout', () => highlight.hover(null));
  body.onclick = ({ target }) => {
    const slot = slotOf(target);
    if (slot !== null) highlight.togglePin(slot);
  };
  body.onkeydown = (event) => {
    const shown = [...body.rows].filter((row) => !row.hidden);
    const at = shown.indexOf(rows[current]?.row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined || !shown.length) return;
    event.preventDefault();
    const next = shown[Math.max(0, Math.min(shown.length - 1, to))];
    focusOn(rows.findIndex(({ row }) => row === next));
  };
  highlight.onChange(updateHighlight);

  function focusOn(to: number) {
    rows[current]?.button.setAttribute('tabindex', '-1');
    current = to;
    rows[current].button.setAttribute('tabindex', '0');
    rows[current].button.focus();
  }

  function updateHighlight() {
    for (const [c, { row, button }] of rows.entries()) {
      const slot = clusters[c].slot;
      row.classList.toggle('lit', slot === highlight.current);
      button.setAttribute('aria-pressed', String(slot === highlight.pinned));
    }
  }

  function draw() {
    const spreads = columnTexts(clusters.map(({ spread }) => spread));
    for (const [c, cluster] of clusters.entries()) {
      const { row, swatch, name, button, cells } = rows[c];
      row.title = wordsText(details.get(c));
      swatch.style.backgroundColor = colourOf(cluster.colour);
      setText(name, String(c));
      button.setAttribute('aria-label', `Cluster ${c}${cluster.group ? `, joined as ${cluster.group}` : ''}`);
      setText(cells[0], count(cluster.rows));
      setText(cells[1], percent(cluster.weight));
      setText(cells[2], spreads[c]);
      const { logRatio } = cluster;
      const [nearest] = cluster.nearest;
      setText(cells[3], nearest ? `${nearest.cluster} · ${separationText(nearest)}` : '–');
      cells[3].dataset.value = nearest ? separationText(nearest) : '–';
      setText(cells[4], logRatioText(logRatio));
      cells[4].classList.toggle('growing', (logRatio ?? 0) > 0);
    }
    order.apply();
    updateHighlight();
  }

  return {
    draw,
    describe(known) {
      details = known;
      draw();
    },
    show(view) {
      clusters = view.clusters;
      setText(byId('table-legend'), legend(view));
      while (rows.length > view.k) rows.pop()!.row.remove();
      while (rows.length < view.k) rows.push(appendRow(body));
      if (current >= rows.length) current = 0;
      for (const [c, { button }] of rows.entries())
        button.setAttribute('tabindex', c === current ? '0' : '-1');
      draw();
    },
  };
}

function appendRow(body: HTMLTableSectionElement): TableRow {
  const swatch = make('span', 'swatch');
  const name = make('span');
  const button = make('button', 'cluster small', swatch, name);
  button.type = 'button';
  const head = make('th', '', button);
  head.scope = 'row';
  const cells = [0, 1, 2, 3, 4].map(() => make('td', 'n'));
  const row = make('tr', '', head, ...cells);
  body.append(row);
  return { row, button, swatch, name, cells };
}
