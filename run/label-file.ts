import { createReadStream, existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import { parse } from 'csv-parse';
import { createAtomicFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { csvTable, LABEL_FORMATS, type LabelColumn, type LabelFormat, parquetTable } from './label-table.ts';
import type { RunFiles } from './run-files.ts';

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

/** The column of the run's table that only numbers its rows. */
export const NUMBERED = 'row';

/** The first column of the run's labels.csv, its title apart; null where that only numbers the rows, or is not there. */
export async function rowNames(files: RunFiles) {
  const path = join(files.run, 'labels.csv');
  if (!existsSync(path)) return null;
  files.assertIntact('labels.csv');
  const parser = createReadStream(path).pipe(parse({ info: false }));
  const lines = parser[Symbol.asyncIterator]() as AsyncIterator<string[]>;
  const { value: header } = await lines.next();
  const close = () => void parser.destroy();
  if (header?.[0] === NUMBERED || header === undefined) {
    close();
    return null;
  }
  return {
    title: header[0] as string,
    close,
    async next(count: number): Promise<string[]> {
      const names: string[] = [];
      while (names.length < count) {
        const { value, done } = await lines.next();
        if (done) throw files.damaged('labels.csv', 'it has fewer rows than labels.npy');
        names.push(value[0]);
      }
      return names;
    },
  };
}
