import { padded, product } from './products.ts';

/** Log-densities by whitening, compiled to WebAssembly (AssemblyScript). Addresses and sizes come in, checked before. */

/** Rows at a time, so that their whitened coordinates and columns fit the L1 cache. */
const BLOCK = 64;
/** Most columns in a panel of weights. */
const PANEL = 8;

/** Of fewer clusters, and in one panel, all densities are computed. */
const FEWEST_PRUNED: i32 = 16;
/** Nats below a row's largest log-density from where e^−x changes no float32 sum. */
const NEGLIGIBLE: f32 = 30;
/** Nats below the largest so far from where a density is not computed to the end; more, so that the result does not depend on which were. */
const PRUNED: f32 = 31;
const CLOSED: f32 = -1e38;

/**
 * out [m,k] = constant_j − ½ Σ_d u_jd² with u_j = x·w_j + b_j: x [m,d], and w_j [d,d] has zeros below its diagonal. They are in panels
 * of eight columns, or four at the end, which have only the rows above and at the diagonal; b [k, d padded to a multiple of 4].
 * Sums are in float64, in the order of d. Of 16 clusters or more, whatever is 30 nats or more below a row's largest is −1e38: most of
 * it is told by the first panel. `work` has room for 64 rows of ten float32 numbers and a float64 one, and of k float32 numbers.
 */
export function logDensity(
  x: usize,
  m: i32,
  d: i32,
  w: usize,
  b: usize,
  constant: usize,
  k: i32,
  out: usize,
  work: usize,
): void {
  const each = panelBytes(d);
  const isPruned = k >= FEWEST_PRUNED && d > PANEL;
  for (let from = 0; from < m; from += BLOCK) {
    const rows = min(BLOCK, m - from);
    if (isPruned) likelyDensities(x, rows, d, w, each, b, constant, k, out, work);
    else
      for (let j = 0; j < k; j++)
        densities(x, rows, d, w, each, b, constant, j, d, 0, out + ((<usize>j) << 2), k, work);
    x += (<usize>(rows * d)) << 2;
    out += (<usize>(rows * k)) << 2;
  }
}

/** Bytes of a cluster's panels. */
function panelBytes(d: i32): usize {
  let size = 0;
  for (let i = 0; i < padded(d); i += PANEL) size += min(d, i + PANEL) * min(PANEL, padded(d) - i);
  return (<usize>size) << 2;
}

/**
 * The log-densities of cluster j in some rows by the first `columns` whitened coordinates, to every `step`-th float of `out`. Those of a
 * single row end where they fall below the float at `floor`, unless this is 0. `each`: bytes of a cluster's panels.
 */
function densities(
  x: usize,
  rows: i32,
  d: i32,
  w: usize,
  each: usize,
  b: usize,
  constant: usize,
  j: i32,
  columns: i32,
  floor: usize,
  out: usize,
  step: i32,
  work: usize,
): void {
  const wide = padded(d);
  const sums = work + BLOCK * PANEL * 4;
  const base = load<f32>(constant + ((<usize>j) << 2));
  let panel = w + <usize>j * each;
  let bias = b + ((<usize>(j * wide)) << 2);
  memory.fill(sums, 0, (<usize>((rows + 3) & ~3)) << 3);
  for (let i = 0; i < columns; i += PANEL) {
    const width = min(PANEL, wide - i);
    const used = min(d, i + width);
    product(x, rows, used, d, panel, width, bias, false, work);
    addSquares(work, rows, width, sums);
    panel += (<usize>(used * width)) << 2;
    bias += (<usize>width) << 2;
    if (floor && densityOf(base, sums) < load<f32>(floor)) break;
  }
  for (let i = 0; i < rows; i++, out += (<usize>step) << 2)
    store<f32>(out, densityOf(base, sums + ((<usize>i) << 3)));
}

function densityOf(base: f32, sum: usize): f32 {
  return <f32>(<f64>base - 0.5 * load<f64>(sum));
}

