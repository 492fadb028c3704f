import { UserError } from '../../base/user-error.ts';
import { compressionOf, headOf, UTF8, unpackedHead } from '../streams.ts';
import {
  type CsvRows,
  csvRows,
  type Decimal,
  hasDecimalComma,
  hasDecimalPoint,
  isAmbiguous,
  isBoolean,
  type isHeader,
  isText,
  parseNumber,
  sniffFormat,
  type TextDialect,
  type TextFormat,
} from './csv-rows.ts';
import { chunksOf, fileLiteral, QueryFailed, quoted, textsOf } from './duckdb.ts';
import { type Batch, type Column, MIXED, shown, type Table, type Wanted } from './table.ts';

/** Text tables: read by DuckDB where it takes them as they are, else row by row, which is slower and says what is wrong. */

/** Rows from which it is told which columns have text. */
const SNIFFED_ROWS = 500;
/** Fields that stand for a missing value, besides an empty one. */
const MISSING = ['na', 'n/a', 'null', 'none', 'nan', '-nan', '<na>'];

/** The type of a column whose first rows are true or false. */
const BOOLEAN = 'bool';

/** DuckDB does not read this table as it is: it is to be read row by row. */
export class NotPlain extends Error {}

interface Sniffed {
  names: string[] | null;
  isEmpty: boolean;
  columns: Column[];
  decimal: Decimal;
  /** Are there numbers whose commas may be decimal? They are taken for those of thousands. */
  isGrouped: boolean;
  /** Of each column: has it numbers with decimal points, so that its commas are those of thousands? */
  hasPoints: boolean[];
  /** Columns at the end without a name and without values, which are left out. */
  blanks: number;
}

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
  // Those after the first rows.
  const onGrouped =
    dialect.decimal || decimal === ','
      ? null
      : () => {
          if (!notes.includes(GROUPED)) notes.push(GROUPED);
        };
  return {
    path,
    isNamed: names !== null,
    columns,
    rows: isEmpty ? 0 : null,
    isPlain,
    notes,
    read: isPlain
      ? (wanted) => plainBatches(path, columns, wanted, names !== null, delimiter as string)
      : (wanted) => batches(csvRows(path, format, isHeaderRow), { path, ...sniffed, onGrouped }, wanted),
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
  const isForeign = encoding !== UTF8 && !dialect.encoding;
  const hasCommas = decimal === ',' && !dialect.decimal;
  const between = typeof delimiter === 'string' ? (DELIMITERS[delimiter] ?? delimiter) : 'blanks';
  return [
    ...(isForeign || hasCommas
      ? [
          `it is read as ${encoding}, with ${between} between columns and decimal ${decimal === ',' ? 'commas' : 'points'}; if it is not, say so with --encoding, --sep and --decimal`,
        ]
      : []),
    ...(isGrouped && !dialect.decimal ? [GROUPED] : []),
    ...(blanks
      ? [`its last ${blanks > 1 ? `${blanks} columns have` : 'column has'} neither name nor values`]
      : []),
  ];
}

const beginsEmpty = async (path: string) =>
  /^\ufeff?[ \t]*[\r\n]/.test((await unpackedHead(path, 64)).toString());

interface Counts {
  texts: number;
  booleans: number;
  numbers: number;
  /** Of the numbers, those with decimal commas, and points, and with commas that may be either. */
  commas: number;
  points: number;
  ambiguous: number;
}

