/**
 * Mean silhouette of rows under a labelling, in [−1, 1] (Rousseeuw 1987; scikit-learn's `silhouette_score`): the mean over
 * rows of (b − a)/max(a, b), where a is the mean Euclidean distance to the other rows of the same cluster and b the
 * smallest mean distance to the rows of another cluster; 0 for a row that is alone in its cluster.
 * Takes O(n²·dim) time and O(n·K) memory: for samples of a few thousand rows.
 *
 * @param rows n × dim, row-major
 * @param labels n codes ≥ 0
 * @returns null where it is undefined: fewer than two clusters, or as many clusters as rows
 */
export function silhouette(
  rows: Float32Array | Float64Array,
  dim: number,
  labels: ArrayLike<number>,
): number | null {
  const n = labels.length;
  if (rows.length !== n * dim) throw new RangeError(`${rows.length} numbers, expected ${n} rows of ${dim}`);
  const { codes, sizes } = toDenseCodes(labels);
  const clusters = sizes.length;
  if (clusters < 2 || clusters === n) return null;

  const distances = distanceSums(Float64Array.from(rows), dim, codes, clusters);
  let total = 0;
  for (let i = 0; i < n; i++) {
    const own = codes[i];
    if (sizes[own] === 1) continue;
    const within = distances[i * clusters + own] / (sizes[own] - 1);
    let nearest = Number.POSITIVE_INFINITY;
    for (let k = 0; k < clusters; k++) {
      if (k !== own) nearest = Math.min(nearest, distances[i * clusters + k] / sizes[k]);
    }
    const larger = Math.max(within, nearest);
    if (larger > 0) total += (nearest - within) / larger;
  }
  return total / n;
}

/** The labels renumbered 0 … K−1 in order of appearance, and the number of rows with each. */
function toDenseCodes(labels: ArrayLike<number>): { codes: Int32Array; sizes: number[] } {
  const codeOf = new Map<number, number>();
  const sizes: number[] = [];
  const codes = Int32Array.from(labels, (label) => {
    const code = codeOf.get(label) ?? codeOf.size;
    codeOf.set(label, code);
    sizes[code] = (sizes[code] ?? 0) + 1;
    return code;
  });
  return { codes, sizes };
}

/** n × K: the sum of Euclidean distances from each row to the rows of each cluster. */
function distanceSums(x: Float64Array, dim: number, codes: Int32Array, clusters: number): Float64Array {
  const sums = new Float64Array(codes.length * clusters);
  for (let i = 0; i < codes.length; i++) {
    for (let j = i + 1; j < codes.length; j++) {
      let square = 0;
      for (let a = i * dim, b = j * dim; a < (i + 1) * dim; a++, b++) {
        const difference = x[a] - x[b];
        square += difference * difference;
      }
      const distance = Math.sqrt(square);
      sums[i * clusters + codes[j]] += distance;
      sums[j * clusters + codes[i]] += distance;
    }
  }
  return sums;
}
