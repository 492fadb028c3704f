import { type CsvError, type Options, parse } from 'csv-parse';
import { parse as parseRows } from 'csv-parse/sync';
import { ioError } from '../../base/files.ts';
import { withoutEnd } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { NoRows } from '../source.ts';
import {
  beginsAsUtf8,
  compressionOf,
  encodingOf,
  headOf,
  inUtf8,
  textDecoder,
  UTF8,
  unpackedHead,
} from '../streams.ts';
import { batchesOf, fileLiteral, orNaN, QueryFailed, quoted } from './duckdb.ts';
import { type Column, isNumbered, MIXED, shown, type Table, type TableBatch, type Wanted } from './table.ts';
import type { Decimal, TextDialect } from './table-options.ts';

/** Text tables: read by DuckDB where it takes them as they are, else row by row, which is slower and says what is wrong. */

/** Rows from which it is told which columns have text. */
const SNIFFED_ROWS = 500;
/** Columns of numbers that DuckDB is asked for: its time grows with their square, and more do not fit its memory, rows of which it reads by the thousand. */
const MOST_PLAIN = 1 << 13;
/** Fields that stand for a missing value, besides an empty one. */
const MISSING = ['na', 'n/a', 'null', 'none', 'nan', '-nan', '<na>'];

/** The type of a column whose first rows are true or false. */
const BOOLEAN = 'bool';

/** DuckDB does not read this table as it is: it is to be read row by row. */
export class NotPlain extends Error {}

type Sniffed = Awaited<ReturnType<typeof sniff>>;

/** How a text table is read. */
export interface TextOptions {
  /** Decides whether its first row is a header. */
  isHeaderRow: typeof isHeader;
  /** By DuckDB, which rejects with NotPlain where anything is unusual. */
  isPlain: boolean;
  dialect: TextDialect;
  /** Will texts be read later, in the same way? Then its encoding is told from all of it. */
  hasTexts?: boolean;
}

export async function csvTable(
  path: string,
  { isHeaderRow, isPlain, dialect, hasTexts }: TextOptions,
): Promise<Table> {
  const format = await sniffFormat(path, dialect, !isPlain || hasTexts === true);
  const { encoding, delimiter, trims, saysSep } = format;
  const sniffed = await sniff(path, format, isHeaderRow, dialect);
  const { names, columns, isEmpty, decimal, blanks } = sniffed;
  // A line without text is no row here, but one of a missing value to DuckDB where there is one column, or at the start.
  const isUnusual =
    encoding !== UTF8 ||
    typeof delimiter !== 'string' ||
    [trims, saysSep, blanks, decimal === ',', columns.length === 1].some(Boolean);
  if (isPlain && (isUnusual || (await beginsEmpty(path)))) throw new NotPlain();
  const notes = notesOn(format, dialect, sniffed);
  const onGrouped = () => {
    if (!notes.includes(GROUPED)) notes.push(GROUPED);
  };
  // Of numbers after the first rows.
  const tells = dialect.decimal || decimal === ',' ? null : onGrouped;
  return {
    path,
    isNamed: names !== null,
    columns,
    rows: isEmpty ? 0 : null,
    isPlain,
    notes,
    read: isPlain
      ? (wanted) => plainBatches(path, columns, wanted, names !== null, delimiter as string)
      : (wanted) => batches(csvRows(path, format, isHeaderRow), path, sniffed, tells, wanted),
  };
}

const GROUPED =
  'commas in its numbers, as in 1,000, are taken for those of thousands; if they are decimal, add --decimal ,';
const DELIMITERS: Record<string, string> = { '\t': 'tabs', ';': 'semicolons', ',': 'commas', '|': 'bars' };

/** What was found out, where another reader might take it otherwise. */
function notesOn(
  { encoding, delimiter }: TextFormat,
  dialect: TextDialect,
  { decimal, isGrouped, blanks }: Sniffed,
): string[] {
  const notes: string[] = [];
  const between = typeof delimiter === 'string' ? (DELIMITERS[delimiter] ?? delimiter) : 'blanks';
  if ((encoding !== UTF8 && !dialect.encoding) || (decimal === ',' && !dialect.decimal))
    notes.push(
      `it is read as ${encoding}, with ${between} between columns and decimal ${decimal === ',' ? 'commas' : 'points'}; if it is not, say so with --encoding, --sep and --decimal`,
    );
  if (isGrouped && !dialect.decimal) notes.push(GROUPED);
  if (blanks)
    notes.push(`its last ${blanks > 1 ? `${blanks} columns have` : 'column has'} neither name nor values`);
  return notes;
}