async function sniff(
  path: string,
  format: TextFormat,
  isHeaderRow: typeof isHeader,
  dialect: TextDialect,
): Promise<Sniffed> {
  let names: string[] | undefined;
  let counts: Counts[] = [];
  let seen = 0;
  for await (const piece of csvRows(path, format, isHeaderRow)) {
    if (!counts.length) {
      names = piece.names;
      const none = { texts: 0, booleans: 0, numbers: 0, commas: 0, points: 0, ambiguous: 0 };
      counts = Array.from({ length: piece.width }, () => ({ ...none }));
    }
    for (const { fields } of piece.rows.slice(0, SNIFFED_ROWS - seen))
      for (const [c, count] of counts.entries()) {
        const field = fields[c].trim();
        if (isMissing(field)) continue;
        if (isText(field)) count.texts++;
        else if (isBoolean(field)) count.booleans++;
        else count.numbers++;
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
  const isGrouped = decimal === '.' && pure.some(({ ambiguous, points }) => ambiguous && !points);
  const isBlank = (c: number) =>
    !names?.[c] && Object.values(counts[c]).every((count) => !count) && seen > 0 && c > 0;
  const width = columns.findLastIndex((_, c) => !isBlank(c)) + 1;
  return {
    ...{ names: names ?? null, columns: columns.slice(0, width), isEmpty: !seen, decimal, isGrouped },
    hasPoints: counts.map(({ points }) => points > 0),
    blanks: columns.length - width,
  };
}

const isMissing = (field: string) => field === '' || MISSING.includes(field.toLowerCase());

async function* plainBatches(
  path: string,
  columns: readonly Column[],
  { numbers, texts }: Wanted,
  hasHeader: boolean,
  delimiter: string,
): AsyncGenerator<Batch> {
  const isNumber = new Set(numbers);
  // Of their own, as those of a header may be equal.
  const isDouble = (c: number) => isNumber.has(c) && columns[c].type !== BOOLEAN;
  const types = columns.map((_, c) => `${quoted(`c${c}`)}: ${isDouble(c) ? "'DOUBLE'" : "'VARCHAR'"}`);
  const options = [
    ...['auto_detect=false', 'hive_partitioning=false', 'strict_mode=true', `header=${hasHeader}`],
    ...[
      `delim=${quoted(delimiter)}`,
      `quote='"'`,
      `escape='"'`,
      `nullstr=''`,
      `columns={${types.join(', ')}}`,
    ],
    `compression=${quoted(compressionOf(headOf(path, 4)))}`,
  ];
  const wanted = [
    ...numbers.map((c) => `COALESCE(${isDouble(c) ? `c${c}` : booleanIn(`c${c}`)}, CAST('nan' AS DOUBLE))`),
    ...texts.map((c) => `'.' || c${c}`),
  ];
  const sql = `SELECT ${wanted.join(', ')} FROM read_csv(${fileLiteral(path)}, ${options.join(', ')})`;
  try {
    for await (const chunk of chunksOf(sql)) {
      const rows = chunk.rowCount;
      const width = numbers.length;
      const values = new Float64Array(rows * width);
      for (let c = 0; c < width; c++) {
        const { items } = chunk.getColumnVector(c) as unknown as { items: Float64Array };
        for (let i = 0, o = c; i < rows; i++, o += width) values[o] = items[i];
      }
      yield { rows, values, texts: texts.map((_, i) => textsOf(chunk, width + i)) };
    }
  } catch (error) {
    if (error instanceof QueryFailed) throw new NotPlain(error.message, { cause: error });
    throw error;
  }
}

/** Of a field that is neither true nor false nor missing, the query fails. */
const booleanIn = (column: string) =>
  `CAST(CASE lower(trim(${column})) WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE 'neither' || ${column} END AS DOUBLE)`;

interface Reading extends Pick<Sniffed, 'columns' | 'decimal' | 'hasPoints'> {
  path: string;
  /** Called once, at the first number whose commas may be decimal. */
  onGrouped: (() => void) | null;
}

async function* batches(
  pieces: AsyncGenerator<CsvRows>,
  { path, columns, decimal, hasPoints, onGrouped }: Reading,
  { numbers, texts }: Wanted,
): AsyncGenerator<Batch> {
  const width = numbers.length;
  let tells = onGrouped;
  for await (const { rows } of pieces) {
    const values = new Float64Array(rows.length * width);
    for (const [i, { fields, line }] of rows.entries()) {
      if (fields.length > columns.length && fields.slice(columns.length).some((field) => field.trim()))
        throw new UserError(
          `${path} line ${line} has ${fields.length} fields, but lines before it have values in ${columns.length}: name all columns in the first line`,
        );
      for (let c = 0; c < width; c++) {
        const field = fields[numbers[c]].trim();
        const value = numberIn(field, columns[numbers[c]], decimal);
        if (Number.isNaN(value) && !isMissing(field))
          throw notANumber(
            `${path} line ${line}, column ${columns[numbers[c]].name}`,
            field,
            columns[numbers[c]],
          );
        if (tells && isAmbiguous(field) && !hasPoints[numbers[c]]) {
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
  const text = field.trim();
  const what =
    type === BOOLEAN
      ? 'neither true nor false, as those above it are; correct it or drop the column'
      : hasDecimalComma(text)
        ? 'not a number with a decimal point; if decimals have commas in this file, add --decimal ,'
        : hasDecimalPoint(text)
          ? 'not a number with a decimal comma; if decimals have points in this file, add --decimal .'
          : 'not a number; correct it or drop the column';
  return new UserError(`${where}: ${shown(field)} is ${what}`);
}
