import type { Residual, StreamSample } from './stream.ts';

/**
 * The bounded sample of a stream of rows, on which its clusters are trained (docs/algorithm.md, section 13). A row of age a, in rows that have
 * come since, is in it if u·2^(a/half-life) is below 1 and among the smallest, u its priority: with a chance that is its weight, so that
 * those in it weigh the same. That is forward decay (Cormode et al. 2009) by thinning: the union of samples is the sample of the union, in any order.
 */

/** What a sample becomes with new rows. */
export interface Drawn {
  /** The places of the earlier rows that stay, ascending. */
  kept: number[];
  /** The numbers of the new rows that join, from 0, ascending. */
  joining: number[];
  /** The keys of the earlier rows that stay, then of these. */
  keys: Float64Array;
}

/** What rows weigh once all of them have come, and rows before them that weighed this much: Σ 2^(−a/half-life). */
export function weightAfter(
  before: number,
  rows: number,
  halfLife: number | null,
): { before: number; rows: number } {
  if (halfLife === null) return { before, rows };
  const left = 2 ** (-rows / halfLife);
  return { before: left * before, rows: (1 - left) / -Math.expm1(-Math.LN2 / halfLife) };
}

/** Rows that are waiting to be compared, as a multiple of those that stay. */
const WAITING = 2;

/**
 * The sample after `rows` more rows with these priorities.
 *
 * @param halfLife in rows; null: rows never lose weight
 */
export function withNewRows(
  { keys, most }: StreamSample,
  rows: number,
  priorityOf: (row: number) => number,
  halfLife: number | null,
): Drawn {
  const doubling = halfLife === null ? 0 : 1 / halfLife;
  const aged = 2 ** (rows * doubling);
  let bound = 1;
  /** Earlier rows have negative numbers, so that they come first where keys are equal. */
  let waiting: { row: number; key: number }[] = [];
  const settle = () => {
    if (waiting.length <= most) return;
    waiting = waiting.sort((a, b) => a.key - b.key || a.row - b.row).slice(0, most);
    bound = waiting.at(-1)!.key;
  };
  const offer = (row: number, key: number) => {
    if (!(key < bound)) return;
    waiting.push({ row, key });
    if (waiting.length > WAITING * most) settle();
  };
  keys.forEach((key, i) => {
    offer(i - keys.length, key * aged);
  });
  for (let row = 0; row < rows; row++) offer(row, priorityOf(row) * 2 ** ((rows - 1 - row) * doubling));
  settle();
  waiting.sort((a, b) => a.row - b.row);
  return {
    kept: waiting.flatMap(({ row }) => (row < 0 ? [row + keys.length] : [])),
    joining: waiting.flatMap(({ row }) => (row < 0 ? [] : [row])),
    keys: Float64Array.from(waiting, ({ key }) => key),
  };
}

/** What an encoder does not see of rows: the error with which it rebuilds them (docs/algorithm.md, section 13). */

export function residualOf(errors: Float64Array, gap: number): Residual {
  const { length: rows } = errors;
  const mean = errors.reduce((sum, error) => sum + error, 0) / rows;
  const variance = errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / rows;
  return { rows, mean, variance, gap };
}

/** How much larger it is of new rows than it should be, as a share of that, and in standard errors. */
export function residualDrift(
  { rows, mean, variance, gap }: Residual,
  now: Residual,
): { residual: number; residualZ: number } {
  const expected = (1 + gap) * mean;
  // A few rows may happen to be alike.
  const error = Math.sqrt(variance / rows + Math.max(variance, now.variance) / now.rows);
  const larger = now.mean - expected;
  return { residual: larger / (expected || 1), residualZ: larger / (error || 1) };
}

/** Of rows of these weights together. */
export function pooled(a: Residual, weightA: number, b: Residual, weightB: number): Residual {
  const share = weightB / (weightA + weightB);
  const mixed = (of: (one: Residual) => number) => (1 - share) * of(a) + share * of(b);
  const mean = mixed((one) => one.mean);
  return {
    // As many as give the mean the same variance.
    rows: 1 / ((1 - share) ** 2 / a.rows + share ** 2 / b.rows),
    mean,
    variance: mixed((one) => one.variance + (one.mean - mean) ** 2),
    gap: mixed((one) => one.gap),
  };
}
