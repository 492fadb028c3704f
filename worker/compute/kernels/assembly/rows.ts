/**
 * Loops over rows: float64 sums of float32 rows, row-major, by address, in the order of the rows. Compiled ahead of time, as
 * a worker passes over its rows only a few times, for which JavaScript would be interpreted.
 */

function float32At(at: usize, i: i32): f64 {
  return <f64>load<f32>(at + ((<usize>i) << 2));
}

function float64At(at: usize, i: i32): f64 {
  return load<f64>(at + ((<usize>i) << 3));
}

function int32At(at: usize, i: i32): i32 {
  return load<i32>(at + ((<usize>i) << 2));
}

/**
 * leaf[n] ← −1 for rows of x [n,d] with a value that is NaN or above `limit` in magnitude, 0 for the others, by which the
 * minima `least` and maxima `most` [d] are updated.
 */
export function screen(x: usize, n: i32, d: i32, limit: f64, least: usize, most: usize, leaf: usize): void {
  for (let i = 0; i < n; i++, x += (<usize>d) << 2) {
    let usable = true;
    for (let j = 0; j < d; j++) if (!(Math.abs(float32At(x, j)) <= limit)) usable = false;
    store<i32>(leaf + ((<usize>i) << 2), usable ? 0 : -1);
    if (!usable) continue;
    for (let j = 0; j < d; j++) {
      const value = float32At(x, j);
      const o = (<usize>j) << 3;
      if (value < load<f64>(least + o)) store<f64>(least + o, value);
      if (value > load<f64>(most + o)) store<f64>(most + o, value);
    }
  }
}

/** Adds the rows of x [n,d] that have a leaf to counts [leaves] and s [leaves,d]. */
export function sums(x: usize, n: i32, d: i32, leaf: usize, counts: usize, s: usize): void {
  for (let i = 0; i < n; i++, x += (<usize>d) << 2) {
    const l = int32At(leaf, i);
    if (l < 0) continue;
    store<f64>(counts + ((<usize>l) << 3), float64At(counts, l) + 1);
    const q = s + ((<usize>(l * d)) << 3);
    for (let j = 0; j < d; j++) store<f64>(q + ((<usize>j) << 3), float64At(q, j) + float32At(x, j));
  }
}

/**
 * Adds φ(x − pivot of its leaf) of each row of x [n,d] that has a leaf to T [leaves,P]; pivots [leaves,d]. `centred` has room
 * for d numbers.
 */
export function scatter(
  x: usize,
  n: i32,
  d: i32,
  leaf: usize,
  pivots: usize,
  diagonal: bool,
  T: usize,
  p: i32,
  centred: usize,
): void {
  for (let i = 0; i < n; i++, x += (<usize>d) << 2) {
    const l = int32At(leaf, i);
    if (l < 0) continue;
    const pivot = pivots + ((<usize>(l * d)) << 3);
    for (let j = 0; j < d; j++)
      store<f64>(centred + ((<usize>j) << 3), float32At(x, j) - float64At(pivot, j));
    accumulate(T + ((<usize>l * <usize>p) << 3), centred, d, diagonal);
  }
}

/** t [P] ← t + φ(x), two numbers of a row of the upper triangle at a time. */
function accumulate(t: usize, x: usize, d: i32, diagonal: bool): void {
  store<f64>(t, load<f64>(t) + 1);
  const end = x + ((<usize>d) << 3);
  let s = t + 8;
  let q = s + ((<usize>d) << 3);
  for (let a = x; a < end; a += 8, s += 8) {
    const value = load<f64>(a);
    store<f64>(s, load<f64>(s) + value);
    if (diagonal) {
      store<f64>(q, load<f64>(q) + value * value);
      q += 8;
      continue;
    }
    const both = f64x2.splat(value);
    let b = a;
    for (; b + 16 <= end; b += 16, q += 16)
      v128.store(q, f64x2.add(v128.load(q), f64x2.mul(both, v128.load(b))));
    if (b < end) {
      store<f64>(q, load<f64>(q) + value * load<f64>(b));
      q += 8;
    }
  }
}

/** The leaf that a word ≤ 0 stands for; −1 means none. */
function leafOf(word: i32): i32 {
  return -1 - word;
}

