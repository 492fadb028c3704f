/**
 * The k nearest points of each query by brute force, by address. Products in float32 bound squared distances from below
 * (`lowerHalf` has the bound), and points whose bound is above the k-th smallest squared distance so far are passed over. The few
 * others get theirs in float64, from the differences, and that alone decides: neither the order of the products nor the centre
 * that is subtracted first, which makes the bound tight, changes the result.
 */

/** Points and queries of a tile. */
const POINTS: i32 = 8;
const QUERIES: i32 = 4;
const POINT_BYTES: usize = (<usize>POINTS) << 2;
const QUERY_BYTES: usize = (<usize>QUERIES) << 2;

/** The unit roundoff of float32. */
const ROUNDOFF: f64 = 5.9604644775390625e-8;

/** More than what all products that underflow can lack. */
const SMALLEST: f64 = 1e-40;

/** Products of rows with smaller half squared norms than this cannot overflow float32. */
const LARGEST: f64 = 1e37;

/**
 * packed ← blocks of four queries [q,d] less the centre [d]: the limit of each, ∞, then [d,4]. Missing ones are zeros, their limit
 * is −∞. `packed` has room for q, rounded up to a multiple of 4, times d + 1 float32. halves [q] ← the `lowerHalf` of each.
 */
export function packQueries(
  queries: usize,
  q: i32,
  d: i32,
  centre: usize,
  packed: usize,
  halves: usize,
): void {
  const row = (<usize>d) << 2;
  const end = (q + QUERIES - 1) & ~(QUERIES - 1);
  for (let i = 0; i < end; i++) {
    const lane = packed + <usize>(i / QUERIES) * <usize>(d + 1) * QUERY_BYTES + ((<usize>(i % QUERIES)) << 2);
    const norm = packRow(i < q ? queries + <usize>i * row : 0, d, centre, lane + QUERY_BYTES, QUERY_BYTES);
    store<f32>(lane, i < q ? Infinity : -Infinity);
    if (i < q) store<f64>(halves + ((<usize>i) << 3), lowerHalf(norm, d));
  }
}

/**
 * Updates the list of the k nearest points of each query, `index` and `squared` [q,k], at first −1 and ∞, with the points from … to − 1
 * of `points` [·,d]; calls take these in ascending order. Query i is the point first + i, which is not its own neighbour, unless
 * `first` is negative. `panel` has room for to − from, rounded up to a multiple of 8, times d + 1 float32. The other arguments are
 * those of `packQueries`.
 */
export function nearest(
  points: usize,
  from: i32,
  to: i32,
  panel: usize,
  queries: usize,
  q: i32,
  d: i32,
  centre: usize,
  packed: usize,
  halves: usize,
  first: i32,
  k: i32,
  index: usize,
  squared: usize,
): void {
  const row = (<usize>d) << 2;
  const block = <usize>(d + 1) * QUERY_BYTES;
  const tile = <usize>(d + 1) * POINT_BYTES;
  packPoints(points, from, to, d, centre, panel);
  for (let i = 0, at = packed; i < q; i += QUERIES, at += block) {
    for (let j = from, t = panel; j < to; j += POINTS, t += tile) {
      const found = candidates(at, t, d);
      if (!found) continue;
      // Missing points are found too while a query has fewer than k.
      const present = to - j < POINTS ? (1 << (to - j)) - 1 : 0xff;
      for (let query = i; query < min(i + QUERIES, q); query++) {
        const bits = (found >>> ((query - i) * POINTS)) & present;
        if (!bits) continue;
        const list = <usize>query * <usize>k;
        const kth = insert(
          bits,
          j,
          first < 0 ? -1 : first + query,
          points,
          d,
          queries + <usize>query * row,
          index + (list << 2),
          squared + (list << 3),
          k,
        );
        // Slightly more than half, as the limit is rounded to float32.
        const limit = kth * (0.5 + 2 * ROUNDOFF) - load<f64>(halves + ((<usize>query) << 3));
        store<f32>(at + ((<usize>(query - i)) << 2), <f32>(limit + SMALLEST));
      }
    }
  }
}

