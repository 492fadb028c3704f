/**
 * Loops over rows in AssemblyScript: sums in float64 of rows that are float32. Compiled ahead of time for the same reason
 * as steps.ts: a worker passes over its rows a few times only, and JavaScript is interpreted then. All by address,
 * row-major; the sums are added in the order of the rows, as a loop in JavaScript would.
 */

function float(at: usize, i: i32): f64 {
  return <f64>load<f32>(at + ((<usize>i) << 2));
}

function double(at: usize, i: i32): f64 {
  return load<f64>(at + ((<usize>i) << 3));
}

function whole(at: usize, i: i32): i32 {
  return load<i32>(at + ((<usize>i) << 2));
}

/**
 * leaf[n] ← 0 for rows of x [n,d] without a value that is NaN or above `limit` in size, −1 for the others. `least` and
 * `most` [d] take in the rows that are good.
 */
export function screen(x: usize, n: i32, d: i32, limit: f64, least: usize, most: usize, leaf: usize): void {
  for (let i = 0; i < n; i++, x += (<usize>d) << 2) {
    let usable = true;
    for (let j = 0; j < d; j++) if (!(Math.abs(float(x, j)) <= limit)) usable = false;
    store<i32>(leaf + ((<usize>i) << 2), usable ? 0 : -1);
    if (!usable) continue;
    for (let j = 0; j < d; j++) {
      const value = float(x, j);
      const o = (<usize>j) << 3;
      if (value < load<f64>(least + o)) store<f64>(least + o, value);
      if (value > load<f64>(most + o)) store<f64>(most + o, value);
    }
  }
}

/** n[leaves] and s[leaves,d] take in the rows of x [n,d] that have a leaf. */
export function sums(x: usize, n: i32, d: i32, leaf: usize, counts: usize, s: usize): void {
  for (let i = 0; i < n; i++, x += (<usize>d) << 2) {
    const l = whole(leaf, i);
    if (l < 0) continue;
    store<f64>(counts + ((<usize>l) << 3), double(counts, l) + 1);
    const q = s + ((<usize>(l * d)) << 3);
    for (let j = 0; j < d; j++) store<f64>(q + ((<usize>j) << 3), double(q, j) + float(x, j));
  }
}

/**
 * T [leaves,P] takes in φ(x − pivot of its leaf) of each row of x [n,d] that has one; pivots [leaves,d]. `centred` has
 * room for d numbers.
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
    const l = whole(leaf, i);
    if (l < 0) continue;
    const pivot = pivots + ((<usize>(l * d)) << 3);
    for (let j = 0; j < d; j++) store<f64>(centred + ((<usize>j) << 3), float(x, j) - double(pivot, j));
    accumulate(T + ((<usize>l * <usize>p) << 3), centred, d, diagonal);
  }
}

/** t [P] ← t + φ(x): two of a row of the upper triangle at a time. */
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

/** What a cell is, from its word: a node at `word − 1`, or a leaf, −1 for none. */
function leafOf(word: i32): i32 {
  return -1 - word;
}

/**
 * leaf[n] of each row of x [n,d]. `roots` has a word for each group, `group` each row's (0: all are of the first).
 * A word above 0 is the place, plus 1, of a node in `nodes`; any other is −1 − leaf. A node is a number of centres, then
 * as many rows of `vectors` [·,d], then the words of its children, of which that of the nearest is taken; or, the
 * number being 0, a row of `vectors`, a place in `thresholds`, and the words of the sides below and from there on.
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
    let word = whole(roots, group ? whole(group, i) : 0);
    while (word > 0) {
      const node = nodes + ((<usize>(word - 1)) << 2);
      const count = whole(node, 0);
      if (count) word = whole(node, 1 + count + nearest(x, d, node + 4, count, vectors));
      else {
        const side =
          along(x, d, vectors + ((<usize>(whole(node, 1) * d)) << 3)) >= double(thresholds, whole(node, 2));
        word = whole(node, side ? 4 : 3);
      }
    }
    store<i32>(leaf + ((<usize>i) << 2), leafOf(word));
  }
}

function nearest(x: usize, d: i32, centres: usize, count: i32, vectors: usize): i32 {
  let best = 0;
  let least: f64 = Infinity;
  for (let c = 0; c < count; c++) {
    const centre = vectors + ((<usize>(whole(centres, c) * d)) << 3);
    let sum: f64 = 0;
    for (let j = 0; j < d; j++) {
      const delta = float(x, j) - double(centre, j);
      sum += delta * delta;
    }
    if (sum < least) {
      least = sum;
      best = c;
    }
  }
  return best;
}

function along(x: usize, d: i32, axis: usize): f64 {
  let sum: f64 = 0;
  for (let j = 0; j < d; j++) sum += float(x, j) * double(axis, j);
  return sum;
}
