/**
 * Adam steps of K multi-layer perceptrons: one call takes a step of all of them. Compiled ahead of time to WebAssembly with
 * SIMD, it runs at full speed from the first step, while JavaScript would be interpreted, compiled and recompiled in every
 * worker process.
 *
 * Arrays are float32, row-major, by address. All widths but the first are padded to a multiple of 4 with columns of zeros, in
 * weights, biases, moments and activations alike: a zero weight has a zero gradient, so it stays zero. A layer is W [in,out],
 * then b [out]; the K nets follow one another.
 */

import { gram, padded, product, sumOf, transpose } from './products.ts';

/** What the outputs are compared with their targets by. */
const COST: i32 = 1;
const SQUARES: i32 = 2;

/** Rows of weights that are updated together, while their gradient is in the cache. */
const PANEL: i32 = 16;

function columnSums(g: usize, m: i32, n: i32, out: usize): void {
  const row = (<usize>n) << 2;
  for (let j: usize = 0; j < row; j += 16) {
    let c = f32x4.splat(0);
    let y = g + j;
    for (let i = 0; i < m; i++, y += row) c = f32x4.add(c, v128.load(y));
    v128.store(out + j, c);
  }
}

/** x ← 0 where h, the output of a ReLU, is 0; n floats, a multiple of 4. */
function maskPositive(x: usize, h: usize, n: i32): void {
  const zero = f32x4.splat(0);
  for (let o: usize = 0, end = (<usize>n) << 2; o < end; o += 16)
    v128.store(x + o, v128.and(v128.load(x + o), f32x4.gt(v128.load(h + o), zero)));
}

/** One Adam step on n floats, a multiple of 4. `rate` and `correction` include the bias corrections. */
function adam(p: usize, m: usize, v: usize, g: usize, n: i32, rate: f32, correction: f32): void {
  for (let o: usize = 0, end = (<usize>n) << 2; o < end; o += 16) {
    const slope = v128.load(g + o);
    const mean = f32x4.add(f32x4.mul(f32x4.splat(0.9), v128.load(m + o)), f32x4.mul(f32x4.splat(0.1), slope));
    const square = f32x4.add(
      f32x4.mul(f32x4.splat(0.999), v128.load(v + o)),
      f32x4.mul(f32x4.splat(0.001), f32x4.mul(slope, slope)),
    );
    v128.store(m + o, mean);
    v128.store(v + o, square);
    const size = f32x4.add(f32x4.sqrt(f32x4.mul(f32x4.splat(correction), square)), f32x4.splat(1e-8));
    v128.store(p + o, f32x4.sub(v128.load(p + o), f32x4.div(f32x4.mul(f32x4.splat(rate), mean), size)));
  }
}

