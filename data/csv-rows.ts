import { closeSync, createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type CsvError, type Options, parse } from 'csv-parse';
import { ioError, openFile, readFully } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

/** The delimiter of a table in which any run of blanks is one. */
const BLANKS = [' ', '\t'];
const SAMPLE = 1 << 16;
const LONGEST_ROW = 1 << 26;
const NOT_A_NUMBER = /^[+-]?nan$/i;
const INFINITE = /^([+-]?)inf(inity)?$/i;

/** What is known of a table before its rows: `names` if its first row is a header. */
export interface CsvTable {
  names?: string[];
  width: number;
}

/** Takes one row: its fields, without surrounding blanks, and its line in the file, from 1. */
export type CsvRow = (fields: string[], line: number) => void;

/**
 * Is the first row of a table its header? Yes if it has text where the second row, if there is one, has a number
 * or nothing, and its numbers, if any, are whole (columns called 0, 1, 2): so a mistyped number in the first row
 * of fractions does not make it one. Where all rows have text in the same columns, no header can be told.
 */
export function isHeader(first: string[], second?: string[]): boolean {
  const names = first.every((field) => isText(field) || field === '' || /^\d+$/.test(field));
  return names && first.some((field, i) => isText(field) && !(second && isText(second[i])));
}

/** Is this field neither a number nor a missing one? */
export const isText = (field: string) =>
  field !== '' && Number.isNaN(number(field)) && !NOT_A_NUMBER.test(field);

/** A field's number: NaN if empty or `nan`, but also if it is text. */
export function number(field: string): number {
  const value = field === '' ? Number.NaN : Number(field);
  if (!Number.isNaN(value)) return value;
  const [, sign] = INFINITE.exec(field) ?? [];
  return sign === undefined ? value : Number(`${sign}Infinity`);
}

/**
 * Streams a text table. `begin` is told what it is and answers what takes its rows. The delimiter (tab, semicolon,
 * comma or blanks) is told from the first lines. Empty lines are skipped. A UserError for ragged rows and quotes.
 * `headed` tells a header.
 */
export async function eachCsvRow(
  path: string,
  begin: (table: CsvTable) => CsvRow,
  headed = isHeader,
): Promise<void> {
  const delimiter = sniffDelimiter(path);
  let first: { fields: string[]; line: number } | undefined;
  let take: CsvRow | undefined;
  const start = (second?: string[]) => {
    const { fields, line } = first!;
    const names = headed(fields, second) ? fields : undefined;
    take = begin({ names, width: fields.length });
    if (!names) take(fields, line);
  };
  const row: CsvRow = (raw, line) => {
    const fields = delimiter === BLANKS ? raw.filter((field) => field !== '') : raw;
    if (!fields.length || (fields.length === 1 && !fields[0].trim())) return;
    if (!first) {
      first = { fields, line };
      return;
    }
    if (fields.length !== first.fields.length)
      throw new UserError(
        `${path} line ${line} has ${fields.length} fields, but line ${first.line} has ${first.fields.length}: ` +
          'make the rows equally long',
      );
    if (!take) start(fields);
    take!(fields, line);
  };
  await parseStream(path, delimiter, row);
  if (!first) throw new UserError(`${path} has no rows, only empty lines: save it again with some`);
  if (!take) start();
}

async function parseStream(path: string, delimiter: string | string[], row: CsvRow): Promise<void> {
  const options: Options<string[]> = {
    bom: true,
    delimiter,
    max_record_size: LONGEST_ROW,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    skip_empty_lines: true,
    trim: delimiter !== BLANKS,
    on_record(fields, { lines }) {
      row(fields, lines);
      return null;
    },
  };
  try {
    await pipeline(createReadStream(path), parse(options).resume());
  } catch (error) {
    const { code, lines, message } = error as CsvError & { lines?: number };
    if (!code?.startsWith('CSV_') && !/QUOTE/.test(code ?? '')) throw ioError(path, 'read', error);
    throw new UserError(
      `${path} line ${lines} is not valid CSV (${message.split(':')[0]}): check its quotes`,
    );
  }
}

/** The delimiter of a text file, from its first two lines; `BLANKS` where any run of blanks is one. */
function sniffDelimiter(path: string): string | string[] {
  const { fd, size } = openFile(path);
  const head = Buffer.alloc(Math.min(size, SAMPLE));
  try {
    readFully({ fd, path }, head, 0);
  } finally {
    closeSync(fd);
  }
  if (head.includes(0)) throw new UserError(`${path} is not text: save it as CSV in UTF-8, or as .npy`);
  const lines = head
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .split(/[\r\n]+/)
    .map((line) => line.replace(/"[^"]*"/g, '""').trimEnd())
    .filter((line) => line.trim());
  if (!lines.length) return ',';
  const found = ['\t', ';', ','].find((delimiter) => lines[0].includes(delimiter));
  if (found) return found;
  const words = (lines[1] ?? lines[0]).trim().split(/\s+/);
  return words.length > 1 && !words.every(isText) ? BLANKS : ',';
}
