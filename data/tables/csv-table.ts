import { UserError } from '../../base/user-error.ts';
import { csvRows, isBoolean, isHeader, isText, parseNumber, sniffFormat } from '../csv-rows.ts';
import { compressionOf, headOf, unpackedHead } from '../text-stream.ts';
import { chunksOf, fileLiteral, QueryFailed, quoted } from './duckdb.ts';
import { textsOf } from './duckdb-table.ts';
import { type Batch, type Column, MIXED, shown, type Table, type Wanted } from './table.ts';

/** Text tables: read by DuckDB where it takes them as they are, else row by row, which is slower and says what is wrong. */

/** Rows from which it is told which columns have text. */
const SNIFFED_ROWS = 500;
/** Fields that stand for a missing value, besides an empty one. */
const MISSING = ['na', 'n/a', 'null', 'none', 'nan', '-nan', '<na>'];

const DECIMAL_COMMA = /^[+-]?\d+,\d+$/;

/** The type of a column whose first rows are true or false. */
const BOOLEAN = 'bool';

/** DuckDB does not read this table as it is: it is to be read row by row. */
export class NotPlain extends Error {}

interface Sniffed {
  names: string[] | null;
  isEmpty: boolean;
  columns: Column[];
}

/**
 * A text table. `isHeaderRow` decides whether its first row is a header. `isPlain`: read by DuckDB, which rejects with NotPlain
 * where anything is unusual.
 */
export async function csvTable(
  path: string,
  { isHeaderRow = isHeader, isPlain }: { isHeaderRow?: typeof isHeader; isPlain: boolean },
): Promise<Table> {
  const { names, columns, isEmpty } = await sniff(path, isHeaderRow);
  const { delimiter, trims } = await sniffFormat(path);
  // A line without text is no row here, but one of a missing value to DuckDB where there is one column, or at the start.
  const isUnusual =
    typeof delimiter !== 'string' || trims || columns.length === 1 || (await beginsEmpty(path));
  if (isPlain && isUnusual) throw new NotPlain();
  return {
    path,
    isNamed: names !== null,
    columns,
    rows: isEmpty ? 0 : null,
    isPlain,
    read: isPlain
      ? (wanted) => plainBatches(path, columns, wanted, names !== null, delimiter as string)
      : (wanted) => batches(path, columns, wanted, isHeaderRow),
  };
}

const beginsEmpty = async (path: string) =>
  /^\ufeff?[ \t]*[\r\n]/.test((await unpackedHead(path, 64)).toString());

async function sniff(path: string, isHeaderRow: typeof isHeader): Promise<Sniffed> {
  let names: string[] | undefined;
  let width = 0;
  let seen = 0;
  let texts: number[] = [];
  let numbers: number[] = [];
  let booleans: number[] = [];
  for await (const piece of csvRows(path, isHeaderRow)) {
    if (!width) {
      ({ names, width } = piece);
      [texts, numbers, booleans] = [0, 1, 2].map(() => new Array(width).fill(0));
    }
    for (const { fields } of piece.rows.slice(0, SNIFFED_ROWS - seen))
      for (let c = 0; c < width; c++) {
        const field = fields[c].trim();
        if (isMissing(field)) continue;
        if (isText(field) && !DECIMAL_COMMA.test(field)) texts[c]++;
        else if (isBoolean(field)) booleans[c]++;
        else numbers[c]++;
      }
    seen += piece.rows.length;
    if (seen >= SNIFFED_ROWS) break;
  }
  const columns = texts.map((count, c): Column => {
    const kind = count && !numbers[c] ? 'text' : 'number';
    const isOfOneKind = count ? kind === 'text' : Boolean(numbers[c]) !== Boolean(booleans[c]);
    const type = isOfOneKind ? (booleans[c] && !count ? BOOLEAN : kind) : MIXED;
    return { name: names?.[c] ?? String(c + 1), kind, type, width: 1 };
  });
  return { names: names ?? null, columns, isEmpty: !seen };
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

async function* batches(
  path: string,
  columns: readonly Column[],
  { numbers, texts }: Wanted,
  isHeaderRow: typeof isHeader,
): AsyncGenerator<Batch> {
  const width = numbers.length;
  for await (const { rows } of csvRows(path, isHeaderRow)) {
    const values = new Float64Array(rows.length * width);
    for (const [i, { fields, line }] of rows.entries())
      for (let c = 0; c < width; c++) {
        const field = fields[numbers[c]].trim();
        const value = numberIn(field, columns[numbers[c]]);
        if (Number.isNaN(value) && !isMissing(field))
          throw notANumber(
            `${path} line ${line}, column ${columns[numbers[c]].name}`,
            field,
            columns[numbers[c]],
          );
        values[i * width + c] = value;
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

function numberIn(field: string, { type }: Column): number {
  if (isMissing(field)) return Number.NaN;
  if (type !== BOOLEAN) return parseNumber(field);
  return isBoolean(field) ? Number(field.toLowerCase() === 'true') : Number.NaN;
}

function notANumber(where: string, field: string, { type }: Column): UserError {
  const fix = DECIMAL_COMMA.test(field)
    ? `, but has a decimal comma: save it with decimal points (pandas: read_csv(…, sep=';', decimal=','), then to_csv)`
    : '; correct it or drop the column';
  const what = type === BOOLEAN ? 'neither true nor false, as those above it are' : 'not a number';
  return new UserError(`${where}: ${shown(field)} is ${what}${fix}`);
}
