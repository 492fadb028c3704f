/** log(eˣ + eʸ), without overflow; −∞ where both are. */
export function logSum(x: number, y: number): number {
  const most = Math.max(x, y);
  return most === -Infinity ? most : most + Math.log1p(Math.exp(-Math.abs(x - y)));
}

/** The same of several. */
export function logSumOf(values: readonly number[]): number {
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}
