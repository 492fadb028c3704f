import { behind, instantiate } from './compiled.ts';

/**
 * Log-densities of k components by whitening, out [n,k] from x [n,d], weights [d,k·d], bias [k·d] and constants [k]: the
 * sums over whitened coordinates in float64.
 */
export type DensityKernel = (
  x: Float32Array,
  weights: Float32Array,
  bias: Float32Array,
  constant: Float32Array,
  out: Float32Array,
) => void;

/** Rows that are whitened at a time, as in assembly/density.ts. */
const BLOCK = 64;

export function densityKernel(): DensityKernel {
  const { calls, start, buffer, room } = instantiate<'logDensity'>();
  return (x, weights, bias, constant, out) => {
    const columns = bias.length;
    const wide = (columns + 3) & ~3;
    const k = constant.length;
    const d = columns / k;
    let top = start;
    const place = (floats: number) => {
      const at = top;
      top = behind(at, 4 * floats);
      return at;
    };
    const at = {
      x: place(x.length),
      weights: place(d * wide),
      bias: place(wide),
      constant: place(k),
      out: place(out.length),
      work: place(BLOCK * wide),
    };
    room(top);
    const view = new Float32Array(buffer());
    view.set(x, at.x >> 2);
    view.fill(0, at.weights >> 2, (at.bias >> 2) + wide);
    for (let i = 0; i < d; i++)
      view.set(weights.subarray(i * columns, (i + 1) * columns), (at.weights >> 2) + i * wide);
    view.set(bias, at.bias >> 2);
    view.set(constant, at.constant >> 2);
    calls.logDensity(at.x, x.length / d, d, at.weights, at.bias, wide, at.constant, k, at.out, at.work);
    out.set(view.subarray(at.out >> 2, (at.out >> 2) + out.length));
  };
}
