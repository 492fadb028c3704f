import { extname } from 'node:path';
import { createAtomicFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { csvTable, LABEL_FORMATS, type LabelColumn, type LabelFormat, parquetTable } from './label-table.ts';

/** Files of labels that a user asks for. */

/** The format of a file of labels, by its ending. UserError for another one. */
export function labelFormatOf(path: string): LabelFormat {
  const ending = extname(path).toLowerCase();
  const format = LABEL_FORMATS.find((own) => own === ending);
  if (format) return format;
  throw new UserError(
    `--out ${path} must end in ${LABEL_FORMATS.join(', ').replace(/, (?=[^,]*$)/, ' or ')}`,
  );
}

/**
 * Starts a .csv or .parquet of labels. `rowsName`: of the first column, which has numbers of rows, or with `hasIds` what names them;
 * `force`: replace a file.
 */
export async function createLabelTable(
  path: string,
  rowsName: string,
  columns: readonly LabelColumn[],
  { hasIds, force }: { hasIds: boolean; force: boolean },
) {
  const { write, finish, abort } = createAtomicFile(path, { replace: force });
  let at = 0;
  const sink = {
    write(bytes: Uint8Array) {
      write(bytes, at);
      at += bytes.length;
    },
  };
  const table =
    labelFormatOf(path) === '.csv'
      ? csvTable(sink, rowsName, columns)
      : await parquetTable(sink, rowsName, columns, hasIds);
  return { ...table, finish, abort };
}
