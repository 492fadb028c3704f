import { generator, type Rng } from '../model/random.ts';
import type { Backend } from '../worker/compute/backends/backend.ts';

const [WINDOW_MS, WINDOWS] = [80, 5];

/** Milliseconds of one call of `work`: the mean over a window of time, in the best of some windows. */
export function time(work: () => void): number {
  const window = () => {
    const begun = performance.now();
    let [calls, spent] = [0, 0];
    while ((spent = performance.now() - begun) < WINDOW_MS) {
      work();
      calls++;
    }
    return spent / calls;
  };
  window(); // Compiles it.
  return Math.min(...Array.from({ length: WINDOWS }, window));
}

/** Tensors of standard normals. */
export function factory(backend: Backend, rng: Rng) {
  return (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return backend.upload(
      Float32Array.from({ length: size }, () => rng.normal()),
      shape,
    );
  };
}

export interface Figure {
  name: string;
  value: number;
}

const DIM = 128;
/** Rows, features and clusters of the wide products. */
export const WIDE = { rows: 1280, p: 1 + DIM + (DIM * (DIM + 1)) / 2, clusters: 50 };

/** The E-step's product Φ·Θ and the statistics' Rᵀ·Φ as such, where the second are what a run spends its time on. */
export function wideProducts(backend: Backend): Figure[] {
  const make = factory(backend, generator(3n, 'bench'));
  const { rows, p, clusters } = WIDE;
  const [phi, theta, zero, r] = [make(rows, p), make(p, clusters), make(clusters), make(rows, clusters)];
  // As the device lays it out: on WASM features are columns.
  const x = make(rows, DIM);
  const features = backend.quadraticFeatures(x, false);
  const flop = 2 * rows * p * clusters;
  const figures = [
    ['E-step Φ·Θ', () => backend.affine(phi, theta, zero, false)],
    ['statistics Rᵀ·Φ', () => backend.gram(r, phi)],
    ['E-step from x', () => backend.quadraticForm(x, theta, false)],
    ['statistics from features', () => backend.quadraticMoments(r, features)],
  ] as const;
  const found = figures.map(([name, verb]) => ({
    name,
    value: flop / time(() => backend.free(verb())) / 1e6,
  }));
  backend.free(phi, theta, zero, r, x, features);
  return found;
}
