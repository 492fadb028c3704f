import { inSlices, yieldToEventLoop } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { generator } from '../model/random.ts';
import { isSkewed } from '../model/skewness.ts';
import { likeName } from './file-names.ts';
import { readSpans, rowsAt } from './remote/read-ahead.ts';
import type { Source } from './source.ts';
import { takeLogarithms } from './steps/log.ts';
import { firstNames } from './tables/table.ts';
import { formatNumber } from './value-range.ts';

/** Columns of positive numbers in whose place stand their logarithms: what `--log` does. */

/** Stands for all columns whose logarithms are the better description. */
const AUTO = 'auto';
/** Bytes of rows that are read at a time. */
const SLICE_BYTES = 1 << 20;

/** The rows with logarithms in these columns. It reads with a UserError where a value there is not positive; NaN stays. */
export function withLogarithms(source: Source, columns: readonly number[], path: string): Source {
  if (!columns.length) return source;
  const { dim, names = null } = source;
  const notPositive = (value: number, row: number, column: number) => {
    const where = names
      ? `row ${row} (counted from 0), column ${names[column]}`
      : `row ${row}, column ${column} (counted from 0)`;
    return new UserError(
      `${path}: ${where} is ${formatNumber(value)}, of which --log can take no logarithm: leave that column out of --log, or remove the row`,
    );
  };
  const take = <T extends Float32Array | Float64Array>(values: T, first: number): T => {
    const at = takeLogarithms(values, dim, columns);
    if (at !== null) throw notPositive(values[at], first + Math.floor(at / dim), at % dim);
    return values;
  };
  return {
    ...source,
    logged: columns,
    read: async (start, count, into) => take(await source.read(start, count, into), start),
    stored: async (row) => take(await source.stored(row), row),
  };
}

/** The columns that `choice` means, ascending, from 0. UserError where there is none, or one has a value that is not positive. */
export async function loggedColumns(
  source: Source,
  choice: readonly string[],
  path: string,
): Promise<number[]> {
  const isAuto = choice.length === 1 && choice[0] === AUTO;
  const columns = isAuto ? await skewedColumns(source) : columnsNamed(source, choice, path);
  if (!columns.length) return [];
  const { rows, dim } = source;
  const count = Math.max(1, Math.floor(SLICE_BYTES / (4 * dim)));
  const spans = Array.from({ length: Math.ceil(rows / count) }, (_, i) => ({
    start: i * count,
    count: Math.min(count, rows - i * count),
  }));
  const unfit = new Set<number>();
  for await (const values of readSpans(isAuto ? source : withLogarithms(source, columns, path), spans)) {
    await yieldToEventLoop();
    if (!isAuto) continue;
    for (const column of columns)
      for (let o = column; o < values.length; o += dim) if (values[o] <= 0) unfit.add(column);
  }
  return columns.filter((column) => !unfit.has(column));
}

/** The columns whose logarithms are the better description of rows drawn from all of them. */
export async function skewedColumns(source: Source): Promise<number[]> {
  const { logged = [] } = source;
  const found: number[] = [];
  for (const [column, values] of (await sampledColumns(source)).entries())
    if (!logged.includes(column) && (await inSlices(isSkewed(values)))) found.push(column);
  return found;
}

/** By names, patterns of them, or numbers from 1 of the columns that are clustered. */
function columnsNamed({ names = null, dim }: Source, choice: readonly string[], path: string): number[] {
  const found = choice.flatMap((item) => {
    const isLike = item.includes('*') ? likeName(item) : (name: string) => name === item;
    const named = (names ?? []).flatMap((name, column) => (isLike(name) ? [column] : []));
    if (named.length) return named;
    if (/^[1-9]\d*$/.test(item) && Number(item) <= dim) return [Number(item) - 1];
    throw new UserError(
      `--log: no column ${item} of ${path} is clustered; ${names ? `there are ${firstNames(names)}` : `they have no names, but numbers from 1 to ${dim}`}`,
    );
  });
  return [...new Set(found)].sort((a, b) => a - b);
}

/** Names for people: those of logarithms say so. */
export const shownNames = ({ names = null, logged = [] }: Source): readonly string[] | null =>
  names?.map((name, column) => (logged.includes(column) ? `log(${name})` : name)) ?? null;

/** A list for `--log`; `auto` where there are many, or one that a list would take apart. */
export function asLogFlag(columns: readonly number[], names: readonly string[] | null, most: number): string {
  const list = columns.map((column) => names?.[column] ?? String(column + 1));
  const isPlain = columns.length <= most && list.every((name) => /^[\p{L}\p{N}_.:=@%+-]+$/u.test(name));
  const from1 = isPlain && !names ? ' (counted from 1)' : '';
  return `--log ${isPlain ? list.join(',') : AUTO}${from1}`;
}

/** Rows that are looked at to tell of what kind columns are. */
const SAMPLED_ROWS = 1000;

/** By column the values of rows drawn from all, the same ones whenever these are read. */
export async function sampledColumns(source: Source): Promise<Float64Array[]> {
  const { rows, dim } = source;
  const n = Math.min(rows, SAMPLED_ROWS);
  const rng = generator('0', 'skewed-columns');
  // One of each n-th of the rows.
  const sampled = Array.from({ length: n }, (_, i) => {
    const [from, to] = [Math.floor((i * rows) / n), Math.floor(((i + 1) * rows) / n)];
    return from + rng.below(to - from);
  });
  const values = await rowsAt(source, sampled);
  return Array.from({ length: dim }, (_, d) => Float64Array.from(sampled, (_, row) => values[row * dim + d]));
}
