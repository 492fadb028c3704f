import { type CsvError, type Options, parse } from 'csv-parse';
import { ioError } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { beginsAsUtf8, encodingOf, inUtf8, textDecoder, UTF8, unpackedHead } from '../streams.ts';

/** Numbers as people and programs write them. */

export type Decimal = '.' | ',';

const INFINITE = /^([+-]?)inf(inity)?$/i;

/** By the sign before decimals: digits in groups of three, with one sign between them. */
const GROUPED: Record<Decimal, RegExp> = {
  '.': /^[+-]?[1-9]\d{0,2}(?:([,'’\u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d+)?$/,
  ',': /^[+-]?[1-9]\d{0,2}(?:([.'’\u00a0\u202f])\d{3})(?:\1\d{3})*(?:,\d+)?$/,
};

/** The value of a field without blanks around it; NaN for an empty field, `nan` and text. */
export function parseNumber(field: string, decimal: Decimal = '.'): number {
  const text = withPoint(field, decimal);
  const value = text === '' ? Number.NaN : Number(text);
  if (!Number.isNaN(value)) return value;
  const [, sign] = INFINITE.exec(field) ?? [];
  return sign === undefined ? value : Number(`${sign}Infinity`);
}

function withPoint(field: string, decimal: Decimal): string {
  if (GROUPED[decimal].test(field))
    return field
      .replace(/[^\d+,.-]/g, '')
      .replaceAll(decimal === '.' ? ',' : '.', '')
      .replace(',', '.');
  // A point where decimals have commas is no number.
  if (decimal === ',') return field.includes('.') ? 'NaN' : field.replace(',', '.');
  return field;
}

/** Is this a number with a decimal comma, and not one of thousands with groups? */
export const hasDecimalComma = (field: string) =>
  /\d,\d|^[+-]?,\d/.test(field) && Number.isNaN(parseNumber(field)) && !Number.isNaN(parseNumber(field, ','));

/** Is this a number with a decimal point, and not one of thousands with groups? */
export const hasDecimalPoint = (field: string) =>
  field.includes('.') && !Number.isNaN(parseNumber(field)) && Number.isNaN(parseNumber(field, ','));

/** Is this a number whose comma may be one of thousands or of decimals, such as 1,000? It is taken for thousands. */
export const isAmbiguous = (field: string) =>
  field.includes(',') && !Number.isNaN(parseNumber(field)) && !Number.isNaN(parseNumber(field, ','));

/** The delimiter of a table whose fields are separated by runs of blanks. */
const BLANKS = [' ', '\t'];
/** Bytes at the start of a file from which its delimiter is detected. */
const SNIFFED_BYTES = 1 << 16;
const MAX_ROW_BYTES = 1 << 26;
const NOT_A_NUMBER = /^[+-]?nan$/i;

/** The columns of a table; `names` if its first row is a header. */
export interface CsvTable {
  names?: string[];
  width: number;
}

/** There is not even a header. */
export class NoRows extends UserError {}

/** Called with the fields of a row and its line number in the file, from 1. */
type CsvRowHandler = (fields: string[], line: number) => void;

/**
 * Is the first row of a table its header? It is if it has text where the second row, if any, has a number or an empty field,
 * and all its numbers are integers (columns called 0, 1, 2), so that a mistyped number in a first row of decimals does
 * not make it a header. A header cannot be recognized where all rows have text in the same columns. Also a header are the
 * numbers of the columns (`isNumbered`), unless they may be a row: 0,1 above whole numbers may be an index and a class.
 */
export function isHeader(first: string[], second?: string[]): boolean {
  if (isNumbered(first))
    return first[0] === '' || first.length > 2 || second?.some((field) => !/^[+-]?\d+$/.test(field)) === true;
  const names = first.every((field) => isWord(field) || field === '' || /^\d+$/.test(field));
  const isName = (field: string, below?: string) =>
    isText(field) ? !(below && isText(below)) : isBoolean(field) && !!below && !isWord(below);
  return names && first.some((field, i) => isName(field, second?.[i]));
}

/** Are these fields the numbers of their columns from 0 on, as pandas calls columns without names? Before them may be an empty one, above its index. */
export function isNumbered(fields: readonly string[]): boolean {
  const numbers = fields[0] === '' ? fields.slice(1) : fields;
  return fields.length > 1 && numbers.every((field, i) => field === String(i));
}

/** Is this field, without blanks around it, neither a number nor a missing value, nor true or false? */
export const isText = (field: string) => isWord(field) && !isBoolean(field);

export const isBoolean = (field: string) => /^(true|false)$/i.test(field);

const isWord = (field: string) =>
  field !== '' && Number.isNaN(parseNumber(field)) && !hasDecimalComma(field) && !NOT_A_NUMBER.test(field);

/** Rows of a table, of the text that was read last. */
export interface CsvRows extends CsvTable {
  rows: { fields: string[]; line: number }[];
}

/**
 * Streams a text table: the rows after the header, piece by piece, the first piece at the second row or at the end. Empty lines are skipped. Rejects with a UserError for
 * rows of unequal length and for unbalanced quotes. `isHeaderRow` decides whether the first row is a header.
 */
export async function* csvRows(
  path: string,
  format: TextFormat,
  isHeaderRow = isHeader,
): AsyncGenerator<CsvRows> {
  const { delimiter, saysSep } = format;
  let isSaid = saysSep;
  let first: { fields: string[]; line: number } | undefined;
  let table: CsvTable | undefined;
  let emptyLine: number | undefined;
  let rows: CsvRows['rows'] = [];
  const start = (second?: string[]) => {
    const { fields, line } = first!;
    const header = trimmed(fields);
    const names = isHeaderRow(header, second && trimmed(second)) ? withoutHash(header) : undefined;
    table = { names, width: fields.length };
    if (!names) rows.push({ fields, line });
  };
  const onRow: CsvRowHandler = (raw, line) => {
    if (isSaid) {
      isSaid = false;
      return;
    }
    const fields = delimiter === BLANKS ? raw.filter((field) => field !== '') : raw;
    if (!fields.length || (fields.length === 1 && !fields[0].trim())) {
      // In a table of one column it is a row without a value, unless only such lines follow.
      if (first?.fields.length === 1) emptyLine ??= line;
      return;
    }
    if (emptyLine !== undefined)
      throw new UserError(`${path} line ${emptyLine} has an empty field: fill it, or remove the line`);
    if (!first) {
      first = { fields, line };
      return;
    }
    if (fields.length !== first.fields.length)
      throw new UserError(
        `${path} line ${line} has ${fields.length} fields, but line ${first.line} has ${first.fields.length}: ` +
          (first.fields[0].startsWith('#') || fields[0].startsWith('#')
            ? 'remove lines of comments (#)'
            : 'give all rows the same number of fields'),
      );
    if (!table) start(fields);
    rows.push({ fields, line });
  };
  for await (const _ of parseStream(path, format, onRow)) {
    if (table && rows.length) yield { ...table, rows };
    rows = [];
  }
  if (!first) throw new NoRows(`${path} has no rows, only empty lines: save it again with data`);
  if (table) return;
  start();
  yield { ...table!, rows };
}

const trimmed = (fields: readonly string[]) => fields.map((field) => field.trim());

/** The names of a header that numpy has written, as in `# a,b`. */
const withoutHash = ([first, ...rest]: string[]) => [first.replace(/^#\s*/, ''), ...rest];

/** Parses the file, and yields after each piece of it whose rows `onRow` has been called with. */
async function* parseStream(
  path: string,
  { encoding, delimiter, trims }: TextFormat,
  onRow: CsvRowHandler,
): AsyncGenerator<void> {
  const options: Options<string[]> = {
    bom: true,
    delimiter,
    max_record_size: MAX_ROW_BYTES,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    skip_empty_lines: true,
    trim: trims,
    on_record(fields, { lines }) {
      onRow(fields, lines);
      return null;
    },
  };
  const parser = parse(options).resume();
  const failed = new Promise<never>((_, reject) => parser.once('error', reject));
  failed.catch(() => {});
  const done = (act: (callback: () => void) => void) => Promise.race([failed, new Promise<void>(act)]);
  try {
    for await (const piece of inUtf8(path, encoding)) {
      await done((callback) => parser.write(piece, () => callback()));
      yield;
    }
    await done((callback) => parser.once('end', callback).end());
    yield;
  } catch (error) {
    const { code, lines, message } = error as CsvError & { lines?: number };
    if (!code?.startsWith('CSV_') && !/QUOTE/.test(code ?? '')) throw ioError(path, 'read', error);
    throw new UserError(
      `${path} line ${lines} is not valid CSV (${message.split(':')[0]}): check its quotes`,
    );
  } finally {
    parser.destroy();
  }
}

/** How a text is written, where people have said it; null: it is found out. */
export interface TextDialect {
  encoding: string | null;
  /** One character, `tab`, or `blanks` for runs of them. */
  sep: string | null;
  decimal: Decimal | null;
}

export const ANY_DIALECT: TextDialect = { encoding: null, sep: null, decimal: null };

export interface TextFormat {
  encoding: string;
  /** `BLANKS`: fields are separated by runs of blanks. */
  delimiter: string | string[];
  /** Are there blanks between delimiters and quotes? Then those around any field are no part of it. */
  trims: boolean;
  /** Does its first line say the delimiter, as in `sep=;`? It is no row. Excel takes and writes such. */
  saysSep: boolean;
}

const SAYS_SEP = /^\ufeff?"?sep=([^\r\n"])"?[ \t]*(\r\n?|\n|$)/i;

/** The format of a text file: the delimiter from its first two lines. `isWhole`: all of it is looked at for bytes that are not UTF-8. */
export async function sniffFormat(
  path: string,
  { encoding: given, sep }: TextDialect,
  isWhole: boolean,
): Promise<TextFormat> {
  const bytes = await unpackedHead(path, SNIFFED_BYTES);
  const encoding = given ?? (!isWhole && beginsAsUtf8(bytes) ? UTF8 : await encodingOf(path));
  const head = textDecoder(path, encoding)(bytes);
  if (head.includes('\0'))
    throw new UserError(
      `${path} is not text: save it as CSV, or as .npy, or name its encoding with --encoding`,
    );
  const said = SAYS_SEP.exec(head);
  const saysSep = said !== null;
  const lines = head
    .replace(SAYS_SEP, '')
    .replace(/^\ufeff/, '')
    .split(/[\r\n]+/)
    .map((line) => line.replace(/"[^"]*"/g, '""').trimEnd())
    .filter((line) => line.trim());
  if (!lines.length) return { encoding, delimiter: ',', trims: false, saysSep };
  const named = sep === 'tab' ? '\t' : (sep ?? said?.[1]);
  const trims = lines.some((line) => /(^|[\t;,|])[ \t]*[ ]"|"[ \t]*[ ]($|[\t;,|])/.test(line));
  if (named === 'blanks') return { encoding, delimiter: BLANKS, trims: false, saysSep };
  const delimiter = named ?? ['\t', ';', ',', '|'].find((candidate) => lines[0].includes(candidate));
  if (delimiter) return { encoding, delimiter, trims, saysSep };
  const words = (lines[1] ?? lines[0]).trim().split(/\s+/);
  const isBlank = words.length > 1 && !words.every(isText);
  return { encoding, delimiter: isBlank ? BLANKS : ',', trims: trims && !isBlank, saysSep };
}
