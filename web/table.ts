import { type ClusterDetails, wordsText } from '../view/cluster-details.ts';
import { legend, tableRows } from '../view/cluster-table.ts';
import type { ModelView } from '../view/model-view.ts';
import { colourOf } from '../view/palette.ts';
import { becomeChildren, byId, setText } from './dom.ts';
import type { Highlight } from './rows.ts';
import { sortable } from './sortable.ts';

/** The table of clusters. Tab reaches one row, the arrow keys move to the others. */
export function clusterTableView(highlight: Highlight) {
  const body = byId<HTMLTableElement>('table').tBodies[0];
  const order = sortable(byId<HTMLTableElement>('table'), byId<HTMLInputElement>('table-search'));
  let view: ModelView | null = null;
  let details: readonly ClusterDetails[] = [];
  let current = 0;

  const clusterOf = (row: HTMLElement) => Number(row.dataset.cluster);
  const slotOf = (target: EventTarget | null) => {
    const row = (target as HTMLElement | null)?.closest('tr');
    return (row && view?.clusters[clusterOf(row)]?.slot) ?? null;
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
    const at = shown.findIndex((row) => clusterOf(row) === current);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined || !shown.length) return;
    event.preventDefault();
    const next = shown[Math.max(0, Math.min(shown.length - 1, to))];
    current = clusterOf(next);
    mark();
    next.querySelector('button')!.focus();
  };
  highlight.onChange(mark);

  /** Which row Tab reaches, and which clusters are pointed at and pinned. */
  function mark() {
    for (const row of body.rows) {
      const slot = view?.clusters[clusterOf(row)]?.slot;
      if (slot === undefined) continue;
      row.classList.toggle('lit', slot === highlight.current);
      const button = row.querySelector('button')!;
      button.setAttribute('aria-pressed', String(slot === highlight.pinned));
      button.setAttribute('tabindex', clusterOf(row) === current ? '0' : '-1');
    }
  }

  function draw() {
    if (!view) return;
    const { clusters } = view;
    const made = document.createElement('tbody');
    made.innerHTML = tableRows(view, (c) => ({
      colour: colourOf(clusters[c].colour),
      group: clusters[c].group,
      words: wordsText(details[c]),
    }));
    const known = new Map([...body.rows].map((row) => [clusterOf(row), row]));
    for (const row of [...made.rows]) {
      const before = known.get(clusterOf(row));
      // Only what differs, so that a row keeps focus and pointer.
      if (before) {
        before.title = row.title;
        becomeChildren(before, row);
      } else body.append(row);
      known.delete(clusterOf(row));
    }
    for (const gone of known.values()) gone.remove();
    if (current >= clusters.length) current = 0;
    order();
    mark();
  }

  return {
    /** The clusters are found by their words from now on. */
    describe(known: readonly ClusterDetails[]) {
      details = known;
      draw();
    },
    show(next: ModelView) {
      view = next;
      setText(byId('table-legend'), legend(next));
      draw();
    },
  };
}

/** Makes the tables that only a file has sort, as that of clusters does. */
export function makeSortable(): void {
  for (const table of document.querySelectorAll<HTMLTableElement>('table.sortable')) sortable(table, null);
}
