import { instantiate, padded } from './compiled.ts';

/** Rows that are whitened at a time, and most columns; the same as in assembly/density.ts. */
const [BLOCK, PANEL] = [64, 8];

/**
 * Log-densities of k components by whitening: out [n,k] from x [n,d], weights [d,k·d], bias [k·d] and constants [k]. Weights that
 * would be below the diagonal of a component's d columns count as 0. Sums over whitened coordinates are in float64.
 */
export function densityKernel() {
  const { calls, buffer, allocate, reset } = instantiate<'logDensity'>();
  return (
    x: Float32Array,
    weights: Float32Array,
    bias: Float32Array,
    constant: Float32Array,
    out: Float32Array,
  ): void => {
    const k = constant.length;
    const d = bias.length / k;
    const panels = panelsOf(d);
    const size = panels.reduce((sum, { rows, width }) => sum + rows * width, 0);
    reset();
    const at = {
      x: allocate(4 * x.length),
      weights: allocate(4 * k * size),
      bias: allocate(4 * k * padded(d)),
      constant: allocate(4 * k),
      out: allocate(4 * out.length),
      work: allocate(BLOCK * (4 * PANEL + 8)),
    };
    const view = new Float32Array(buffer());
    view.set(x, at.x >>> 2);
    view.set(constant, at.constant >>> 2);
    let to = at.weights >>> 2;
    for (let j = 0; j < k; j++) {
      const ownBias = (at.bias >>> 2) + j * padded(d);
      view.fill(0, ownBias + d, ownBias + padded(d));
      view.set(bias.subarray(j * d, (j + 1) * d), ownBias);
      for (const { from, width, rows } of panels)
        for (let p = 0; p < rows; p++)
          for (let i = from; i < from + width; i++)
            view[to++] = i < d && p <= i ? weights[(p * k + j) * d + i] : 0;
    }
    calls.logDensity(at.x, x.length / d, d, at.weights, at.bias, at.constant, k, at.out, at.work);
    out.set(view.subarray(at.out >>> 2, (at.out >>> 2) + out.length));
  };
}

/** The panels of a triangular matrix: their first column, width and rows. */
function panelsOf(d: number): { from: number; width: number; rows: number }[] {
  return Array.from({ length: Math.ceil(d / PANEL) }, (_, q) => {
    const from = q * PANEL;
    const width = Math.min(PANEL, padded(d) - from);
    return { from, width, rows: Math.min(d, from + width) };
  });
}