/** The log-densities of up to 64 rows that are not 30 nats below the row's largest; −1e38 for the others. */
function likelyDensities(
  x: usize,
  rows: i32,
  d: i32,
  w: usize,
  each: usize,
  b: usize,
  constant: usize,
  k: i32,
  out: usize,
  work: usize,
): void {
  const row = (<usize>d) << 2;
  const floors = work + BLOCK * (PANEL * 4 + 8);
  const best = floors + BLOCK * 4;
  // What no density exceeds, by its first panel: 64 numbers for each cluster.
  const bounds = best + BLOCK * 4;
  for (let j = 0; j < k; j++)
    densities(x, rows, d, w, each, b, constant, j, PANEL, 0, bounds + ((<usize>(j * BLOCK)) << 2), 1, work);
  largest(bounds, k, best);
  for (let q = out; q < out + ((<usize>(rows * k)) << 2); q += 4) store<f32>(q, CLOSED);
  for (let i = 0; i < rows; i++) {
    const j = load<i32>(best + ((<usize>i) << 2));
    const to = out + ((<usize>(i * k + j)) << 2);
    densities(x + <usize>i * row, 1, d, w, each, b, constant, j, d, 0, to, k, work);
    store<f32>(floors + ((<usize>i) << 2), load<f32>(to) - PRUNED);
  }
  for (let j = 0; j < k; j++) {
    const own = bounds + ((<usize>(j * BLOCK)) << 2);
    const count = countAbove(own, rows, floors);
    if (!count) continue;
    const to = out + ((<usize>j) << 2);
    // A product of many rows takes less time for each of them.
    const isMany = 4 * count > rows;
    if (isMany) densities(x, rows, d, w, each, b, constant, j, d, 0, to, k, work);
    for (let i = 0; i < rows; i++) {
      const floor = floors + ((<usize>i) << 2);
      const at = to + ((<usize>(i * k)) << 2);
      if (!isMany) {
        if (!(load<f32>(own + ((<usize>i) << 2)) >= load<f32>(floor))) continue;
        densities(x + <usize>i * row, 1, d, w, each, b, constant, j, d, floor, at, k, work);
      }
      store<f32>(floor, max(load<f32>(floor), load<f32>(at) - PRUNED));
    }
  }
  for (let i = 0; i < rows; i++, out += (<usize>k) << 2) {
    const end = out + ((<usize>k) << 2);
    let most = load<f32>(out);
    for (let q = out; q < end; q += 4) most = max(most, load<f32>(q));
    for (let q = out; q < end; q += 4) if (load<f32>(q) < most - NEGLIGIBLE) store<f32>(q, CLOSED);
  }
}

/** In which of k clusters each of 64 rows has its largest bound. */
function largest(bounds: usize, k: i32, best: usize): void {
  for (let i: usize = 0; i < (<usize>BLOCK) << 2; i += 16) {
    let most = v128.load(bounds + i);
    let where = i32x4.splat(0);
    for (let j = 1; j < k; j++) {
      const value = v128.load(bounds + i + ((<usize>(j * BLOCK)) << 2));
      const isMore = f32x4.gt(value, most);
      most = v128.bitselect(value, most, isMore);
      where = v128.bitselect(i32x4.splat(j), where, isMore);
    }
    v128.store(best + i, where);
  }
}

/** How many rows' bounds are not below their floors. */
function countAbove(bounds: usize, rows: i32, floors: usize): i32 {
  let count = 0;
  for (let i = 0; i < rows; i += 4) {
    const at = (<usize>i) << 2;
    count += popcnt<i32>(i32x4.bitmask(f32x4.ge(v128.load(bounds + at), v128.load(floors + at))));
  }
  return count;
}

/**
 * Adds the squares of each row of u to its sum. Two rows in the lanes of a vector, and two vectors at a time: additions of a single
 * sum would wait for each other. (Of up to three rows more than there are, too: nobody reads these sums.)
 */
function addSquares(u: usize, rows: i32, width: i32, sums: usize): void {
  const row = (<usize>width) << 2;
  for (let i = 0; i < rows; i += 4, u += 4 * row, sums += 32) {
    let upper = v128.load(sums);
    let lower = v128.load(sums, 16);
    for (let q = u; q < u + row; q += 4) {
      const a = f64x2.promote_low_f32x4(v128.load_lane<f32>(q + row, v128.load_zero<f32>(q), 1));
      const c = f64x2.promote_low_f32x4(
        v128.load_lane<f32>(q + 3 * row, v128.load_zero<f32>(q + 2 * row), 1),
      );
      upper = f64x2.add(upper, f64x2.mul(a, a));
      lower = f64x2.add(lower, f64x2.mul(c, c));
    }
    v128.store(sums, upper);
    v128.store(sums, lower, 16);
  }
}
