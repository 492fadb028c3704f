/** Reduction over shards: a fixed binary tree over the shard index, in float64, whoever computed the parts. */

type Numbers = ArrayLike<number>;

/** Sum of equally long arrays, one for each shard in order: neighbours first, then pairs of pairs. */
export function treeSum(parts: Numbers[]): Float64Array {
  const sums = parts.map((part) => new Float64Array(part));
  for (let stride = 1; stride < sums.length; stride *= 2) {
    for (let i = 0; i + stride < sums.length; i += 2 * stride) {
      const [into, from] = [sums[i], sums[i + stride]];
      for (let j = 0; j < into.length; j++) into[j] += from[j];
    }
  }
  return sums[0];
}

/**
 * Weighted mean over shards of arrays that hold `weights[0].length` stretches, each with a weight of its own:
 * Σ_s w_sc·part_s[c] / Σ_s w_sc, rounded once to float32. A stretch that no shard gives weight stays as in `otherwise`.
 */
export function weightedMean(
  parts: Float32Array[],
  weights: Numbers[],
  otherwise: Float32Array,
): Float32Array {
  const total = treeSum(weights);
  const size = otherwise.length / total.length;
  const scaled = parts.map((part, s) => {
    const out = new Float64Array(otherwise.length);
    for (let c = 0, j = 0; c < total.length; c++) {
      const w = total[c] > 0 ? weights[s][c] / total[c] : 0;
      for (const end = j + size; j < end; j++) out[j] = w === 0 ? 0 : w * part[j];
    }
    return out;
  });
  const mean = new Float32Array(treeSum(scaled));
  for (let c = 0; c < total.length; c++)
    if (!(total[c] > 0)) mean.set(otherwise.subarray(c * size, (c + 1) * size), c * size);
  return mean;
}
