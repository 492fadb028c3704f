import { UserError } from '../base/user-error.ts';
import { tellingNames } from './column-names.ts';
import { type CsvTable, eachCsvRow, isHeader, isNumbered } from './csv-rows.ts';

const LABEL_NAMES = ['label', 'labels', 'class', 'target', 'y'];
const MAX_LISTED = 20;

/** `y` alone does not make a row a header: it may be a label, as in y/n. */
const isLabelName = (name: string) => name !== 'y' && LABEL_NAMES.includes(name.toLowerCase());

/**
 * A header test for a table from which a column is chosen by name. A first row that contains the name is a header; without
 * a name, so is one with a usual name of a label column.
 */
export function headerTestFor(column: string | undefined): typeof isHeader {
  return (first, second) =>
    isHeader(first, second) ||
    (column === undefined
      ? first.some((name, i) => isLabelName(name) && name !== second?.[i])
      : first.includes(column));
}

/**
 * The index of the column with this name in the header, or with this number (from 1). By default it is the only column, or
 * the one called label, class, target or y. Throws a UserError if there is no such column.
 */
export function chooseColumn(path: string, { names, width }: CsvTable, column: string | undefined): number {
  const index = findColumn({ names, width }, column);
  if (index !== null) return index;
  const listed = names?.slice(0, MAX_LISTED).join(', ');
  const columns = `${names ? listed : 'without names'}${names && width > MAX_LISTED ? ', …' : ''}`;
  const missing =
    column === undefined ? 'but none is called label, class, target or y' : `but no column ${column}`;
  throw new UserError(
    `${path} has ${width} columns (${columns}), ${missing}: choose one by name, or by number from 1, as in ${path}:1`,
  );
}

/** Like `chooseColumn`, but null if there is no such column. */
export function findColumn({ names, width }: CsvTable, column: string | undefined): number | null {
  if (column === undefined) {
    if (width === 1) return 0;
    const lower = names?.map((name) => name.toLowerCase()) ?? [];
    const labelName = LABEL_NAMES.find((name) => lower.includes(name));
    return labelName === undefined ? null : lower.indexOf(labelName);
  }
  if (names && names.indexOf(column) !== names.lastIndexOf(column))
    throw new UserError(`the header has several columns named ${column}; choose one by its number, from 1`);
  if (names?.includes(column)) return names.indexOf(column);
  return /^\d+$/.test(column) && Number(column) >= 1 && Number(column) <= width ? Number(column) - 1 : null;
}

/** Thrown to stop reading a table once its description is known. */
class TableDescribed extends Error {
  constructor(readonly table: CsvTable) {
    super();
  }
}

/** The header test for a table that is read as rows, without this column. */
export const headerTestForRows = (without: string | null) =>
  without === null ? isHeader : headerTestFor(without);

/** The names of the columns of a table that is read as rows, without the one that is left out; null if it names none. */
export async function columnNames(path: string, without: string | null): Promise<readonly string[] | null> {
  const table = await describe(path, headerTestForRows(without));
  const leftOut = without === null ? -1 : chooseColumn(path, table, without);
  return tellingNames(table.names)?.filter((_, i) => i !== leftOut) ?? null;
}

/** The names and number of columns of a text table, from its first rows. `column`: see `headerTestFor`. */
export const describeTable = (path: string, column: string | undefined): Promise<CsvTable> =>
  describe(path, headerTestFor(column));

async function describe(path: string, isHeaderRow: typeof isHeader): Promise<CsvTable> {
  try {
    await eachCsvRow(
      path,
      (table) => {
        throw new TableDescribed(table);
      },
      isHeaderRow,
    );
  } catch (error) {
    if (error instanceof TableDescribed) return error.table;
    throw error;
  }
  throw new Error(`${path} has no rows`);
}

/** What to tell people of a text table whose header is only the numbers of its columns; null for another one. */
export async function noteOnHeader(path: string, column?: string): Promise<string | null> {
  const { names } = await describeTable(path, column);
  if (!names || !isNumbered(names)) return null;
  const index =
    names[0] === '' ? '; its first column has no name: if it is an index, save without (index=False)' : '';
  return `${path}: its first line, the numbers of its columns, is taken for a header; if it is a row, write its 0 as 0.0${index}`;
}
