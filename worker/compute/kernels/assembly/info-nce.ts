import { sumOf } from './products';

/**
 * Returns the mean of −log(q_ii/Σ_j q_ij), q_ij = 1/(1 + ‖a_i − c_j‖²), for codes a [rows,n], then c [rows,n], and replaces them by its
 * gradient; n is a multiple of 4. That by ‖a_i − c_j‖² is (δ_ij − q_ij/Σ_l q_il)·q_ij/rows. `work` has room for 2·rows·n + rows floats.
 */
export function infoNceGradient(codes: usize, rows: i32, n: i32, work: usize): f64 {
  const row = (<usize>n) << 2;
  const half = <usize>rows * row;
  const others = codes + half;
  const similarities = work + 2 * half;
  let loss: f64 = 0;
  memory.fill(work, 0, 2 * half);
  for (let i = 0, a = codes; i < rows; i++, a += row) {
    let total: f64 = 0;
    for (let j = 0, c = others; j < rows; j++, c += row) {
      let square = f32x4.splat(0);
      for (let d: usize = 0; d < row; d += 16) {
        const difference = f32x4.sub(v128.load(a + d), v128.load(c + d));
        square = f32x4.add(square, f32x4.mul(difference, difference));
      }
      const q = 1 / (1 + sumOf(square));
      store<f32>(similarities + ((<usize>j) << 2), <f32>q);
      total += q;
    }
    loss += Math.log(total / <f64>load<f32>(similarities + ((<usize>i) << 2)));
    const own = work + <usize>i * row;
    for (let j = 0, c = others, other = work + half; j < rows; j++, c += row, other += row) {
      const q = <f64>load<f32>(similarities + ((<usize>j) << 2));
      const slope = (2 * ((i === j ? 1.0 : 0.0) - q / total) * q) / <f64>rows;
      const weight = f32x4.splat(<f32>slope);
      for (let d: usize = 0; d < row; d += 16) {
        const part = f32x4.mul(weight, f32x4.sub(v128.load(a + d), v128.load(c + d)));
        v128.store(own + d, f32x4.add(v128.load(own + d), part));
        v128.store(other + d, f32x4.sub(v128.load(other + d), part));
      }
    }
  }
  memory.copy(codes, work, 2 * half);
  return loss / <f64>rows;
}
