/** Products of small matrices, float32, row-major, by address. Four rows at a time are accumulated in registers. */

/**
 * out[m,n] = a[m,k]·w[k,n] (+ b[n], unless b is 0), then ReLU if `relu`. n is a multiple of 4; rows of a are `stride` floats
 * apart. Sums are in the order of k.
 */
export function product(
  a: usize,
  m: i32,
  k: i32,
  stride: i32,
  w: usize,
  n: i32,
  b: usize,
  relu: bool,
  out: usize,
): void {
  const zero = f32x4.splat(0);
  const row = (<usize>n) << 2;
  const step = (<usize>stride) << 2;
  let i = 0;
  for (; i + 4 <= m; i += 4) {
    const a0 = a + <usize>i * step;
    const a1 = a0 + step;
    const a2 = a1 + step;
    const a3 = a2 + step;
    const o = out + <usize>i * row;
    let j: usize = 0;
    for (; j + 32 <= row; j += 32) {
      const b0 = b ? v128.load(b + j) : zero;
      const b1 = b ? v128.load(b + j, 16) : zero;
      let c00 = b0,
        c01 = b1,
        c10 = b0,
        c11 = b1,
        c20 = b0,
        c21 = b1,
        c30 = b0,
        c31 = b1;
      let q = w + j;
      for (let p: usize = 0, end = (<usize>k) << 2; p < end; p += 4, q += row) {
        const w0 = v128.load(q);
        const w1 = v128.load(q, 16);
        const x0 = v128.load32_splat(a0 + p);
        const x1 = v128.load32_splat(a1 + p);
        const x2 = v128.load32_splat(a2 + p);
        const x3 = v128.load32_splat(a3 + p);
        c00 = f32x4.add(c00, f32x4.mul(x0, w0));
        c01 = f32x4.add(c01, f32x4.mul(x0, w1));
        c10 = f32x4.add(c10, f32x4.mul(x1, w0));
        c11 = f32x4.add(c11, f32x4.mul(x1, w1));
        c20 = f32x4.add(c20, f32x4.mul(x2, w0));
        c21 = f32x4.add(c21, f32x4.mul(x2, w1));
        c30 = f32x4.add(c30, f32x4.mul(x3, w0));
        c31 = f32x4.add(c31, f32x4.mul(x3, w1));
      }
      if (relu) {
        c00 = f32x4.pmax(zero, c00);
        c01 = f32x4.pmax(zero, c01);
        c10 = f32x4.pmax(zero, c10);
        c11 = f32x4.pmax(zero, c11);
        c20 = f32x4.pmax(zero, c20);
        c21 = f32x4.pmax(zero, c21);
        c30 = f32x4.pmax(zero, c30);
        c31 = f32x4.pmax(zero, c31);
      }
      let t = o + j;
      v128.store(t, c00);
      v128.store(t, c01, 16);
      t += row;
      v128.store(t, c10);
      v128.store(t, c11, 16);
      t += row;
      v128.store(t, c20);
      v128.store(t, c21, 16);
      t += row;
      v128.store(t, c30);
      v128.store(t, c31, 16);
    }
    for (; j < row; j += 16) {
      let c0 = b ? v128.load(b + j) : zero;
      let c1 = c0,
        c2 = c0,
        c3 = c0;
      let q = w + j;
      for (let p: usize = 0, end = (<usize>k) << 2; p < end; p += 4, q += row) {
        const w0 = v128.load(q);
        c0 = f32x4.add(c0, f32x4.mul(v128.load32_splat(a0 + p), w0));
        c1 = f32x4.add(c1, f32x4.mul(v128.load32_splat(a1 + p), w0));
        c2 = f32x4.add(c2, f32x4.mul(v128.load32_splat(a2 + p), w0));
        c3 = f32x4.add(c3, f32x4.mul(v128.load32_splat(a3 + p), w0));
      }
      if (relu) {
        c0 = f32x4.pmax(zero, c0);
        c1 = f32x4.pmax(zero, c1);
        c2 = f32x4.pmax(zero, c2);
        c3 = f32x4.pmax(zero, c3);
      }
      let t = o + j;
      v128.store(t, c0);
      t += row;
      v128.store(t, c1);
      t += row;
      v128.store(t, c2);
      t += row;
      v128.store(t, c3);
    }
  }
  for (; i < m; i++) {
    const a0 = a + <usize>i * step;
    const o = out + <usize>i * row;
    for (let j: usize = 0; j < row; j += 16) {
      let c = b ? v128.load(b + j) : zero;
      let q = w + j;
      for (let p: usize = 0, end = (<usize>k) << 2; p < end; p += 4, q += row)
        c = f32x4.add(c, f32x4.mul(v128.load32_splat(a0 + p), v128.load(q)));
      if (relu) c = f32x4.pmax(zero, c);
      v128.store(o + j, c);
    }
  }
}

/** out[k,n] = aᵀ·g: a [m,k] with rows `stride` floats apart, g [m,n], n a multiple of 4. Sums are in the order of m. */
export function gram(a: usize, m: i32, k: i32, stride: i32, g: usize, n: i32, out: usize): void {
  const zero = f32x4.splat(0);
  const row = (<usize>n) << 2;
  const step = (<usize>stride) << 2;
  let p = 0;
  for (; p + 4 <= k; p += 4) {
    for (let j: usize = 0; j < row; j += 16) {
      let c0 = zero,
        c1 = zero,
        c2 = zero,
        c3 = zero;
      let x = a + ((<usize>p) << 2);
      let y = g + j;
      for (let i = 0; i < m; i++, x += step, y += row) {
        const value = v128.load(y);
        c0 = f32x4.add(c0, f32x4.mul(v128.load32_splat(x), value));
        c1 = f32x4.add(c1, f32x4.mul(v128.load32_splat(x, 4), value));
        c2 = f32x4.add(c2, f32x4.mul(v128.load32_splat(x, 8), value));
        c3 = f32x4.add(c3, f32x4.mul(v128.load32_splat(x, 12), value));
      }
      let t = out + <usize>p * row + j;
      v128.store(t, c0);
      t += row;
      v128.store(t, c1);
      t += row;
      v128.store(t, c2);
      t += row;
      v128.store(t, c3);
    }
  }
  for (; p < k; p++) {
    for (let j: usize = 0; j < row; j += 16) {
      let c = zero;
      let x = a + ((<usize>p) << 2);
      let y = g + j;
      for (let i = 0; i < m; i++, x += step, y += row)
        c = f32x4.add(c, f32x4.mul(v128.load32_splat(x), v128.load(y)));
      v128.store(out + <usize>p * row + j, c);
    }
  }
}

export function padded(width: i32): i32 {
  return (width + 3) & ~3;
}
