/**
 * Soft statistics of rows from the few responsibilities that count, float64, by address. The rows of a cluster are taken
 * together, four at a time: its statistics then stay in the cache, and each number of them is loaded and stored once for four
 * rows.
 */

const TOGETHER = 4;

/**
 * starts[k+1] ← where the entries of each cluster begin in a list of the responsibilities r [n,k] that are not 0 and not
 * below `least`, ordered by cluster. Returns their number.
 */
export function countAtLeast(r: usize, n: i32, k: i32, least: f32, starts: usize): i32 {
  memory.fill(starts, 0, (<usize>(k + 1)) << 2);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < k; c++, r += 4)
      if (counts(load<f32>(r), least)) {
        const at = starts + ((<usize>(c + 1)) << 2);
        store<i32>(at, load<i32>(at) + 1);
      }
  for (let c = 1; c <= k; c++) {
    const at = starts + ((<usize>c) << 2);
    store<i32>(at, load<i32>(at) + load<i32>(at - 4));
  }
  return load<i32>(starts + ((<usize>k) << 2));
}

function counts(weight: f32, least: f32): bool {
  // NaN counts: the statistics have to show that training has diverged.
  return !(weight < least) && weight !== 0;
}

/**
 * Adds Σ_i r_ik·φ(x_i − pivot_k) to T [k,P], for rows x [n,d] and the responsibilities that `countAtLeast` counted into `starts`.
 * `index` and `weight` have room for that many numbers, `next` for k, `work` for 4·(d + 1).
 */
export function softScatter(
  x: usize,
  n: i32,
  d: i32,
  r: usize,
  k: i32,
  least: f32,
  starts: usize,
  next: usize,
  index: usize,
  weight: usize,
  pivots: usize,
  diagonal: bool,
  T: usize,
  p: i32,
  work: usize,
): void {
  memory.copy(next, starts, (<usize>k) << 2);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < k; c++, r += 4) {
      const value = load<f32>(r);
      if (!counts(value, least)) continue;
      const cursor = next + ((<usize>c) << 2);
      const at = (<usize>load<i32>(cursor)) << 2;
      store<i32>(cursor, load<i32>(cursor) + 1);
      store<i32>(index + at, i);
      store<f32>(weight + at, value);
    }
  for (let c = 0; c < k; c++) {
    const from = load<i32>(starts + ((<usize>c) << 2));
    const to = load<i32>(next + ((<usize>c) << 2));
    const pivot = pivots + ((<usize>(c * d)) << 3);
    const t = T + ((<usize>c * <usize>p) << 3);
    for (let e = from; e < to; e += TOGETHER) {
      const at = (<usize>e) << 2;
      accumulate(t, x, d, index + at, weight + at, min(TOGETHER, to - e), pivot, diagonal, work);
    }
  }
}

/** t [P] ← t + Σ w·φ(x − pivot) of at most four rows; `work`: the rows less the pivot [4,d], then the weights, 0 for missing rows. */
function accumulate(
  t: usize,
  x: usize,
  d: i32,
  index: usize,
  weight: usize,
  rows: i32,
  pivot: usize,
  diagonal: bool,
  work: usize,
): void {
  const width = (<usize>d) << 3;
  const weights = work + TOGETHER * width;
  memory.fill(work, 0, TOGETHER * (width + 8));
  for (let i: usize = 0; i < <usize>rows; i++) {
    const from = x + ((<usize>load<i32>(index + (i << 2)) * <usize>d) << 2);
    const row = work + i * width;
    for (let j: usize = 0; j < width; j += 8)
      store<f64>(row + j, <f64>load<f32>(from + (j >>> 1)) - load<f64>(pivot + j));
    store<f64>(weights + (i << 3), <f64>load<f32>(weight + (i << 2)));
  }
  const w0 = load<f64>(weights);
  const w1 = load<f64>(weights, 8);
  const w2 = load<f64>(weights, 16);
  const w3 = load<f64>(weights, 24);
  store<f64>(t, load<f64>(t) + (w0 + w1 + (w2 + w3)));
  let s = t + 8;
  let q = s + width;
  const end = work + width;
  for (let a = work; a < end; a += 8, s += 8) {
    const a0 = w0 * load<f64>(a);
    const a1 = w1 * load<f64>(a + width);
    const a2 = w2 * load<f64>(a + 2 * width);
    const a3 = w3 * load<f64>(a + 3 * width);
    store<f64>(s, load<f64>(s) + (a0 + a1 + (a2 + a3)));
    let b = a;
    if (!diagonal) {
      const v0 = f64x2.splat(a0);
      const v1 = f64x2.splat(a1);
      const v2 = f64x2.splat(a2);
      const v3 = f64x2.splat(a3);
      for (; b + 16 <= end; b += 16, q += 16) {
        const first = f64x2.add(f64x2.mul(v0, v128.load(b)), f64x2.mul(v1, v128.load(b + width)));
        const second = f64x2.add(
          f64x2.mul(v2, v128.load(b + 2 * width)),
          f64x2.mul(v3, v128.load(b + 3 * width)),
        );
        v128.store(q, f64x2.add(v128.load(q), f64x2.add(first, second)));
      }
      if (b >= end) continue;
    }
    const upper = a0 * load<f64>(b) + a1 * load<f64>(b + width);
    const lower = a2 * load<f64>(b + 2 * width) + a3 * load<f64>(b + 3 * width);
    store<f64>(q, load<f64>(q) + (upper + lower));
    q += 8;
  }
}
