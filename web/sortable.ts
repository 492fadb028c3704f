import { inOrder, make } from './dom.ts';

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
  return /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : null;
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
