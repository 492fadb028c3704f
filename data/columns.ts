import { UserError } from '../base/user-error.ts';
import { type CsvTable, isHeader } from './csv-rows.ts';

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
function findColumn({ names, width }: CsvTable, column: string | undefined): number | null {
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
