import { UserError } from '../base/user-error.ts';
import { openCached } from './cache.ts';
import { chooseColumn, headerTestForRows } from './columns.ts';
import { type CsvRowHandler, type CsvTable, eachCsvRow, isText, parseNumber } from './csv-rows.ts';
import {
  type ArrayFile,
  CHUNK_ELEMENTS,
  createNpyBytes,
  HOST_ORDER,
  type NpyWriter,
  openNpy,
} from './npy.ts';
import { formatNumber, MAX_FLOAT32, MAX_MAGNITUDE } from './value-range.ts';

/**
 * Opens a text table of numbers (see `eachCsvRow`), which is decoded once, as a stream, into a float32 .npy in the cache.
 * Leaves out the column `without`, given by name or number, which may have text. Rejects with a UserError that names
 * line and column of a value that is missing, not a number, or too large.
 */
export function openCsv(path: string, without: string | null = null): Promise<ArrayFile> {
  return openCached(
    path,
    without === null ? 'csv' : `csv without ${without}`,
    (target) => decodeCsv(path, target, without),
    (target) => openNpy(target, path),
  );
}

async function decodeCsv(path: string, target: string, without: string | null): Promise<void> {
  let writer: NpyWriter<Uint8Array> | undefined;
  let rows = 0;
  let width = 0;
  let filled = 0;
  let written = 0;
  let chunk = new Float32Array(0);
  const flush = () => {
    writer!.write(new Uint8Array(chunk.buffer, 0, filled * 4), written);
    written += filled * 4;
    filled = 0;
  };
  try {
    const begin = ({ names, width: columns }: CsvTable): CsvRowHandler => {
      const leftOut = without === null ? -1 : chooseColumn(path, { names, width: columns }, without);
      width = leftOut < 0 ? columns : columns - 1;
      if (!width) throw new UserError(`${path} has no column besides ${without}: add columns to cluster by`);
      writer = createNpyBytes(target, `${HOST_ORDER}f4`, [0, width], { mode: 0o600 });
      chunk = new Float32Array(Math.max(width, CHUNK_ELEMENTS));
      return (fields, line) => {
        if (filled + width > chunk.length) flush();
        for (let i = 0; i < columns; i++) {
          if (i === leftOut) continue;
          const value = parseNumber(fields[i]);
          if (Number.isNaN(value) && isText(fields[i]))
            throw notNumeric(path, line, names?.[i] || i + 1, fields[i], 'is not a number');
          // Also true for NaN and infinity.
          if (!(Math.abs(value) <= MAX_FLOAT32))
            throw notNumeric(path, line, names?.[i] || i + 1, fields[i], problemOf(value));
          chunk[filled++] = value;
        }
        rows++;
      };
    };
    await eachCsvRow(path, begin, headerTestForRows(without));
    if (!rows) throw new UserError(`${path} has a header but no rows: save it again with data`);
    flush();
    writer!.finish([rows, width]);
  } catch (error) {
    writer?.abort();
    throw error;
  }
}

function problemOf(value: number): string {
  if (Number.isNaN(value)) return 'is a missing value';
  return Number.isFinite(value)
    ? `is larger than the supported maximum (${formatNumber(MAX_MAGNITUDE)})`
    : 'is infinite';
}

function notNumeric(
  path: string,
  line: number,
  column: string | number,
  text: string,
  problem: string,
): UserError {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return new UserError(
    `${path} line ${line}, column ${column}: ${JSON.stringify(shown)} ${problem}; correct it or drop the column`,
  );
}