/**
 * leaf[n] ← the leaf of each row of x [n,d]. `roots` has a word for each group, `group` the group of each row (address 0: all
 * rows belong to the first group). A word w > 0 refers to the node at index w − 1 of `nodes`, any other to the leaf −1 − w.
 * A node is either the number of its centres, their row indices in `vectors` [·,d], and as many words, of which that of the
 * nearest centre applies; or the negative number of its linear functions, the index of their offsets in `thresholds`, the row
 * indices of their weights, and as many words, of which that of the largest function applies; or 0, the row index of an axis in
 * `vectors`, an index into `thresholds`, and two words, for rows below the threshold and for the others.
 */
export function leaves(
  x: usize,
  n: i32,
  d: i32,
  group: usize,
  roots: usize,
  nodes: usize,
  vectors: usize,
  thresholds: usize,
  leaf: usize,
): void {
  for (let i = 0; i < n; i++, x += (<usize>d) << 2) {
    let word = int32At(roots, group ? int32At(group, i) : 0);
    while (word > 0) {
      const node = nodes + ((<usize>(word - 1)) << 2);
      const count = int32At(node, 0);
      if (count > 0) word = int32At(node, 1 + count + nearest(x, d, node + 4, count, vectors));
      else if (count < 0) {
        const offsets = thresholds + ((<usize>int32At(node, 1)) << 3);
        word = int32At(node, 2 - count + largest(x, d, node + 8, -count, vectors, offsets));
      } else {
        const side =
          along(x, d, vectors + ((<usize>(int32At(node, 1) * d)) << 3)) >=
          float64At(thresholds, int32At(node, 2));
        word = int32At(node, side ? 4 : 3);
      }
    }
    store<i32>(leaf + ((<usize>i) << 2), leafOf(word));
  }
}

/** Two numbers of a float32 row from index j on, as float64. */
function pairAt(x: usize, j: i32): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(x + ((<usize>j) << 2)));
}

function bothLanes(pair: v128): f64 {
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

function nearest(x: usize, d: i32, centres: usize, count: i32, vectors: usize): i32 {
  let best = 0;
  let least: f64 = Infinity;
  for (let c = 0; c < count; c++) {
    const distance = squaredDistance(x, d, vectors + ((<usize>(int32At(centres, c) * d)) << 3));
    if (distance < least) {
      least = distance;
      best = c;
    }
  }
  return best;
}

function squaredDistance(x: usize, d: i32, centre: usize): f64 {
  let pair = f64x2.splat(0);
  let j = 0;
  for (; j + 2 <= d; j += 2) {
    const delta = f64x2.sub(pairAt(x, j), v128.load(centre + ((<usize>j) << 3)));
    pair = f64x2.add(pair, f64x2.mul(delta, delta));
  }
  if (j === d) return bothLanes(pair);
  const last = float32At(x, j) - float64At(centre, j);
  return bothLanes(pair) + last * last;
}

function largest(x: usize, d: i32, functions: usize, count: i32, vectors: usize, offsets: usize): i32 {
  let best = 0;
  let most: f64 = -Infinity;
  for (let c = 0; c < count; c++) {
    const value = along(x, d, vectors + ((<usize>(int32At(functions, c) * d)) << 3)) + float64At(offsets, c);
    if (value > most) {
      most = value;
      best = c;
    }
  }
  return best;
}

function along(x: usize, d: i32, axis: usize): f64 {
  let pair = f64x2.splat(0);
  let j = 0;
  for (; j + 2 <= d; j += 2)
    pair = f64x2.add(pair, f64x2.mul(pairAt(x, j), v128.load(axis + ((<usize>j) << 3))));
  return j < d ? bothLanes(pair) + float32At(x, j) * float64At(axis, j) : bothLanes(pair);
}

/**
 * out [n,count] ← the projections of each row of x [n,d] that has a leaf onto the `count` axes of its leaf; axes
 * [leaves,count,d].
 */
export function project(x: usize, n: i32, d: i32, leaf: usize, axes: usize, count: i32, out: usize): void {
  for (let i = 0; i < n; i++, x += (<usize>d) << 2, out += (<usize>count) << 3) {
    const l = int32At(leaf, i);
    if (l < 0) continue;
    let axis = axes + ((<usize>l * <usize>count * <usize>d) << 3);
    for (let a = 0; a < count; a++, axis += (<usize>d) << 3)
      store<f64>(out + ((<usize>a) << 3), along(x, d, axis));
  }
}
