import { UserError } from '../base/user-error.ts';
import { isHeader } from './tables/csv-rows.ts';
import { columnIn } from './tables/select-columns.ts';
import { firstNames, type Table } from './tables/table.ts';

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
 * The index of the column of labels: that with this name, or number from 1. By default it is the only column, or the one called label,
 * class, target or y. Throws a UserError if there is no such column.
 */
export function labelColumn(table: Table, column: string | undefined): number {
  if (column !== undefined) return columnIn(table, column, '--labels');
  const { path, isNamed, columns } = table;
  if (columns.length === 1) return 0;
  const names = isNamed ? columns.map(({ name }) => name) : null;
  const lower = names?.map((name) => name.toLowerCase()) ?? [];
  const usual = LABEL_NAMES.find((name) => lower.includes(name));
  if (usual !== undefined) return lower.indexOf(usual);
  const listed = names ? firstNames(names, MAX_LISTED) : 'without names';
  throw new UserError(
    `${path} has ${columns.length} columns (${listed}), but none is called label, class, target or y: choose one by name, or by number from 1, as in ${path}:1`,
  );
}
