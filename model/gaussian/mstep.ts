import type { Mixture } from '../mixture.ts';
import { type Niw, pointEstimate } from './niw.ts';

/** The M-step, which estimates a mixture from soft statistics (docs/algorithm.md, sections 3 and 5). */

/** The mixture estimated from the K statistics `T`, with π_k ∝ n_k/n + smoothing (uniform when all are empty). */
export function mStep(prior: Niw, T: Float64Array[], smoothing: number): Mixture {
  const fits = T.map((t) => pointEstimate(prior, t));
  return {
    k: T.length,
    d: prior.d,
    covariance: prior.covariance,
    weights: mixtureWeights(
      T.map((t) => t[0]),
      smoothing,
    ),
    means: fits.map((fit) => fit.mean),
    covariances: fits.map((fit) => fit.covariance),
    ...(prior.kinds && { kinds: prior.kinds }),
  };
}

function mixtureWeights(counts: number[], smoothing: number): Float64Array {
  const n = counts.reduce((sum, c) => sum + c, 0);
  const smoothed = counts.map((c) => (n > 0 ? c / n : 1) + smoothing);
  const total = smoothed.reduce((sum, w) => sum + w, 0);
  return Float64Array.from(smoothed, (w) => w / total);
}
