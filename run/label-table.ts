import type { ByteWriter } from 'hyparquet-writer';
import { outlierScore } from '../model/description/distances.ts';
import type { Name } from '../model/description/names.ts';
import { NOISE } from '../model/order.ts';
import { NONE_OPTIONAL, type OptionalColumns, ROW_NUMBERS } from '../model/row-columns.ts';
import type { RowSlice } from './row-files.ts';

/** Tables of labels as CSV and Parquet, written slice by slice. */

/** The formats of files of labels, by their endings. */
export const LABEL_FORMATS = ['.npy', '.csv', '.parquet'] as const;
export type LabelFormat = (typeof LABEL_FORMATS)[number];

/** Tables of labels, a row for each row of the data: CSV (RFC 4180) and Parquet, written slice by slice. */

/** The columns besides the first, which is the number of the row or what names it. Those that are not known are left out. */
const NUMBER_COLUMNS = [
  ...(['cluster', 'component', ...ROW_NUMBERS, 'outlier_score', 'log_density', 'map_x', 'map_y'] as const),
];
/** What clusters are called. Not `name`, by which many tables name their rows. */
const NAMES = 'cluster_name';
type NumberColumn = (typeof NUMBER_COLUMNS)[number];
export type LabelColumn = NumberColumn | typeof NAMES;

/** The columns of places on the map, which come last. */
export const MAP_COLUMNS = ['map_x', 'map_y'] as const;
/** They of places, two numbers a row. */
export const mapColumns = (places: Float32Array) => ({
  map_x: places.filter((_, i) => i % 2 === 0),
  map_y: places.filter((_, i) => i % 2 === 1),
});

/** Consecutive rows from row `start` on. */
export interface LabelRows {
  start: number;
  /** What names them; null: their numbers. */
  ids: readonly string[] | null;
  columns: { [Column in NumberColumn]?: ArrayLike<number> } & { [NAMES]?: readonly string[] };
}

export interface LabelTableWriter {
  write(rows: LabelRows): void;
  /** Writes what a table ends with; the sink is not closed. */
  end(): void;
}

/** Whole numbers; the others are rounded to six decimals. */
const INTEGERS: readonly string[] = ['cluster', 'component'];

/** The name of the first column: that of the column of ids, unless another column of the table has that name. */
export const nameOfRows = (id: string | null): string =>
  id === null ? 'row' : [...NUMBER_COLUMNS, NAMES].some((own) => own === id) ? 'id' : id;

/** Rounded to six decimals. */
export const rounded = (value: number): number => Math.round(value * 1e6) / 1e6;

/** `rowsName`: of the first column. Rows have to have all of `columns`. */
export function csvTable(
  sink: ByteSink,
  rowsName: string,
  columns: readonly LabelColumn[],
): LabelTableWriter {
  const out = textBuffer(sink);
  out.text(`${[quoted(rowsName), ...columns].join()}\n`);
  return {
    write({ start, ids, columns: values }) {
      const own = columns.map((name) => {
        if (name === NAMES) return (i: number) => out.text(quoted(notFormula(values[NAMES]![i])));
        const [numbers, put] = [values[name]!, INTEGERS.includes(name) ? out.integer : out.decimal];
        return (i: number) => put(numbers[i]);
      });
      const rows = values.cluster!.length;
      for (let i = 0; i < rows; i++) {
        if (ids) out.text(quoted(ids[i]));
        else out.integer(start + i);
        for (const put of own) {
          out.byte(COMMA);
          put(i);
        }
        out.byte(NEWLINE);
      }
    },
    end: out.flush,
  };
}

/** A name that a spreadsheet would compute, as a text: names come from strangers' texts, people and models. What names rows stays as in the data. */
const notFormula = (name: string) => (/^[=+\-@\t\r]/.test(name) ? `'${name}` : name);

const quoted = (field: string) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);

const [COMMA, NEWLINE, MINUS, POINT, ZERO] = [',', '\n', '-', '.', '0'].map((text) => text.charCodeAt(0));
const BUFFER_BYTES = 1 << 18;
/** More than a number has. */
const MOST_DIGITS = 32;

/** Text in pieces, of which numbers are most: digits by hand are several times as fast as strings. */
function textBuffer(sink: ByteSink) {
  const bytes = Buffer.allocUnsafe(BUFFER_BYTES);
  const digits = new Uint8Array(MOST_DIGITS);
  let at = 0;
  const flush = () => {
    sink.write(bytes.subarray(0, at));
    at = 0;
  };
  const room = (size: number) => {
    if (at + size > BUFFER_BYTES) flush();
  };
  const text = (value: string) => {
    const size = 3 * value.length;
    room(size);
    if (size > BUFFER_BYTES) sink.write(Buffer.from(value));
    else at += bytes.write(value, at);
  };
  const byte = (value: number) => {
    room(1);
    bytes[at++] = value;
  };
  const integer = (value: number) => {
    room(MOST_DIGITS);
    if (value < 0) bytes[at++] = MINUS;
    let left = Math.abs(value);
    let count = 0;
    do {
      const rest = Math.floor(left / 10);
      digits[count++] = ZERO + left - 10 * rest;
      left = rest;
    } while (left > 0);
    while (count > 0) bytes[at++] = digits[--count];
  };
  /** Rounded to six decimals, without zeros at the end. */
  const decimal = (value: number) => {
    const scaled = Math.round(Math.abs(value) * 1e6);
    if (!Number.isSafeInteger(scaled)) return text(String(value));
    if (value < 0 && scaled > 0) byte(MINUS);
    const whole = Math.floor(scaled / 1e6);
    integer(whole);
    let part = scaled - whole * 1e6;
    if (part) bytes[at++] = POINT;
    for (let unit = 1e5; part > 0; unit /= 10) {
      const digit = Math.floor(part / unit);
      bytes[at++] = ZERO + digit;
      part -= digit * unit;
    }
  };
  return { text, byte, integer, decimal, flush };
}

