import { UserError } from '../base/user-error.ts';
import { throughCache } from './cache.ts';
import { chooseColumn, headedFor } from './columns.ts';
import { type CsvRow, type CsvTable, eachCsvRow, isHeader, isText, number } from './csv-rows.ts';
import { type ArrayFile, createNpyBytes, HOST, type NpyWriter, openNpy, PIECE } from './npy.ts';
import { brief, LARGEST, LARGEST_FLOAT } from './usable.ts';

/**
 * Opens a table of numbers, decoded once, as a stream, into a float32 .npy in the cache: see `eachCsvRow`. `without`: a
 * column by name or number that is left out, text or not.
 */
export function openCsv(path: string, without: string | null = null): Promise<ArrayFile> {
  return throughCache(
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
  let piece = new Float32Array(0);
  const flush = () => {
    writer!.write(new Uint8Array(piece.buffer, 0, filled * 4), written);
    written += filled * 4;
    filled = 0;
  };
  try {
    const begin = ({ names, width: columns }: CsvTable): CsvRow => {
      const leftOut = without === null ? -1 : chooseColumn(path, { names, width: columns }, without);
      width = leftOut < 0 ? columns : columns - 1;
      if (!width)
        throw new UserError(`${path} has no column besides ${without}: there is nothing to cluster`);
      writer = createNpyBytes(target, `${HOST}f4`, [0, width], 0o600);
      piece = new Float32Array(Math.max(width, PIECE));
      return (fields, line) => {
        if (filled + width > piece.length) flush();
        for (let i = 0; i < columns; i++) {
          if (i === leftOut) continue;
          const value = number(fields[i]);
          if (Number.isNaN(value) && isText(fields[i]))
            throw notNumeric(path, line, names?.[i] || i + 1, fields[i], 'is not a number');
          // NaN and infinity among them: what float32 cannot hold.
          if (!(Math.abs(value) <= LARGEST_FLOAT))
            throw notNumeric(path, line, names?.[i] || i + 1, fields[i], problemOf(value));
          piece[filled++] = value;
        }
        rows++;
      };
    };
    await eachCsvRow(path, begin, without === null ? isHeader : headedFor(without));
    if (!rows) throw new UserError(`${path} has a header and no rows: save it again with some`);
    flush();
    writer!.finish([rows, width]);
  } catch (error) {
    writer?.abort();
    throw error;
  }
}

function problemOf(value: number): string {
  if (Number.isNaN(value)) return 'is a missing value';
  return Number.isFinite(value) ? `is larger than dpmesh computes with (${brief(LARGEST)})` : 'is infinite';
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
