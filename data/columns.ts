import { UserError } from '../base/user-error.ts';
import { type CsvTable, eachCsvRow, isHeader } from './csv-rows.ts';

const USUAL_NAMES = ['label', 'labels', 'class', 'target', 'y'];
const MOST_LISTED = 20;

/** `y` alone is no header: it is a label, beside `n`. */
const isUsual = (name: string) => name !== 'y' && USUAL_NAMES.includes(name.toLowerCase());

/** Tells the header of a table of which one column is named: its own name makes a row one. */
export function headedFor(column: string | undefined): typeof isHeader {
  return (first, second) =>
    isHeader(first, second) ||
    (column === undefined
      ? first.some((name, i) => isUsual(name) && name !== second?.[i])
      : first.includes(column));
}

/**
 * The index of a column by its name in the header or its number from 1; without either the only one, or the one called
 * label, class, target or y. UserError if there is none.
 */
export function chooseColumn(path: string, { names, width }: CsvTable, column: string | undefined): number {
  const found = findColumn({ names, width }, column);
  if (found !== null) return found;
  const listed = names?.slice(0, MOST_LISTED).join(', ');
  const columns = `${names ? listed : 'without names'}${names && width > MOST_LISTED ? ', …' : ''}`;
  const missing =
    column === undefined ? 'none of them called label, class, target or y' : `none of them ${column}`;
  throw new UserError(
    `${path} has ${width} columns (${columns}), ${missing}: choose one by its name or its number from 1, as in ${path}:1`,
  );
}

/** The same; null if there is none. */
export function findColumn({ names, width }: CsvTable, column: string | undefined): number | null {
  if (column === undefined) {
    if (width === 1) return 0;
    const lower = names?.map((name) => name.toLowerCase()) ?? [];
    const usual = USUAL_NAMES.find((name) => lower.includes(name));
    return usual === undefined ? null : lower.indexOf(usual);
  }
  if (names?.includes(column)) return names.indexOf(column);
  return /^\d+$/.test(column) && Number(column) >= 1 && Number(column) <= width ? Number(column) - 1 : null;
}

/** Thrown to end the reading of a table. */
class Head extends Error {
  constructor(readonly table: CsvTable) {
    super();
  }
}

/** What a table is, from its first rows; `column`: see `headedFor`. */
export async function tableHead(path: string, column: string | undefined): Promise<CsvTable> {
  try {
    await eachCsvRow(
      path,
      (table) => {
        throw new Head(table);
      },
      headedFor(column),
    );
  } catch (error) {
    if (error instanceof Head) return error.table;
    throw error;
  }
  throw new Error(`${path} has no rows`);
}