/** eˣ for x ≤ 0, as 2ⁿ·eʳ with |r| ≤ ½ ln 2 and a polynomial for eʳ. The error is about one unit in the last place. */
function exp(x: v128): v128 {
  x = f32x4.max(x, f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(<f32>Math.LOG2E)));
  // ln 2 in two parts, so that r keeps its digits.
  const r = f32x4.sub(
    f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))),
    f32x4.mul(n, f32x4.splat(-2.1219444e-4)),
  );
  let y = f32x4.splat(1.98756915e-4);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.3981999507e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(8.3334519073e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.1665795894e-2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.6666665459e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(5.0000001201e-1));
  y = f32x4.add(f32x4.add(f32x4.mul(y, f32x4.mul(r, r)), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(y, power);
}

/** ln x for normal x > 0, from x = m·2ⁿ with √½ ≤ m < √2 and a polynomial for ln m. */
function ln(x: v128): v128 {
  const bits = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const n = f32x4.convert_i32x4_s(i32x4.shr_s(bits, 23));
  const m = i32x4.add(v128.and(bits, i32x4.splat(0x7fffff)), i32x4.splat(0x3f3504f3));
  const r = f32x4.sub(m, f32x4.splat(1));
  const square = f32x4.mul(r, r);
  let y = f32x4.splat(7.0376836292e-2);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(-1.151461031e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.167699874e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(-1.2420140846e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.4249322787e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(-1.6668057665e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(2.0000714765e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(-2.4999993993e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(3.3333331174e-1));
  y = f32x4.sub(f32x4.mul(f32x4.mul(square, r), y), f32x4.mul(square, f32x4.splat(0.5)));
  y = f32x4.add(y, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  return f32x4.add(f32x4.add(r, y), f32x4.mul(n, f32x4.splat(0.693359375)));
}

/** gradient ← gradient + weight·∂‖codes − target‖²/∂codes, averaged over the rows; n floats in all, a multiple of 4. */
function addSquares(gradient: usize, codes: usize, target: usize, rows: i32, n: i32, weight: f32): void {
  const scale = f32x4.splat(<f32>((2.0 * <f64>weight) / <f64>rows));
  for (let o: usize = 0, end = (<usize>n) << 2; o < end; o += 16) {
    const error = f32x4.sub(v128.load(codes + o), v128.load(target + o));
    v128.store(gradient + o, f32x4.add(v128.load(gradient + o), f32x4.mul(scale, error)));
  }
}

/** Returns ‖outputs − target‖² averaged over the rows, and replaces the outputs [rows,n] by its gradient. */
function squaresGradient(outputs: usize, target: usize, rows: i32, n: i32): f64 {
  const scale = f32x4.splat(<f32>(2.0 / <f64>rows));
  const row = (<usize>n) << 2;
  let loss: f64 = 0;
  for (let i = 0; i < rows; i++) {
    let sum = f32x4.splat(0);
    for (let j: usize = 0; j < row; j += 16, outputs += 16, target += 16) {
      const error = f32x4.sub(v128.load(outputs), v128.load(target));
      sum = f32x4.add(sum, f32x4.mul(error, error));
      v128.store(outputs, f32x4.mul(scale, error));
    }
    loss += sumOf(sum);
  }
  return loss / <f64>rows;
}

/**
 * Returns the loss averaged over the rows, and replaces the logits [rows,n] by ∂loss/∂logits; only the first k columns are
 * used. The loss is Σ_j target_j·softmax_j if `cost`, else KL(target ‖ softmax).
 */
function lossGradient(logits: usize, target: usize, rows: i32, k: i32, n: i32, cost: bool): f64 {
  const scale: f32 = <f32>(1.0 / <f64>rows);
  const row = (<usize>n) << 2;
  const real = (<usize>k) << 2;
  let loss: f64 = 0;
  for (let i = 0; i < rows; i++, logits += row, target += row) {
    let top = load<f32>(logits);
    for (let j: usize = 4; j < real; j += 4) top = max(top, load<f32>(logits + j));
    for (let j = real; j < row; j += 4) store<f32>(logits + j, -1e30);
    let total = f32x4.splat(0);
    let linear = f32x4.splat(0);
    for (let j: usize = 0; j < row; j += 16) {
      const x = f32x4.sub(v128.load(logits + j), f32x4.splat(top));
      const t = v128.load(target + j);
      const e = exp(x);
      total = f32x4.add(total, e);
      const value = cost ? e : f32x4.sub(x, ln(f32x4.max(t, f32x4.splat(1e-30))));
      linear = f32x4.add(linear, f32x4.mul(t, value));
      v128.store(logits + j, e);
    }
    const sum = sumOf(total);
    const inverse = f32x4.splat(<f32>(1.0 / sum));
    if (cost) {
      const mean = sumOf(linear) / sum;
      loss += mean;
      for (let j: usize = 0; j < row; j += 16) {
        const r = f32x4.mul(v128.load(logits + j), inverse);
        const over = f32x4.sub(v128.load(target + j), f32x4.splat(<f32>mean));
        v128.store(logits + j, f32x4.mul(f32x4.mul(r, over), f32x4.splat(scale)));
      }
    } else {
      let mass = f32x4.splat(0);
      for (let j: usize = 0; j < row; j += 16) {
        const t = v128.load(target + j);
        mass = f32x4.add(mass, t);
        const r = f32x4.mul(v128.load(logits + j), inverse);
        v128.store(logits + j, f32x4.mul(f32x4.sub(r, t), f32x4.splat(scale)));
      }
      loss += sumOf(mass) * Math.log(sum) - sumOf(linear);
    }
    for (let j = real; j < row; j += 4) store<f32>(logits + j, 0);
  }
  return loss / <f64>rows;
}

/**
 * One Adam step of each net on its own rows: x [nets,rows,widths[0]], target [nets,rows,last width padded]. Changes `params`,
 * `first` and `second` in place. ReLU after all layers but the last and `linear`. `work` has room for the activations of a net,
 * the transposed weights of a layer, and the gradients of some (see step-kernel.ts). `codes`: what the outputs of `linear`, of a single
 * net, should be besides, [rows, its width padded], by `weight`; 0 for none. Returns the mean loss of the nets, without that of the codes.
 */
export function step(
  widths: usize,
  layers: i32,
  linear: i32,
  nets: i32,
  rows: i32,
  x: usize,
  target: usize,
  loss: i32,
  params: usize,
  first: usize,
  second: usize,
  work: usize,
  codes: usize,
  weight: f32,
  rate: f32,
  correction: f32,
): f64 {
  let total: f64 = 0;
  const inputs = load<i32>(widths);
  const outputs = load<i32>(widths + ((<usize>layers) << 2));
  const toFirst = first - params;
  const toSecond = second - params;
  for (let net = 0; net < nets; net++) {
    // Forward: the activations of all layers, one after the other.
    let at = params;
    let input = x;
    let stride = inputs;
    let free = work;
    for (let l = 0; l < layers; l++) {
      const fanIn = load<i32>(widths + ((<usize>l) << 2));
      const width = padded(load<i32>(widths + ((<usize>(l + 1)) << 2)));
      const bias = at + ((<usize>fanIn * <usize>width) << 2);
      product(input, rows, fanIn, stride, at, width, bias, l + 1 < layers && l !== linear, free);
      at = bias + ((<usize>width) << 2);
      input = free;
      stride = width;
      free += (<usize>rows * <usize>width) << 2;
    }
    const end = at;
    total +=
      loss === SQUARES
        ? squaresGradient(input, target, rows, stride)
        : lossGradient(input, target, rows, outputs, stride, loss === COST);

    // Backward: a layer's weights change only after they have propagated the gradient to the layer below.
    let above = input;
    for (let l = layers - 1; l >= 0; l--) {
      const fanIn = load<i32>(widths + ((<usize>l) << 2));
      const width = padded(load<i32>(widths + ((<usize>(l + 1)) << 2)));
      const from = padded(fanIn);
      const weights = <usize>fanIn * <usize>width;
      at -= (weights + <usize>width) << 2;
      const below = l ? above - ((<usize>rows * <usize>from) << 2) : x;
      const slope = free;
      const gradient = slope + ((<usize>rows * <usize>from) << 2);
      if (l) {
        const turned = gradient;
        // The columns that pad the layer below are zeros.
        if (from > fanIn) memory.fill(turned, 0, (<usize>width * <usize>from) << 2);
        transpose(at, fanIn, width, width, turned, from);
        product(above, rows, width, width, turned, from, 0, false, slope);
        if (l - 1 !== linear) maskPositive(slope, below, rows * from);
        else if (codes) addSquares(slope, below, codes, rows, rows * from, weight);
      }
      for (let p = 0; p < fanIn; p += PANEL) {
        const height = min(PANEL, fanIn - p);
        const panel = at + ((<usize>p * <usize>width) << 2);
        gram(below + ((<usize>p) << 2), rows, height, l ? from : inputs, above, width, gradient);
        adam(panel, panel + toFirst, panel + toSecond, gradient, height * width, rate, correction);
      }
      const bias = at + (weights << 2);
      columnSums(above, rows, width, gradient);
      adam(bias, bias + toFirst, bias + toSecond, gradient, width, rate, correction);
      if (l) memory.copy(below, slope, (<usize>rows * <usize>from) << 2);
      above = below;
    }
    const bytes = end - params;
    params += bytes;
    x += (<usize>(rows * inputs)) << 2;
    target += (<usize>(rows * padded(outputs))) << 2;
  }
  return total / <f64>nets;
}
