/** What an encoder does not see of rows: the error with which it rebuilds them (docs/algorithm.md, section 13). */

/** Of so many rows, the mean and the variance of ‖output − input‖². */
export interface Residual {
  readonly rows: number;
  readonly mean: number;
  readonly variance: number;
  /** The share by which, at most, that of other rows like these is larger, as the encoder has not learned from them. */
  readonly gap: number;
}

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