const beginsEmpty = async (path: string) =>
  /^\ufeff?[ \t]*[\r\n]/.test((await unpackedHead(path, 64)).toString());

/** What is told from the first rows. */
async function sniff(path: string, format: TextFormat, isHeaderRow: typeof isHeader, dialect: TextDialect) {
  let names: string[] | undefined;
  // Fields of each column; of numbers, those with decimal commas, and points, and with commas that may be either.
  const none = { texts: 0, booleans: 0, numbers: 0, commas: 0, points: 0, ambiguous: 0 };
  let counts: (typeof none)[] = [];
  let seen = 0;
  for await (const piece of csvRows(path, format, isHeaderRow)) {
    if (!counts.length) {
      names = piece.names;
      counts = Array.from({ length: piece.width }, () => ({ ...none }));
    }
    for (const { fields } of piece.rows.slice(0, SNIFFED_ROWS - seen))
      for (const [c, count] of counts.entries()) {
        const field = fields[c].trim();
        if (isMissing(field)) continue;
        count[isText(field) ? 'texts' : isBoolean(field) ? 'booleans' : 'numbers']++;
        count.commas += Number(hasDecimalComma(field));
        count.points += Number(hasDecimalPoint(field));
        count.ambiguous += Number(isAmbiguous(field));
      }
    seen += piece.rows.length;
    if (seen >= SNIFFED_ROWS) break;
  }
  const columns = counts.map(({ texts, booleans, numbers }, c): Column => {
    const kind = texts && !numbers ? 'text' : 'number';
    const isOfOneKind = texts ? kind === 'text' : Boolean(numbers) !== Boolean(booleans);
    const type = isOfOneKind ? (booleans && !texts ? BOOLEAN : kind) : MIXED;
    return { name: names?.[c] ?? String(c + 1), kind, type, width: 1 };
  });
  const pure = counts.filter(({ texts }) => !texts);
  const hasCommas = pure.some(({ commas, points }) => commas && !points);
  const hasPoints = pure.some(({ commas, points }) => points && !commas);
  const decimal = dialect.decimal ?? (hasCommas && !hasPoints ? ',' : '.');
  const isBlank = (c: number) =>
    !names?.[c] && Object.values(counts[c]).every((count) => !count) && seen > 0 && c > 0;
  const width = columns.findLastIndex((_, c) => !isBlank(c)) + 1;
  return {
    names: names ?? null,
    columns: columns.slice(0, width),
    isEmpty: !seen,
    decimal,
    /** Are there numbers whose commas may be decimal? They are taken for those of thousands. */
    isGrouped: decimal === '.' && pure.some(({ ambiguous, points }) => ambiguous && !points),
    /** Of each column: has it numbers with decimal points, so that its commas are those of thousands? */
    hasPoints: counts.map(({ points }) => points > 0),
    /** Columns at the end without a name and without values, which are left out. */
    blanks: columns.length - width,
  };
}

const isMissing = (field: string) => field === '' || MISSING.includes(field.toLowerCase());

async function* plainBatches(
  path: string,
  columns: readonly Column[],
  wanted: Wanted,
  hasHeader: boolean,
  delimiter: string,
): AsyncGenerator<TableBatch> {
  const { numbers, texts } = wanted;
  if (numbers.length > MOST_PLAIN) throw new NotPlain();
  // Names of their own, as those of a header may be equal.
  const isNumber = new Set(numbers);
  const isDouble = (c: number) => isNumber.has(c) && columns[c].type !== BOOLEAN;
  const types = columns.map((_, c) => `c${c}: ${isDouble(c) ? "'DOUBLE'" : "'VARCHAR'"}`);
  const options = [
    ...['auto_detect=false', 'hive_partitioning=false', 'strict_mode=true', `header=${hasHeader}`],
    ...[`delim=${quoted(delimiter)}`, `quote='"'`, `escape='"'`, `nullstr=''`],
    ...[`columns={${types.join(', ')}}`, `compression=${quoted(compressionOf(headOf(path, 4)))}`],
  ];
  try {
    yield* batchesOf(path, columns, wanted, {
      numbers: numbers.map((c) => orNaN(isDouble(c) ? `c${c}` : booleanIn(`c${c}`))),
      texts: texts.map((c) => `c${c}`),
      from: `read_csv(${fileLiteral(path)}, ${options.join(', ')})`,
    });
  } catch (error) {
    if (error instanceof QueryFailed) throw new NotPlain(error.message, { cause: error });
    throw error;
  }
}

