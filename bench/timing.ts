import { generator, type Rng } from '../model/random.ts';
import type { Backend } from '../worker/compute/backends/backend.ts';

const [WINDOW_MS, WINDOWS] = [80, 5];

/** Milliseconds per call: the mean over a time window, in the best of several windows. */
export function millisecondsOf(call: () => void): number {
  const window = () => {
    const begun = performance.now();
    let [calls, spent] = [0, 0];
    while ((spent = performance.now() - begun) < WINDOW_MS) {
      call();
      calls++;
    }
    return spent / calls;
  };
  window(); // Warm-up: lets V8 compile it.
  return Math.min(...Array.from({ length: WINDOWS }, window));
}

/** A function that uploads tensors of standard normals. */
export function normalTensors(backend: Backend, rng: Rng) {
  return (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return backend.upload(
      Float32Array.from({ length: size }, () => rng.normal()),
      shape,
    );
  };
}

export interface Measurement {
  name: string;
  value: number;
}

const DIM = 128;
/** Rows, features and clusters of the wide products. */
export const WIDE_SHAPE = { rows: 1280, p: 1 + DIM + (DIM * (DIM + 1)) / 2, clusters: 50 };

/** GFLOP/s of the product Φ·Θ of the E-step and Rᵀ·Φ of the statistics, each as a plain product and as a run computes it. */
export function wideProducts(backend: Backend): Measurement[] {
  const make = normalTensors(backend, generator(3n, 'bench'));
  const { rows, p, clusters } = WIDE_SHAPE;
  const [phi, theta, zero, r] = [make(rows, p), make(p, clusters), make(clusters), make(rows, clusters)];
  // Laid out by the backend: on WASM, features are columns.
  const x = make(rows, DIM);
  const features = backend.quadraticFeatures(x, false);
  const flop = 2 * rows * p * clusters;
  const operations = [
    ['E-step Φ·Θ', () => backend.affine(phi, theta, zero, false)],
    ['statistics Rᵀ·Φ', () => backend.gram(r, phi)],
    ['E-step from x', () => backend.quadraticForm(x, theta, false)],
    ['statistics from features', () => backend.quadraticMoments(r, features)],
  ] as const;
  const measurements = operations.map(([name, run]) => ({
    name,
    value: flop / millisecondsOf(() => backend.free(run())) / 1e6,
  }));
  backend.free(phi, theta, zero, r, x, features);
  return measurements;
}
