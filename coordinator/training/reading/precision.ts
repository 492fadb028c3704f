import { UserError } from '../../../base/user-error.ts';
import type { Moments } from '../../../data/transform.ts';
import { columnCalled, formatNumber, MIN_DEVIATION } from '../../../data/value-range.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import type { RunConfig } from '../../config.ts';

/** Spacing of float32 numbers at a column's mean, in standard deviations: from where on to warn, and to fail. */
const COARSE = 1e-3;
const UNUSABLE = 0.3;
/** Above it, float32 cannot represent all integers. */
const MAX_INTEGER = 2 ** 24;
/** Ratio of the largest standard deviation to that of the other columns from which on to warn. */
const UNEQUAL = 1000;
const MOST_LISTED = 8;

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
  const columns = all.filter(varies);
  if (!columns.length)
    throw new UserError(
      `${data}: all ${rows} rows are equal in float32, the precision in which dpmesh computes: there is nothing to cluster; if they differ in the file, subtract each column's mean first`,
    );
  const dropped = all.filter((column) => !varies(column));
  if (dropped.length) warn(`${data}: dropped ${droppedColumns(dropped, names)}`);

  const constant = columns.find(({ sd }) => !(sd >= MIN_DEVIATION));
  if (constant)
    throw new UserError(
      `${data}: ${columnCalled(names, constant.column)} has standard deviation ${formatNumber(constant.sd)}; the smallest that dpmesh supports is ${formatNumber(MIN_DEVIATION)}; scale the data`,
    );
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
  const shown = dropped.slice(0, MOST_LISTED).map(({ column }) => names?.[column] ?? column);
  const listed = `${shown.join(', ')}${dropped.length > MOST_LISTED ? ', …' : ''}${names ? '' : ', counted from 0'}`;
  const what = `${dropped.length} constant ${dropped.length === 1 ? 'column' : 'columns'} (${listed})`;
  const large = dropped.find(({ mean }) => Math.abs(mean) >= MAX_INTEGER);
  if (!large) return what;
  return `${what}; float32 represents column ${names?.[large.column] ?? large.column} only in steps of ${formatNumber(spacing(large.mean))}: if it varies in the file, subtract its mean first`;
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