/** Of a field that is neither true nor false nor missing, the query fails. */
const booleanIn = (column: string) =>
  `CAST(CASE lower(trim(${column})) WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE 'neither' || ${column} END AS DOUBLE)`;

/** `onGrouped`: called at numbers whose commas may be decimal. */
async function* batches(
  pieces: AsyncGenerator<CsvRows>,
  path: string,
  { columns, decimal, hasPoints }: Sniffed,
  onGrouped: (() => void) | null,
  { numbers, texts }: Wanted,
): AsyncGenerator<TableBatch> {
  const width = numbers.length;
  let tells = onGrouped;
  for await (const { rows } of pieces) {
    const values = new Float64Array(rows.length * width);
    for (const [i, { fields, line }] of rows.entries()) {
      if (fields.length > columns.length && fields.slice(columns.length).some((field) => field.trim()))
        throw new UserError(
          `${path} line ${line} has ${fields.length} fields, but lines before it have values in ${columns.length}: name all columns in the first line`,
        );
      for (const [c, index] of numbers.entries()) {
        const field = fields[index].trim();
        const column = columns[index];
        const value = numberIn(field, column, decimal);
        if (Number.isNaN(value) && !isMissing(field))
          throw notANumber(`${path} line ${line}, column ${column.name}`, field, column);
        if (tells && isAmbiguous(field) && !hasPoints[index]) {
          tells();
          tells = null;
        }
        values[i * width + c] = value;
      }
    }
    yield {
      rows: rows.length,
      values,
      texts: texts.map((c) => rows.map(({ fields }) => (fields[c] === '' ? null : fields[c]))),
      rowName: (i) => `line ${rows[i].line}`,
      field: (i, c) => rows[i].fields[numbers[c]],
    };
  }
}

function numberIn(field: string, { type }: Column, decimal: Decimal): number {
  if (isMissing(field)) return Number.NaN;
  if (type !== BOOLEAN) return parseNumber(field, decimal);
  return isBoolean(field) ? Number(field.toLowerCase() === 'true') : Number.NaN;
}

function notANumber(where: string, field: string, { type }: Column): UserError {
  const what =
    type === BOOLEAN
      ? 'neither true nor false, as those above it are; correct it or drop the column'
      : hasDecimalComma(field)
        ? 'not a number with a decimal point; if decimals have commas in this file, add --decimal ,'
        : hasDecimalPoint(field)
          ? 'not a number with a decimal comma; if decimals have points in this file, add --decimal .'
          : 'not a number; correct it or drop the column';
  return new UserError(`${where}: ${shown(field)} is ${what}`);
}

const INFINITE = /^([+-]?)inf(inity)?$/i;

