import { copyRows, instantiate, padded } from './compiled.ts';

/**
 * Log-densities of k components by whitening: out [n,k] from x [n,d], weights [d,k·d], bias [k·d] and constants [k]. Sums
 * over whitened coordinates are in float64.
 */
export type DensityKernel = (
  x: Float32Array,
  weights: Float32Array,
  bias: Float32Array,
  constant: Float32Array,
  out: Float32Array,
) => void;

/** Rows that are whitened at a time; the same as in assembly/density.ts. */
const BLOCK = 64;

export function densityKernel(): DensityKernel {
  const { calls, buffer, allocate, reset } = instantiate<'logDensity'>();
  return (x, weights, bias, constant, out) => {
    const columns = bias.length;
    const wide = padded(columns);
    const k = constant.length;
    const d = columns / k;
    reset();
    const at = {
      x: allocate(4 * x.length),
      weights: allocate(4 * d * wide),
      bias: allocate(4 * wide),
      constant: allocate(4 * k),
      out: allocate(4 * out.length),
      work: allocate(4 * BLOCK * wide),
    };
    const view = new Float32Array(buffer());
    view.set(x, at.x >>> 2);
    copyRows(weights, d, columns, view, at.weights >>> 2, wide);
    copyRows(bias, 1, columns, view, at.bias >>> 2, wide);
    view.set(constant, at.constant >>> 2);
    calls.logDensity(at.x, x.length / d, d, at.weights, at.bias, wide, at.constant, k, at.out, at.work);
    out.set(view.subarray(at.out >>> 2, (at.out >>> 2) + out.length));
  };
}