/** panel ← tiles of eight points less the centre: the `lowerHalf` of each, then [d,8]. Missing ones are zeros, their half is ∞. */
function packPoints(points: usize, from: i32, to: i32, d: i32, centre: usize, panel: usize): void {
  const row = (<usize>d) << 2;
  const end = (to - from + POINTS - 1) & ~(POINTS - 1);
  for (let i = 0; i < end; i++) {
    const isPoint = from + i < to;
    const lane = panel + <usize>(i / POINTS) * <usize>(d + 1) * POINT_BYTES + ((<usize>(i % POINTS)) << 2);
    const at = isPoint ? points + <usize>(from + i) * row : 0;
    const norm = packRow(at, d, centre, lane + POINT_BYTES, POINT_BYTES);
    store<f32>(lane, isPoint ? <f32>lowerHalf(norm, d) : Infinity);
  }
}

/**
 * Half a squared norm, less the bound on what this row adds to the error of a score, the half of a point less its product with a
 * query. −∞ if the norm is so large that float32 could overflow: its distances are all computed.
 *
 * The bound: let a, b be the norms of a point and a query less the centre, u the roundoff of float32. The product is off by at most
 * d·u·a·b, in any order (Jeannerod and Rump, Improved error bounds for inner products in floating-point arithmetic, 2013);
 * rounding the half, the score and the rows less the centre adds at most u·(a²/2 + (a²/2 + a·b) + (a + b)²), to first order. As
 * a·b ≤ (a² + b²)/2, the total is at most u·(d + 7)/2·(a² + b²): a term of the point and one of the query. 16 instead of 7 is for
 * terms of higher order, and for the limit, which is rounded too.
 */
function lowerHalf(squaredNorm: f64, d: i32): f64 {
  const half = 0.5 * squaredNorm * (1 - ROUNDOFF * <f64>(d + 16));
  return half < LARGEST ? half : -Infinity;
}

/** Writes a row [d] less the centre to `to`, `stride` bytes apart; zeros, if the row is at 0. Returns its squared norm. */
function packRow(row: usize, d: i32, centre: usize, to: usize, stride: usize): f64 {
  let norm: f64 = 0;
  for (let j: usize = 0, end = (<usize>d) << 2; j < end; j += 4, to += stride) {
    const value = row ? load<f32>(row + j) - load<f32>(centre + j) : 0;
    store<f32>(to, value);
    norm += <f64>value * <f64>value;
  }
  return norm;
}

