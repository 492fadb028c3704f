/** Near copies among rows: scraped twice, or edited a little. */

/** Groups that chance is expected to make in all of the data. */
const BY_CHANCE = 0.01;
/** The next row is at least so many times as far: lattices and the edges of clusters have smaller gaps, however many rows are nearer. */
const LEAST_RATIO = 2;

/**
 * Finds near copies by a gap in the distances of neighbours that chance does not have. Where density is locally even in d dimensions, the
 * distances r₁ ≤ r₂ ≤ … of a row to its neighbours have P(r_{j+1}/r_j > t) = t^(−jd). A row with a less likely ratio than one that all
 * rows together are expected to have .01 times has its first j neighbours as copies; rows in each other's lists are of one group.
 * d = log(k/m)/log(r_k/r_m), m = ⌊k/2⌋, of the row or, if that is less, the median of all: in place of the first two neighbours (Facco et
 * al. 2017), whose distances measure the noise of copies where most rows have some.
 *
 * @param index neighbours of each row, [n,k]
 * @param distance [n,k], each row ascending
 * @param most rows of a group, about: a row has fewer copies
 * @returns for each row the first one of its group, itself if it is in none; null if there is no group
 */
export function nearCopies(
  index: Int32Array,
  distance: Float32Array,
  k: number,
  most: number,
): Int32Array | null {
  const n = index.length / k;
  const tested = Math.min(most, k) - 1;
  if (tested < 1) return null;
  const middle = Math.floor(k / 2);
  const dimensions = Float64Array.from({ length: n }, (_, row) => {
    const [near, far] = [distance[row * k + middle - 1], distance[row * k + k - 1]];
    return near > 0 && far > near ? Math.log(k / middle) / Math.log(far / near) : Infinity;
  });
  const known = dimensions.filter(Number.isFinite);
  const usual = known.sort()[known.length >> 1] ?? 0;
  const least = Math.log(BY_CHANCE / (n * tested));
  /** Of each row how many of its neighbours are its copies. */
  const copies = new Int32Array(n);
  for (let row = 0; row < n; row++) {
    const d = Math.min(usual, dimensions[row]);
    let lowest = least;
    for (let j = 1; j <= tested; j++) {
      // NaN between copies that are the same.
      const ratio = distance[row * k + j] / distance[row * k + j - 1];
      const logP = -j * d * Math.log(ratio);
      if (ratio >= LEAST_RATIO && logP < lowest) [lowest, copies[row]] = [logP, j];
    }
  }
  const has = (row: number, other: number) => index.subarray(row * k, row * k + copies[row]).includes(other);
  const first = Int32Array.from({ length: n }, (_, row) => row);
  const firstOf = (row: number): number => {
    let own = row;
    while (first[own] !== own) own = first[own];
    return own;
  };
  let isAny = false;
  for (let row = 0; row < n; row++)
    for (let e = row * k; e < row * k + copies[row]; e++) {
      if (!has(index[e], row)) continue;
      const [a, b] = [firstOf(row), firstOf(index[e])];
      first[Math.max(a, b)] = Math.min(a, b);
      isAny = true;
    }
  return isAny ? first.map((_, row) => firstOf(row)) : null;
}

/** The number of rows of each group, in the order of the first ones; `of`: as `nearCopies` returns them. */
export function groupSizes(of: Int32Array): Int32Array {
  const sizes = new Int32Array(of.length);
  for (const first of of) sizes[first]++;
  return sizes.filter((size) => size > 0);
}
