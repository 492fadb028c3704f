import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse';
import type { RunFiles } from '../../data/saved/run-files.ts';
import { createLabelTable } from './label-file.ts';

/** The labels of a cut as a table: what names each row in the run, and its cluster. */

const COLUMNS = ['cluster'] as const;
/** The column of the run's table that only numbers its rows. */
const NUMBERED = 'row';

interface CutTable {
  /** Replace a file. */
  force: boolean;
  /** The labels of consecutive rows. */
  pieces: Iterable<{ start: number; own: Int32Array }>;
}

/** Writes the table to `path`, .csv or .parquet. UserError where what names the rows of the run has changed since it was written. */
export async function writeCutTable(
  path: string,
  files: RunFiles,
  { force, pieces }: CutTable,
): Promise<void> {
  const names = await rowNames(files);
  const table = await createLabelTable(path, names?.title ?? NUMBERED, COLUMNS, {
    hasIds: names !== null,
    force,
  });
  try {
    for (const { start, own } of pieces)
      table.write({ start, ids: names && (await names.next(own.length)), columns: { cluster: own } });
    table.end();
    table.finish();
  } catch (error) {
    table.abort();
    throw error;
  } finally {
    names?.close();
  }
}

/** The first column of the run's labels.csv, its title apart; null where that only numbers the rows, or is not there. */
async function rowNames(files: RunFiles) {
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
