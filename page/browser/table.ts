import { type ClusterDetails, nameText } from '../../run/described.ts';
import { legend, tableRows, wordsText } from '../drawing/clusters.ts';
import type { ModelView } from '../drawing/model-view.ts';
import { colourOf } from '../drawing/svg.ts';
import { becomeChildren, byId, inOrder, make, setText } from './dom.ts';
import type { Highlight } from './rows.ts';

/** Tables of the page that can be sorted, searched and walked by keys. What stands in the cells comes from page/drawing/. */

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
      name: nameText(details[c]),
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

/** Tables whose rows can be sorted and searched. */

type Direction = 'ascending' | 'descending';

/**
 * Makes the headings of a table buttons that sort its rows, and shows those that a text is found in: in a cell, or in the row's
 * title. A cell is compared by its `data-value`, else by its text: as a number if the texts of its column are numbers. Returns what is
 * to be called when rows or cells have changed.
 */
export function sortable(table: HTMLTableElement, search: HTMLInputElement | null): () => void {
  const body = table.tBodies[0];
  const headings = [...table.tHead!.rows[0].cells];
  const places = new WeakMap<HTMLTableRowElement, number>();
  let known = 0;
  let sorted: { column: number; direction: Direction } | null = null;
  let isActive = false;

  for (const [column, heading] of headings.entries()) {
    const button = make('button', 'sort', ...heading.childNodes);
    button.type = 'button';
    heading.append(button);
    button.onclick = () => {
      const next =
        sorted?.column !== column ? 'ascending' : sorted.direction === 'ascending' ? 'descending' : null;
      sorted = next && { column, direction: next };
      for (const other of headings) other.removeAttribute('aria-sort');
      if (next) heading.setAttribute('aria-sort', next);
      change();
    };
  }
  const change = () => {
    isActive = true;
    apply();
  };
  search?.addEventListener('input', change);

  function apply() {
    const rows = [...body.rows];
    for (const row of rows) if (!places.has(row)) places.set(row, known++);
    // Most of the time there is nothing to do, and reading cells takes time.
    if (!isActive) return;
    const words = (search?.value ?? '').toLowerCase().replaceAll(',', '').split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const isHidden = words.length > 0 && !hasWords(row, words);
      if (row.hidden !== isHidden) row.hidden = isHidden;
    }
    inOrder(body, sorted ? sortedRows(rows) : rows.toSorted(byPlace));
    isActive = sorted !== null || words.length > 0;
  }

  const byPlace = (a: HTMLTableRowElement, b: HTMLTableRowElement) => places.get(a)! - places.get(b)!;

  function sortedRows(rows: HTMLTableRowElement[]): HTMLTableRowElement[] {
    const { column, direction } = sorted!;
    const texts = new Map(rows.map((row) => [row, cellText(row.cells[column])]));
    const numbers = new Map(rows.map((row) => [row, numberIn(texts.get(row)!)]));
    const isNumeric = rows.every((row) => numbers.get(row) !== null || isMissing(texts.get(row)!));
    const sign = direction === 'ascending' ? 1 : -1;
    return rows.toSorted((a, b) => {
      const missing = Number(isMissing(texts.get(a)!)) - Number(isMissing(texts.get(b)!));
      const compared = isNumeric
        ? (numbers.get(a) ?? 0) - (numbers.get(b) ?? 0)
        : texts.get(a)!.localeCompare(texts.get(b)!);
      // What is missing comes last in both directions.
      return missing || sign * compared || byPlace(a, b);
    });
  }

  apply();
  return apply;
}

const cellText = (cell: HTMLTableCellElement) => cell.dataset.value ?? cell.textContent ?? '';

const isMissing = (text: string) => text === '' || text === '–';

/** The number that the text is, with grouped digits, a true minus sign, `> ` or ` %`; null if it is none. */
export function numberIn(text: string): number | null {
  const plain = text.replace(/^> /, '').replace(/ %$/, '').replaceAll(',', '').replace('−', '-');
  return /^-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : null;
}

/** Whether each of the words is the beginning of one in the row. */
function hasWords(row: HTMLTableRowElement, words: readonly string[]): boolean {
  const texts = [...row.cells].map((cell) => cell.textContent!);
  const own = [...texts, row.title].flatMap((text) => text.toLowerCase().replaceAll(',', '').split(/\s+/));
  return words.every((word) => own.some((one) => one.startsWith(word)));
}

/** The rows that are shown, headings first, as they are written. */
export function tableTexts(table: HTMLTableElement): string[][] {
  const rows = [table.tHead!.rows[0], ...table.tBodies[0].rows].filter(({ hidden }) => !hidden);
  return rows.map(({ cells }) => [...cells].map((cell) => cell.textContent!.trim().replace('−', '-')));
}
