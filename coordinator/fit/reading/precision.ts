import { UserError } from '../../../base/user-error.ts';
import type { Moments } from '../../../data/transform.ts';
import { columnCalled, formatNumber, MIN_DEVIATION } from '../../../data/value-range.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import type { RunConfig } from '../../../run/config.ts';

/** Spacing of float32 numbers at a column's mean, in standard deviations: from where on to warn, and to fail. */
const COARSE = 1e-3;
const UNUSABLE = 0.3;
/** Above it, float32 cannot represent all integers. */
const MAX_INTEGER = 2 ** 24;
/** Ratio of the largest standard deviation to that of the other columns from which on to warn. */
const UNEQUAL = 1000;
const MOST_LISTED = 8;

/** Does a column vary so little that it counts as constant? Squared deviations would underflow to 0 in float32. */
const isTiny = (sd: number) => !(sd >= MIN_DEVIATION);

/** Moments in which columns that count as constant are so. */
export function withConstants(moments: Moments): Moments {
  const variances = diagonalOf(moments.covariance, moments.mean.length);
  return closed(moments, (column) => {
    const varies = moments.max[column] > moments.min[column];
    return varies && isTiny(Math.sqrt(variances[column]));
  });
}

/** Moments in which these columns have their mean alone. */
export function closed(moments: Moments, isClosed: (column: number) => boolean): Moments {
  const ends = (values: Float64Array) =>
    values.map((end, column) => (isClosed(column) ? moments.mean[column] : end));
  return { ...moments, min: ends(moments.min), max: ends(moments.max) };
}

interface ColumnStatistics {
  column: number;
  mean: number;
  sd: number;
}

/**
 * Checks that float32 is precise enough for each column, and that the columns' scales suit `center`. UserError if the
 * result would be meaningless, else a warning.
 */
export function checkColumns(
  { data, transform }: Pick<RunConfig, 'data' | 'transform'>,
  { rows, mean, covariance, min, max }: Moments,
  names: readonly string[] | null,
  warn: (message: string) => void,
): void {
  const dim = mean.length;
  const variances = diagonalOf(covariance, dim);
  const all = Array.from(
    mean,
    (value, column): ColumnStatistics => ({ column, mean: value, sd: Math.sqrt(variances[column]) }),
  );
  const varies = ({ column }: ColumnStatistics) => max[column] > min[column];
  const varying = all.filter(varies);
  if (!varying.length)
    throw new UserError(
      `${data}: all ${rows} rows are equal in float32, the precision in which dpmesh computes: there is nothing to cluster; if they differ in the file, subtract each column's mean first`,
    );
  const columns = varying.filter(({ sd }) => !isTiny(sd));
  if (!columns.length) {
    const [{ column, sd }] = varying;
    throw new UserError(
      `${data}: ${columnCalled(names, column)} has standard deviation ${formatNumber(sd)}; the smallest that dpmesh supports is ${formatNumber(MIN_DEVIATION)}; scale the data`,
    );
  }
  const dropped = all.filter((column) => !varies(column));
  if (dropped.length) warn(`${data}: dropped ${droppedColumns(dropped, names)}`);
  const tiny = varying.filter(({ sd }) => isTiny(sd));
  if (tiny.length) warn(`${data}: dropped ${tinyColumns(tiny, names)}`);

  const coarse = columns.filter((column) => relativeSpacing(column) > COARSE);
  if (coarse.length) {
    const worst = coarse.reduce((a, b) => (relativeSpacing(a) >= relativeSpacing(b) ? a : b));
    const rest =
      coarse.length > 1
        ? `, and ${coarse.length - 1} more ${coarse.length === 2 ? 'column' : 'columns'} too coarsely`
        : '';
    const text = `${data}: float32 represents column ${names?.[worst.column] ?? worst.column} (${names ? '' : 'counted from 0; '}mean ${formatNumber(worst.mean)}, standard deviation ${formatNumber(worst.sd)}) only in steps of ${formatNumber(spacing(worst.mean))}${rest}; subtract its mean first`;
    if (relativeSpacing(worst) > UNUSABLE) throw new UserError(text);
    warn(text);
  }
  if (transform === 'center' || transform === 'min-max-global') warnOfScales(data, columns, names, warn);
}

/** The distance between neighbouring float32 numbers near this one. */
const spacing = (value: number) => 2 ** (Math.floor(Math.log2(Math.abs(value))) - 23);
const relativeSpacing = ({ mean, sd }: ColumnStatistics) => (mean === 0 ? 0 : spacing(mean) / sd);

function droppedColumns(dropped: ColumnStatistics[], names: readonly string[] | null): string {
  const what = `${dropped.length} constant ${dropped.length === 1 ? 'column' : 'columns'} (${listed(dropped, names)})`;
  const large = dropped.find(({ mean }) => Math.abs(mean) >= MAX_INTEGER);
  if (!large) return what;
  return `${what}; float32 represents column ${names?.[large.column] ?? large.column} only in steps of ${formatNumber(spacing(large.mean))}: if it varies in the file, subtract its mean first`;
}

function tinyColumns(tiny: ColumnStatistics[], names: readonly string[] | null): string {
  const largest = tiny.reduce((most, { sd }) => Math.max(most, sd), 0);
  const what = `${tiny.length} ${tiny.length === 1 ? 'column that hardly varies' : 'columns that hardly vary'} (${listed(tiny, names)})`;
  return `${what}: with ${tiny.length === 1 ? 'standard deviation' : 'standard deviations up to'} ${formatNumber(largest)}, squared deviations are 0 in float32, the precision in which dpmesh computes; scale ${tiny.length === 1 ? 'it if it is' : 'them if they are'} not noise`;
}

function listed(columns: ColumnStatistics[], names: readonly string[] | null): string {
  const shown = columns.slice(0, MOST_LISTED).map(({ column }) => names?.[column] ?? column);
  return `${shown.join(', ')}${columns.length > MOST_LISTED ? ', …' : ''}${names ? '' : ', counted from 0'}`;
}

/** Compares with the tenth percentile: pixels at the edges of images normally hardly vary. */
function warnOfScales(
  data: string,
  columns: ColumnStatistics[],
  names: readonly string[] | null,
  warn: (message: string) => void,
): void {
  const sorted = [...columns].sort((a, b) => a.sd - b.sd);
  const [small, large] = [sorted[Math.floor(sorted.length / 10)], sorted.at(-1)!];
  if (large.sd <= UNEQUAL * small.sd) return;
  warn(
    `${data}: column ${names?.[large.column] ?? large.column} varies ${formatNumber(large.sd / small.sd)} times as much as ${columnCalled(names, small.column)}, which will hardly affect the result; --transform standard gives all columns the same weight`,
  );
}
