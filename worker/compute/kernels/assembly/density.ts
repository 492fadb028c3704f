import { product } from './products';

/** Rows at a time, so that their whitened coordinates fit the L1 cache. */
const BLOCK = 64;

/**
 * out [m,k] = constant_j − ½ Σ_d u_jd² with u = x·w + b: x [m,d], w [d,wide], b [wide]. `wide` is k·d padded to a multiple of
 * 4; only the first k·d columns are used. Sums are in float64, in the order of d. `work` has room for 64 rows of `wide`.
 */
export function logDensity(
  x: usize,
  m: i32,
  d: i32,
  w: usize,
  b: usize,
  wide: i32,
  constant: usize,
  k: i32,
  out: usize,
  work: usize,
): void {
  for (let from = 0; from < m; from += BLOCK) {
    const rows = min(BLOCK, m - from);
    product(x, rows, d, d, w, wide, b, false, work);
    densities(work, rows, wide, d, constant, k, out);
    x += (<usize>(rows * d)) << 2;
    out += (<usize>(rows * k)) << 2;
  }
}

/** Sums two rows in the lanes of a vector, and two vectors at a time: additions of a single sum would wait for each other. */
function densities(u: usize, rows: i32, wide: i32, d: i32, constant: usize, k: i32, out: usize): void {
  const row = (<usize>wide) << 2;
  const step = (<usize>k) << 2;
  const length = (<usize>d) << 2;
  let i = 0;
  for (; i + 4 <= rows; i += 4, u += 4 * row, out += 4 * step) {
    let q = u;
    for (let j: usize = 0; j < step; j += 4) {
      let upper = f64x2.splat(0);
      let lower = f64x2.splat(0);
      for (const end = q + length; q < end; q += 4) {
        const a = f64x2.promote_low_f32x4(v128.load_lane<f32>(q + row, v128.load_zero<f32>(q), 1));
        const c = f64x2.promote_low_f32x4(
          v128.load_lane<f32>(q + 3 * row, v128.load_zero<f32>(q + 2 * row), 1),
        );
        upper = f64x2.add(upper, f64x2.mul(a, a));
        lower = f64x2.add(lower, f64x2.mul(c, c));
      }
      const base = <f64>load<f32>(constant + j);
      store<f32>(out + j, <f32>(base - 0.5 * f64x2.extract_lane(upper, 0)));
      store<f32>(out + j + step, <f32>(base - 0.5 * f64x2.extract_lane(upper, 1)));
      store<f32>(out + j + 2 * step, <f32>(base - 0.5 * f64x2.extract_lane(lower, 0)));
      store<f32>(out + j + 3 * step, <f32>(base - 0.5 * f64x2.extract_lane(lower, 1)));
    }
  }
  for (; i < rows; i++, u += row, out += step) {
    let q = u;
    for (let j: usize = 0; j < step; j += 4) {
      let sum: f64 = 0;
      for (const end = q + length; q < end; q += 4) {
        const value = <f64>load<f32>(q);
        sum += value * value;
      }
      store<f32>(out + j, <f32>(<f64>load<f32>(constant + j) - 0.5 * sum));
    }
  }
}
