import { padded, product } from './products.ts';

/** Rows at a time, so that their whitened coordinates and columns fit the L1 cache. */
const BLOCK = 64;
/** Most columns in a panel of weights. */
const PANEL = 8;

/**
 * out [m,k] = constant_j − ½ Σ_d u_jd² with u_j = x·w_j + b_j: x [m,d], and w_j [d,d] has zeros below its diagonal. They are in panels
 * of eight columns, or four at the end, which have only the rows above and at the diagonal; b [k, d padded to a multiple of 4].
 * Sums are in float64, in the order of d. `work` has room for 64 rows of eight float32 numbers and a float64 one.
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
  const wide = padded(d);
  const sums = work + BLOCK * PANEL * 4;
  for (let from = 0; from < m; from += BLOCK) {
    const rows = min(BLOCK, m - from);
    let panel = w;
    let bias = b;
    for (let j = 0; j < k; j++) {
      memory.fill(sums, 0, BLOCK << 3);
      for (let i = 0; i < wide; i += PANEL) {
        const width = min(PANEL, wide - i);
        const used = min(d, i + width);
        product(x, rows, used, d, panel, width, bias, false, work);
        addSquares(work, rows, width, sums);
        panel += (<usize>(used * width)) << 2;
        bias += (<usize>width) << 2;
      }
      const base = <f64>load<f32>(constant + ((<usize>j) << 2));
      for (let i = 0; i < rows; i++)
        store<f32>(
          out + ((<usize>(i * k + j)) << 2),
          <f32>(base - 0.5 * load<f64>(sums + ((<usize>i) << 3))),
        );
    }
    x += (<usize>(rows * d)) << 2;
    out += (<usize>(rows * k)) << 2;
  }
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