/** Bit 8·a + b: whether the b-th point of the tile may be nearer to the a-th query of the block than its limit. */
function candidates(block: usize, tile: usize, d: i32): i32 {
  const zero = f32x4.splat(0);
  let c00 = zero,
    c01 = zero,
    c10 = zero,
    c11 = zero,
    c20 = zero,
    c21 = zero,
    c30 = zero,
    c31 = zero;
  let x = block + QUERY_BYTES;
  let y = tile + POINT_BYTES;
  for (const end = y + <usize>d * POINT_BYTES; y < end; x += QUERY_BYTES, y += POINT_BYTES) {
    const y0 = v128.load(y);
    const y1 = v128.load(y, 16);
    const x0 = v128.load32_splat(x);
    const x1 = v128.load32_splat(x, 4);
    const x2 = v128.load32_splat(x, 8);
    const x3 = v128.load32_splat(x, 12);
    c00 = f32x4.add(c00, f32x4.mul(x0, y0));
    c01 = f32x4.add(c01, f32x4.mul(x0, y1));
    c10 = f32x4.add(c10, f32x4.mul(x1, y0));
    c11 = f32x4.add(c11, f32x4.mul(x1, y1));
    c20 = f32x4.add(c20, f32x4.mul(x2, y0));
    c21 = f32x4.add(c21, f32x4.mul(x2, y1));
    c30 = f32x4.add(c30, f32x4.mul(x3, y0));
    c31 = f32x4.add(c31, f32x4.mul(x3, y1));
  }
  const h0 = v128.load(tile);
  const h1 = v128.load(tile, 16);
  const l0 = v128.load32_splat(block);
  const l1 = v128.load32_splat(block, 4);
  const l2 = v128.load32_splat(block, 8);
  const l3 = v128.load32_splat(block, 12);
  c00 = f32x4.gt(f32x4.sub(h0, c00), l0);
  c01 = f32x4.gt(f32x4.sub(h1, c01), l0);
  c10 = f32x4.gt(f32x4.sub(h0, c10), l1);
  c11 = f32x4.gt(f32x4.sub(h1, c11), l1);
  c20 = f32x4.gt(f32x4.sub(h0, c20), l2);
  c21 = f32x4.gt(f32x4.sub(h1, c21), l2);
  c30 = f32x4.gt(f32x4.sub(h0, c30), l3);
  c31 = f32x4.gt(f32x4.sub(h1, c31), l3);
  const upper = v128.and(v128.and(c00, c01), v128.and(c10, c11));
  const lower = v128.and(v128.and(c20, c21), v128.and(c30, c31));
  if (i32x4.all_true(v128.and(upper, lower))) return 0;
  return ~(
    i32x4.bitmask(c00) |
    (i32x4.bitmask(c01) << 4) |
    (i32x4.bitmask(c10) << 8) |
    (i32x4.bitmask(c11) << 12) |
    (i32x4.bitmask(c20) << 16) |
    (i32x4.bitmask(c21) << 20) |
    (i32x4.bitmask(c30) << 24) |
    (i32x4.bitmask(c31) << 28)
  );
}

/**
 * Inserts those of the points at `at` + each of the `bits` that are nearer than the k-th of a query's list into it, except `own`.
 * Later points have larger indices: with equal distances they follow. Returns the k-th smallest squared distance.
 */
function insert(
  bits: i32,
  at: i32,
  own: i32,
  points: usize,
  d: i32,
  query: usize,
  index: usize,
  squared: usize,
  k: i32,
): f64 {
  const last = (<usize>(k - 1)) << 3;
  let kth = load<f64>(squared + last);
  for (; bits; bits &= bits - 1) {
    const i = at + ctz(bits);
    if (i === own) continue;
    const distance = squaredDistance(points + ((<usize>i * <usize>d) << 2), query, d);
    if (!(distance < kth)) continue;
    let to = last;
    for (; to > 0; to -= 8) {
      const before = load<f64>(squared + to - 8);
      if (before <= distance) break;
      store<f64>(squared + to, before);
      store<i32>(index + (to >>> 1), load<i32>(index + (to >>> 1) - 4));
    }
    store<f64>(squared + to, distance);
    store<i32>(index + (to >>> 1), i);
    kth = load<f64>(squared + last);
  }
  return kth;
}

/** ‖a − b‖² of rows [d] in float64; four sums, of every fourth column, as additions of a single one would wait for each other. */
function squaredDistance(a: usize, b: usize, d: i32): f64 {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  const end = a + ((<usize>d) << 2);
  for (; a + 16 <= end; a += 16, b += 16) {
    const lower = f64x2.sub(
      f64x2.promote_low_f32x4(v128.load64_zero(a)),
      f64x2.promote_low_f32x4(v128.load64_zero(b)),
    );
    const upper = f64x2.sub(
      f64x2.promote_low_f32x4(v128.load64_zero(a, 8)),
      f64x2.promote_low_f32x4(v128.load64_zero(b, 8)),
    );
    even = f64x2.add(even, f64x2.mul(lower, lower));
    odd = f64x2.add(odd, f64x2.mul(upper, upper));
  }
  even = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(even, 0) + f64x2.extract_lane(even, 1);
  for (; a < end; a += 4, b += 4) {
    const difference = <f64>load<f32>(a) - <f64>load<f32>(b);
    sum += difference * difference;
  }
  return sum;
}
