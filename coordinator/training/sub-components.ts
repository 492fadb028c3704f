import { whitening } from '../../model/estep.ts';
import { type Niw, pointEstimate } from '../../model/niw.ts';
import type { Parts } from '../../model/state.ts';

/** The two Gaussians of each cluster's parts as the sub-nets' target, in network coordinates: K×D×2D, K×2D and K×2. */
export function subComponents(
  prior: Niw,
  parts: Parts[],
  scale: Float64Array,
): { weights: Float32Array; bias: Float32Array; constant: Float32Array } {
  const { d, covariance } = prior;
  const k = parts.length;
  const weights = new Float32Array(k * d * 2 * d);
  const bias = new Float32Array(k * 2 * d);
  const constant = new Float32Array(k * 2);
  parts.forEach((pair, c) => {
    const n = pair[0][0] + pair[1][0];
    const fits = pair.map((T) => pointEstimate(prior, T));
    const form = whitening(
      {
        k: 2,
        d,
        covariance,
        weights: Float64Array.from(pair, (T) => (n > 0 ? T[0] / n : 0.5)),
        means: fits.map((fit) => fit.mean),
        covariances: fits.map((fit) => fit.covariance),
      },
      scale,
    );
    weights.set(form.weights, c * d * 2 * d);
    bias.set(form.bias, c * 2 * d);
    constant.set(form.constant, c * 2);
  });
  return { weights, bias, constant };
}