/** Rows of a row group. */
const GROUP_ROWS = 1 << 16;

/** In row groups of 65,536 rows; slices have to have numbers of rows that add up to that. */
export async function parquetTable(
  sink: ByteSink,
  rowsName: string,
  columns: readonly LabelColumn[],
  hasIds: boolean,
): Promise<LabelTableWriter> {
  const table = await parquetFile(sink, [
    { name: rowsName, type: hasIds ? 'text' : 'long integer' },
    ...columns.map((name): ParquetColumn => {
      if (name === NAMES) return { name, type: 'text' };
      return { name, type: INTEGERS.includes(name) ? 'integer' : 'number' };
    }),
  ]);
  let group: LabelRows[] = [];
  let rows = 0;
  const writeGroup = () => {
    if (!rows) return;
    const { start } = group[0];
    const valuesOf = (name: LabelColumn) => {
      if (name === NAMES) return group.flatMap((part) => part.columns[NAMES]!);
      const numbers = group.flatMap((part) => Array.from(part.columns[name]!));
      return (INTEGERS.includes(name) ? Int32Array : Float32Array).from(numbers);
    };
    const names = hasIds
      ? group.flatMap(({ ids }) => ids!)
      : BigInt64Array.from({ length: rows }, (_, i) => BigInt(start + i));
    table.write([names, ...columns.map(valuesOf)], rows);
    group = [];
    rows = 0;
  };
  return {
    write(part) {
      group.push(part);
      rows += part.columns.cluster!.length;
      if (rows >= GROUP_ROWS) writeGroup();
    },
    end() {
      writeGroup();
      table.end();
    },
  };
}

/** Where the bytes of a file go, one piece after the other. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
}

/** The types of columns, none of which has missing values. */
const TYPES = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  integer: { type: 'INT32' },
  'long integer': { type: 'INT64' },
  number: { type: 'FLOAT' },
} as const;

export interface ParquetColumn {
  name: string;
  type: keyof typeof TYPES;
}

/** What a column has in some rows: texts, numbers, or bigints of long integers. */
export type ParquetValues = readonly string[] | Int32Array | Float32Array | BigInt64Array;

/** A Parquet file that is written row group by row group. */
export async function parquetFile(sink: ByteSink, columns: readonly ParquetColumn[]) {
  // Most runs write none.
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer');
  const bytes = new ByteWriter() as ByteWriter & { index: number };
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [
      { name: 'rows', num_children: columns.length },
      ...columns.map(({ name, type }) => ({ name, repetition_type: 'REQUIRED' as const, ...TYPES[type] })),
    ],
    createdBy: 'dpmesh',
  });
  /** Hands over what the package has put into its buffer, as its own writer of files does. */
  const flush = () => {
    sink.write(new Uint8Array(bytes.buffer, 0, bytes.index));
    bytes.index = 0;
  };
  return {
    /** Writes a row group: in the order of the columns what each has in these rows. */
    write(values: readonly ParquetValues[], rows: number): void {
      writer.write({
        rowGroupSize: rows,
        columnData: columns.map(({ name }, i) => ({ name, data: values[i] as string[] })),
      });
      flush();
    },
    end(): void {
      writer.finish();
      flush();
    },
  };
}

/**
 * The columns of the tables, and those of some rows; `quantiles`: of distances, by cluster; `ids`: of clusters, their numbers by default;
 * `called`: what they are called; `has`: which optional ones there are. A column that only repeated the numbers is left out.
 */
export function labelColumns(
  quantiles: Float32Array,
  ids: readonly number[] | null = null,
  called: readonly (Name | null)[] = [],
  has: Pick<OptionalColumns, 'component' | 'log_density' | 'map'> = NONE_OPTIONAL,
) {
  const isNamed = called.some((one) => one && one.namedBy !== 'number');
  const names: LabelColumn[] = [
    'cluster',
    ...(isNamed ? (['cluster_name'] as const) : []),
    ...(has.component ? (['component'] as const) : []),
    ...ROW_NUMBERS,
    'outlier_score',
  ];
  if (has.log_density) names.push('log_density');
  if (has.map) names.push(...MAP_COLUMNS);
  return {
    names,
    of({ labels, component, log_density, map, outliers: flags, ...numbers }: Omit<RowSlice, 'start'>) {
      // Rows that were set apart are far from all clusters, and noise is in none.
      const score = Float64Array.from(labels, (label, i) =>
        flags?.[i] || label === NOISE ? 1 : rounded(outlierScore(quantiles, label, numbers.distance[i])),
      );
      const shown = ids ? labels.map((label) => ids[label] ?? NOISE) : labels;
      return {
        ...{ cluster: shown, ...numbers, outlier_score: score },
        ...(component && { component }),
        ...(log_density && { log_density }),
        ...(isNamed && { cluster_name: Array.from(labels, (label) => called[label]?.name ?? '') }),
        ...(map && mapColumns(map)),
      };
    },
  };
}
