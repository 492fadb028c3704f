import { UserError } from '../../base/user-error.ts';
import type { Moments } from '../../data/transform.ts';
import { formatNumber, MIN_DEVIATION } from '../../data/value-range.ts';
import { diagonalOf } from '../../model/linalg.ts';
import type { RunConfig } from '../config.ts';

/** A step of float32 near a column's mean, in its standard deviations: said from here on, refused from there on. */
const COARSE = 1e-3;
const USELESS = 0.3;
/** Above it float32 does not tell all whole numbers apart. */
const WHOLE_NUMBERS = 2 ** 24;
/** How many times the deviation of most columns one column's may be. */
const UNEQUAL = 1000;

interface Column {
  column: number;
  mean: number;
  sd: number;
}

/**
 * Whether float32 is fine enough for each column, and `center` for all of them together. UserError where it is not and
 * the result would be nonsense; `warn` hears of what may pass.
 */
export function checkColumns(
  { data, transform }: Pick<RunConfig, 'data' | 'transform'>,
  { rows, mean, covariance, min, max }: Moments,
  warn: (message: string) => void,
): void {
  const dim = mean.length;
  const variances = diagonalOf(covariance, dim);
  const all = Array.from(
    mean,
    (value, column): Column => ({ column, mean: value, sd: Math.sqrt(variances[column]) }),
  );
  const varies = ({ column }: Column) => max[column] > min[column];
  const columns = all.filter(varies);
  if (!columns.length)
    throw new UserError(
      `${data}: all ${rows} rows are equal in float32, with which dpmesh computes: there is nothing to cluster; if they differ in the file, subtract each column's mean before`,
    );
  const dropped = all.filter((column) => !varies(column));
  if (dropped.length) warn(`${data}: dropped ${droppedColumns(dropped)}`);

  const still = columns.find(({ sd }) => sd < MIN_DEVIATION);
  if (still)
    throw new UserError(
      `${data}: column ${still.column} (counted from 0) has standard deviation ${formatNumber(still.sd)}, and dpmesh computes with ${formatNumber(MIN_DEVIATION)} at the least; scale the data`,
    );
  const coarse = columns.filter((column) => grain(column) > COARSE);
  if (coarse.length) {
    const worst = coarse.reduce((a, b) => (grain(a) >= grain(b) ? a : b));
    const rest = coarse.length > 1 ? `, and ${coarse.length - 1} more too coarsely` : '';
    const text = `${data}: float32 holds column ${worst.column} (counted from 0; mean ${formatNumber(worst.mean)}, standard deviation ${formatNumber(worst.sd)}) to ${formatNumber(step(worst.mean))} only${rest}; subtract its mean before`;
    if (grain(worst) > USELESS) throw new UserError(text);
    warn(text);
  }
  if (transform === 'center') warnOfScales(data, columns, warn);
}

/** The distance of neighbouring float32 numbers near this one. */
const step = (value: number) => 2 ** (Math.floor(Math.log2(Math.abs(value))) - 23);
const grain = ({ mean, sd }: Column) => (mean === 0 ? 0 : step(mean) / sd);

function droppedColumns(dropped: Column[]): string {
  const numbers = dropped.map(({ column }) => column);
  const listed = numbers.length > 8 ? `${numbers.slice(0, 8).join(', ')}, …` : numbers.join(', ');
  const what = `${dropped.length} constant ${dropped.length === 1 ? 'column' : 'columns'} (${listed}, counted from 0)`;
  const large = dropped.find(({ mean }) => Math.abs(mean) >= WHOLE_NUMBERS);
  if (!large) return what;
  return `${what}; float32 holds column ${large.column} to ${formatNumber(step(large.mean))} only: if it varies in the file, subtract its mean before`;
}

/** Pixels at the edge of images hardly vary, and that is as it should be: a tenth of the columns may. */
function warnOfScales(data: string, columns: Column[], warn: (message: string) => void): void {
  const sorted = [...columns].sort((a, b) => a.sd - b.sd);
  const [small, large] = [sorted[Math.floor(sorted.length / 10)], sorted.at(-1)!];
  if (large.sd <= UNEQUAL * small.sd) return;
  warn(
    `${data}: column ${large.column} varies ${formatNumber(large.sd / small.sd)} times as much as column ${small.column} (counted from 0), which will hardly count; --transform standard gives all columns the same weight`,
  );
}
