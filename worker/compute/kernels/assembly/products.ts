/** Products of matrices, float32, row-major, by address. Four rows at a time are accumulated in registers. */

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
  stridedProduct(a, m, k, (<usize>stride) << 2, 4, w, n, b, relu, out);
}

/** out[k,n] = aᵀ·g: a [m,k] with rows `stride` floats apart, g [m,n], n a multiple of 4. Sums are in the order of m. */
export function gram(a: usize, m: i32, k: i32, stride: i32, g: usize, n: i32, out: usize): void {
  stridedProduct(a, k, m, 4, (<usize>stride) << 2, g, n, 0, false, out);
}

/**
 * `product` of an a whose rows are `step` bytes apart, and the numbers of a row `next` bytes. A few columns of w at a time meet all
 * rows, so that a large w is read from memory once.
 */
function stridedProduct(
  a: usize,
  m: i32,
  k: i32,
  step: usize,
  next: usize,
  w: usize,
  n: i32,
  b: usize,
  relu: bool,
  out: usize,
): void {
  const row = (<usize>n) << 2;
  const whole = m & ~3;
  for (let j: usize = 0; j < row; ) {
    const isPair = j + 32 <= row;
    const bias = b ? b + j : 0;
    for (let i = 0; i < m; ) {
      const x = a + <usize>i * step;
      const t = out + <usize>i * row + j;
      if (i >= whole) {
        oneByFour(x, next, k, w + j, row, bias, relu, t);
        if (isPair) oneByFour(x, next, k, w + j + 16, row, b ? bias + 16 : 0, relu, t + 16);
        i++;
        continue;
      }
      if (isPair) fourByEight(x, step, next, k, w + j, row, bias, relu, t);
      else fourByFour(x, step, next, k, w + j, row, bias, relu, t);
      i += 4;
    }
    j += isPair ? 32 : 16;
  }
}

/** Four rows of `a`, k numbers each, times eight columns of w; rows of w and out are `row` bytes apart. */
function fourByEight(
  a: usize,
  step: usize,
  next: usize,
  k: i32,
  w: usize,
  row: usize,
  b: usize,
  relu: bool,
  out: usize,
): void {
  const zero = f32x4.splat(0);
  const b0 = b ? v128.load(b) : zero;
  const b1 = b ? v128.load(b, 16) : zero;
  const a1 = a + step;
  const a2 = a1 + step;
  const a3 = a2 + step;
  let c00 = b0,
    c01 = b1,
    c10 = b0,
    c11 = b1,
    c20 = b0,
    c21 = b1,
    c30 = b0,
    c31 = b1;
  for (let p: usize = 0, end = <usize>k * next; p < end; p += next, w += row) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    const x0 = v128.load32_splat(a + p);
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
  storePair(out, c00, c01);
  storePair((out += row), c10, c11);
  storePair((out += row), c20, c21);
  storePair(out + row, c30, c31);
}

function storePair(at: usize, x: v128, y: v128): void {
  v128.store(at, x);
  v128.store(at, y, 16);
}

function fourByFour(
  a: usize,
  step: usize,
  next: usize,
  k: i32,
  w: usize,
  row: usize,
  b: usize,
  relu: bool,
  out: usize,
): void {
  const zero = f32x4.splat(0);
  const a1 = a + step;
  const a2 = a1 + step;
  const a3 = a2 + step;
  let c0 = b ? v128.load(b) : zero;
  let c1 = c0,
    c2 = c0,
    c3 = c0;
  for (let p: usize = 0, end = <usize>k * next; p < end; p += next, w += row) {
    const w0 = v128.load(w);
    c0 = f32x4.add(c0, f32x4.mul(v128.load32_splat(a + p), w0));
    c1 = f32x4.add(c1, f32x4.mul(v128.load32_splat(a1 + p), w0));
    c2 = f32x4.add(c2, f32x4.mul(v128.load32_splat(a2 + p), w0));
    c3 = f32x4.add(c3, f32x4.mul(v128.load32_splat(a3 + p), w0));
  }
  v128.store(out, relu ? f32x4.pmax(zero, c0) : c0);
  v128.store((out += row), relu ? f32x4.pmax(zero, c1) : c1);
  v128.store((out += row), relu ? f32x4.pmax(zero, c2) : c2);
  v128.store(out + row, relu ? f32x4.pmax(zero, c3) : c3);
}

function oneByFour(
  a: usize,
  next: usize,
  k: i32,
  w: usize,
  row: usize,
  b: usize,
  relu: bool,
  out: usize,
): void {
  const zero = f32x4.splat(0);
  let c = b ? v128.load(b) : zero;
  for (let p: usize = 0, end = <usize>k * next; p < end; p += next, w += row)
    c = f32x4.add(c, f32x4.mul(v128.load32_splat(a + p), v128.load(w)));
  v128.store(out, relu ? f32x4.pmax(zero, c) : c);
}

/** out ← wᵀ: w [rows,cols] with rows `from` floats apart, out [cols,rows] with rows `to` floats apart; all but `rows` multiples of 4. */
export function transpose(w: usize, rows: i32, cols: i32, from: i32, out: usize, to: i32): void {
  const source = (<usize>from) << 2;
  const target = (<usize>to) << 2;
  let i = 0;
  for (; i + 4 <= rows; i += 4) {
    let x = w + <usize>i * source;
    let y = out + ((<usize>i) << 2);
    for (let j = 0; j < cols; j += 4, x += 16, y += target << 2) {
      const r0 = v128.load(x);
      const r1 = v128.load(x + source);
      const r2 = v128.load(x + 2 * source);
      const r3 = v128.load(x + 3 * source);
      const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5);
      const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7);
      const low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
      const high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
      v128.store(y, i64x2.shuffle(low01, low23, 0, 2));
      v128.store(y + target, i64x2.shuffle(low01, low23, 1, 3));
      v128.store(y + 2 * target, i64x2.shuffle(high01, high23, 0, 2));
      v128.store(y + 3 * target, i64x2.shuffle(high01, high23, 1, 3));
    }
  }
  for (; i < rows; i++)
    for (let j = 0; j < cols; j++)
      store<f32>(
        out + <usize>j * target + ((<usize>i) << 2),
        load<f32>(w + <usize>i * source + ((<usize>j) << 2)),
      );
}

export function padded(width: i32): i32 {
  return (width + 3) & ~3;
}

/** The sum of four numbers. */
export function sumOf(x: v128): f64 {
  const low = <f64>f32x4.extract_lane(x, 0) + <f64>f32x4.extract_lane(x, 1);
  return low + (<f64>f32x4.extract_lane(x, 2) + <f64>f32x4.extract_lane(x, 3));
}
