/** Rows of each cluster of `n`, from π_k ∝ n_k/n + smoothing. */
export function softCounts(weights: ArrayLike<number>, n: number, smoothing: number): number[] {
  const { length } = weights;
  return Array.from(weights, (weight) => Math.max(0, n * (weight * (1 + smoothing * length) - smoothing)));
}
