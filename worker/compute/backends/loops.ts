/** The plain loops of the host backends, over row-major float32. Sums are float64, rounded once. */

type F32 = Float32Array;

export function transpose(x: F32, rows: number, cols: number, out: F32): void {
  for (let j = 0; j < cols; j++) {
    const o = j * rows;
    for (let i = 0, q = j; i < rows; i++, q += cols) out[o + i] = x[q];
  }
}

/** x ← 0 where h, the output of a ReLU, is 0. By bit masks: branches on random signs take twice the time. */
export function maskPositive(x: F32, h: F32): void {
  const bits = new Int32Array(x.buffer, x.byteOffset, x.length);
  const active = new Int32Array(h.buffer, h.byteOffset, h.length);
  for (let i = 0; i < bits.length; i++) bits[i] &= -active[i] >> 31;
}

/** out ← a + factor·b. */
export function plus(a: F32, b: F32, factor: number, out: F32): void {
  for (let i = 0; i < a.length; i++) out[i] = a[i] + factor * b[i];
}

export function columnSums(x: F32, count: number, rows: number, cols: number, out: F32): void {
  for (let k = 0; k < count; k++) {
    const end = (k + 1) * rows * cols;
    for (let j = 0; j < cols; j++) {
      let sum = 0;
      for (let q = k * rows * cols + j; q < end; q += cols) sum += x[q];
      out[k * cols + j] = sum;
    }
  }
}

export function gather(x: F32, index: Int32Array | Uint32Array, dim: number, out: F32): void {
  for (let i = 0, o = 0; i < index.length; i++)
    for (let d = 0, q = index[i] * dim; d < dim; d++, q++, o++) out[o] = x[q];
}

export function adam(p: F32, m: F32, v: F32, g: F32, rate: number, step: number): void {
  const first = rate / (1 - 0.9 ** step);
  const second = 1 / (1 - 0.999 ** step);
  for (let i = 0; i < p.length; i++) {
    const a = (m[i] = 0.9 * m[i] + 0.1 * g[i]);
    const b = (v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i]);
    p[i] -= (first * a) / (Math.sqrt(second * b) + 1e-8);
  }
}

export function softmaxRows(x: F32, cols: number, out: F32): void {
  for (let o = 0; o < x.length; o += cols) {
    let top = x[o];
    for (let j = 1; j < cols; j++) if (x[o + j] > top) top = x[o + j];
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += out[o + j] = Math.exp(x[o + j] - top);
    const scale = 1 / sum;
    for (let j = 0; j < cols; j++) out[o + j] *= scale;
  }
}

/** Rows r that sum to 1 ← (r + ε)/Σ(r + ε). */
export function smooth(r: F32, epsilon: number, cols: number): void {
  const scale = 1 / (1 + cols * epsilon);
  for (let i = 0; i < r.length; i++) r[i] = (r[i] + epsilon) * scale;
}

/** Returns the loss KL(target ‖ r), with log r by log-softmax; out: ∂/∂logits = (r − target)·scale. */
export function klGradient(x: F32, target: F32, rows: number, cols: number, scale: number, out: F32): number {
  let loss = 0;
  for (let i = 0, o = 0; i < rows; i++, o += cols) {
    let top = x[o];
    for (let j = 1; j < cols; j++) if (x[o + j] > top) top = x[o + j];
    let sum = 0;
    for (let j = 0; j < cols; j++) {
      const e = Math.exp(x[o + j] - top);
      out[o + j] = e;
      sum += e;
    }
    const logSum = top + Math.log(sum);
    for (let j = 0; j < cols; j++) {
      const t = target[o + j];
      if (t > 0) loss += t * (Math.log(t) - x[o + j] + logSum);
      out[o + j] = (out[o + j] / sum - t) * scale;
    }
  }
  return loss * scale;
}

/** Returns the loss Σ r·cost; out: ∂/∂logit_j = r_j (cost_j − Σ_l r_l cost_l)·scale. */
export function costGradient(x: F32, cost: F32, rows: number, cols: number, scale: number, out: F32): number {
  let loss = 0;
  for (let i = 0, o = 0; i < rows; i++, o += cols) {
    let top = x[o];
    for (let j = 1; j < cols; j++) if (x[o + j] > top) top = x[o + j];
    let sum = 0;
    let mean = 0;
    for (let j = 0; j < cols; j++) {
      const e = Math.exp(x[o + j] - top);
      out[o + j] = e;
      sum += e;
      mean += e * cost[o + j];
    }
    mean /= sum;
    loss += mean;
    for (let j = 0; j < cols; j++) out[o + j] = (out[o + j] / sum) * (cost[o + j] - mean) * scale;
  }
  return loss * scale;
}

/** Returns the loss Σ (x − target)²; out: ∂/∂x = 2·(x − target)·scale. */
export function squaredError(
  x: F32,
  target: F32,
  rows: number,
  cols: number,
  scale: number,
  out: F32,
): number {
  let loss = 0;
  for (let i = 0; i < rows * cols; i++) {
    const difference = x[i] - target[i];
    loss += difference * difference;
    out[i] = 2 * scale * difference;
  }
  return loss * scale;
}

/** φ of each row, row by row: out [rows,P]. */
export function quadraticRows(x: F32, rows: number, dim: number, diagonal: boolean, out: F32): void {
  for (let i = 0, o = 0, q = 0; i < rows; i++, q += dim) {
    out[o++] = 1;
    for (let d = 0; d < dim; d++) out[o++] = x[q + d];
    for (let d = 0; d < dim; d++) {
      const value = x[q + d];
      const end = diagonal ? d + 1 : dim;
      for (let e = d; e < end; e++) out[o++] = value * x[q + e];
    }
  }
}

/** φ feature by feature, from x transposed [dim,rows]: out [P,rows]. */
export function quadraticColumns(xt: F32, rows: number, dim: number, diagonal: boolean, out: F32): void {
  out.fill(1, 0, rows);
  out.set(xt.subarray(0, dim * rows), rows);
  let o = (1 + dim) * rows;
  for (let d = 0; d < dim; d++) {
    const end = diagonal ? d + 1 : dim;
    for (let e = d; e < end; e++, o += rows) {
      for (let i = 0, a = d * rows, b = e * rows; i < rows; i++) out[o + i] = xt[a + i] * xt[b + i];
    }
  }
}

export function whitenedDensity(
  u: F32,
  constant: F32,
  count: number,
  rows: number,
  k: number,
  dim: number,
  out: F32,
): void {
  for (let c = 0, o = 0, q = 0; c < count; c++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < k; j++, o++) {
        let sum = 0;
        for (let d = 0; d < dim; d++, q++) sum += u[q] * u[q];
        out[o] = constant[c * k + j] - 0.5 * sum;
      }
    }
  }
}

export function squaredDistances(
  x: F32,
  centres: F32,
  metric: F32,
  count: number,
  rows: number,
  dim: number,
  j: number,
  out: F32,
): void {
  for (let k = 0, q = 0, o = 0; k < count; k++) {
    for (let i = 0; i < rows; i++, q += dim) {
      for (let c = 0, p = k * j * dim; c < j; c++, o++) {
        let sum = 0;
        for (let d = 0; d < dim; d++, p++) {
          const delta = x[q + d] - centres[p];
          sum += metric[d] * delta * delta;
        }
        out[o] = sum;
      }
    }
  }
}