/** By the sign before decimals: digits in groups of three, with one sign between them. */
const GROUPS: Record<Decimal, RegExp> = {
  '.': /^[+-]?[1-9]\d{0,2}(?:([,'’\u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d+)?$/,
  ',': /^[+-]?[1-9]\d{0,2}(?:([.'’\u00a0\u202f])\d{3})(?:\1\d{3})*(?:,\d+)?$/,
};

/** The value of a field without blanks around it; NaN for an empty field, `nan` and text. */
function parseNumber(field: string, decimal: Decimal = '.'): number {
  const text = withPoint(field, decimal);
  const value = text === '' ? Number.NaN : Number(text);
  if (!Number.isNaN(value)) return value;
  const [, sign] = INFINITE.exec(field) ?? [];
  return sign === undefined ? value : Number(`${sign}Infinity`);
}

function withPoint(field: string, decimal: Decimal): string {
  if (GROUPS[decimal].test(field))
    return field
      .replace(/[^\d+,.-]/g, '')
      .replaceAll(decimal === '.' ? ',' : '.', '')
      .replace(',', '.');
  // A point where decimals have commas is no number.
  if (decimal === ',') return field.includes('.') ? 'NaN' : field.replace(',', '.');
  return field;
}

const isNumber = (field: string, decimal: Decimal) => !Number.isNaN(parseNumber(field, decimal));

/** Is this a number with a decimal comma, and not one of thousands with groups? */
const hasDecimalComma = (field: string) =>
  /\d,\d|^[+-]?,\d/.test(field) && !isNumber(field, '.') && isNumber(field, ',');

/** Is this a number with a decimal point, and not one of thousands with groups? */
const hasDecimalPoint = (field: string) =>
  field.includes('.') && isNumber(field, '.') && !isNumber(field, ',');

/** Is this a number whose comma may be one of thousands or of decimals, such as 1,000? It is taken for thousands. */
const isAmbiguous = (field: string) => field.includes(',') && isNumber(field, '.') && isNumber(field, ',');

/** The delimiter of a table whose fields are separated by runs of blanks. */
const BLANKS = [' ', '\t'];
/** Bytes at the start of a file from which its delimiter is detected. */
const SNIFFED_BYTES = 1 << 16;
const MAX_ROW_BYTES = 1 << 26;
const NOT_A_NUMBER = /^[+-]?nan$/i;

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

/** Is this field, without blanks around it, neither a number nor a missing value, nor true or false? */
const isText = (field: string) => isWord(field) && !isBoolean(field);

const isBoolean = (field: string) => /^(true|false)$/i.test(field);

const isWord = (field: string) =>
  field !== '' && Number.isNaN(parseNumber(field)) && !hasDecimalComma(field) && !NOT_A_NUMBER.test(field);

/** A row, and its line in the file, from 1. */
interface Row {
  fields: string[];
  line: number;
}

/** The columns of a table, `names` if its first row is a header, and the rows of the text that was read last. */
interface CsvRows {
  names?: string[];
  width: number;
  rows: Row[];
}

/**
 * Streams a text table: the rows after the header, piece by piece, the first piece at the second row or at the end. Empty lines are skipped. Rejects with a UserError for
 * rows of unequal length and for unbalanced quotes. `isHeaderRow` decides whether the first row is a header.
 */
async function* csvRows(path: string, format: TextFormat, isHeaderRow = isHeader): AsyncGenerator<CsvRows> {
  let isSaid = format.saysSep;
  let first: Row | undefined;
  let table: Omit<CsvRows, 'rows'> | undefined;
  let emptyLine: number | undefined;
  let rows: Row[] = [];
  const start = (row: Row, second?: string[]) => {
    const header = trimmed(row.fields);
    const names = isHeaderRow(header, second && trimmed(second)) ? withoutHash(header) : undefined;
    if (!names) rows.push(row);
    table = { names, width: header.length };
    return table;
  };
  const onRow = (raw: string[], line: number) => {
    if (isSaid) {
      isSaid = false;
      return;
    }
    const fields = format.delimiter === BLANKS ? raw.filter((field) => field !== '') : raw;
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
    if (!table) start(first, fields);
    rows.push({ fields, line });
  };
  for await (const _ of parseStream(path, format, onRow)) {
    if (table && rows.length) yield { ...table, rows };
    rows = [];
  }
  if (!first) throw new NoRows(`${path} has no rows, only empty lines: save it again with data`);
  if (!table) yield { ...start(first), rows };
}

const trimmed = (fields: readonly string[]) => fields.map((field) => field.trim());

/** The names of a header that numpy has written, as in `# a,b`. */
const withoutHash = ([first, ...rest]: string[]) => [first.replace(/^#\s*/, ''), ...rest];

/** Parses the file, and yields after each piece of it whose rows `onRow` has been called with. */
async function* parseStream(
  path: string,
  { encoding, delimiter, trims }: TextFormat,
  onRow: (fields: string[], line: number) => void,
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

interface TextFormat {
  encoding: string;
  /** `BLANKS`: fields are separated by runs of blanks. */
  delimiter: string | string[];
  /** Are there blanks between delimiters and quotes? Then those around any field are no part of it. */
  trims: boolean;
  /** Does its first line say the delimiter, as in `sep=;`? It is no row. Excel takes and writes such. */
  saysSep: boolean;
}

const SAYS_SEP = /^\ufeff?"?sep=([^\r\n"])"?[ \t]*(\r\n?|\n|$)/i;

/** Does a text begin with a line that says what separates fields? */
export const saysSep = (head: string): boolean => SAYS_SEP.test(head);

/** The format of a text file: the delimiter from its first two lines. `isWhole`: all of it is looked at for bytes that are not UTF-8. */
async function sniffFormat(
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
  const { lines, delimiter, isBlank, said } = delimiterOf(head, sep);
  const trims = lines.some(hasBlanksAtQuotes);
  return {
    encoding,
    delimiter: isBlank ? BLANKS : (delimiter ?? ','),
    trims: trims && !isBlank,
    saysSep: said,
  };
}

/** What separates fields, from the first two lines of a text; in its lines, nothing that is within quotes. */
function delimiterOf(head: string, sep: TextDialect['sep']) {
  const said = SAYS_SEP.exec(head);
  const lines = head
    .replace(SAYS_SEP, '')
    .replace(/^\ufeff/, '')
    .split(/[\r\n]+/)
    .map((line) => line.replace(/"[^"]*"/g, '""').trimEnd())
    .filter((line) => line.trim());
  const [first = '', second = first] = lines;
  const words = second.trim().split(/\s+/);
  const delimiter =
    sep === 'tab'
      ? '\t'
      : (sep ?? said?.[1] ?? ['\t', ';', ',', '|'].find((candidate) => first.includes(candidate)));
  const isBlank = delimiter === 'blanks' || (!delimiter && words.length > 1 && !words.every(isText));
  return { lines, delimiter, isBlank, said: said !== null };
}

/** Rows at the head of a text table that are none of its own: a header, and a line that says what separates fields. `head`: its first rows, three if it has so many. */
export function rowsBeforeData(head: string, sep: TextDialect['sep'], isHeaderRow = isHeader): number {
  const { delimiter, isBlank, said } = delimiterOf(head, sep);
  const options = {
    ...{ bom: true, delimiter: isBlank ? BLANKS : (delimiter ?? ','), relax_column_count: true },
    ...{ record_delimiter: ['\r\n', '\n', '\r'], relax_quotes: true, skip_empty_lines: true, trim: true },
  };
  const text = head.replace(SAYS_SEP, '');
  const parsed = (to: number): string[][] | null => {
    try {
      return parseRows(text, { ...options, to }) as string[][];
    } catch {
      return null;
    }
  };
  // What is wrong with a row its reader says.
  const rows = parsed(2) ?? parsed(1) ?? [];
  const [first, second] = rows
    .map((fields) => trimmed(isBlank ? fields.filter((field) => field !== '') : fields))
    .filter((fields) => fields.some((field) => field !== '') || fields.length > 1);
  return Number(said) + Number(first !== undefined && isHeaderRow(first, second));
}

/** Are there blanks between the start or end of a line, or what separates fields, and a quote? They may be tabs but for the one next to what is no tab. */
export function hasBlanksAtQuotes(line: string): boolean {
  const pieces = line.split('"');
  const last = pieces.length - 1;
  return pieces.some((piece, i) => {
    const before = withoutEnd(piece, BLANK);
    const blanks = piece.slice(before.length);
    const begins = before === '' ? i === 0 : SEPARATOR.test(before.slice(-1));
    if (i < last && blanks.endsWith(' ') && (begins || blanks.includes('\t'))) return true;
    const [leading] = /^[ \t]*/.exec(piece)!;
    const next = piece[leading.length];
    const ends = next === undefined ? i === last : SEPARATOR.test(next);
    return i > 0 && (leading.includes(' \t') || (leading.endsWith(' ') && ends));
  });
}

const [BLANK, SEPARATOR] = [/[ \t]/, /[;,|]/];
