import type { RowDensities } from '../description/densities.ts';
import type { Centres } from '../description/distances.ts';
import type { Mixture } from '../mixture.ts';
import { centreWidth } from '../statistics.ts';
import { asGaussian } from './columns.ts';
import { CLOSED } from './components.ts';
import { type Densities, withConstant } from './estep.ts';
import { type Background, logBackground } from './noise.ts';

/** What log densities of a mixture are computed by. `centres`: those from which distances of its clusters are measured. */
export function densitiesOf(
  mixture: Mixture,
  centres: Centres,
  { scale, byMixture }: { scale: Float64Array; byMixture: boolean },
): RowDensities {
  const { d, kinds } = mixture;
  const discrete = kinds?.categories.flatMap(({ columns }) => columns) ?? [];
  const normalizer = ((d - discrete.length) / 2) * Math.log(2 * Math.PI);
  if (byMixture) return { offset: outputOffset(d - discrete.length, scale) };
  return gaussiansOf(mixture, centres, normalizer);
}

/**
 * What log densities in `continuous` of the columns have beside the mixture's outputs, which are of y = x/scale, and without what all components have in
 * common.
 */
export const outputOffset = (continuous: number, scale: Float64Array): number =>
  (-continuous / 2) * Math.log(2 * Math.PI) - scale.reduce((sum, one) => sum + Math.log(one), 0);

/** The densities of a mixture of continuous columns, with its background, if there is one, as the last component. */
export const backgroundLast = (
  densities: Densities,
  background: Background | undefined,
  scale: Float64Array,
): Densities =>
  background
    ? withConstant(densities, logBackground(background) - outputOffset(scale.length, scale))
    : densities;

function gaussiansOf(
  { k, d, covariance, weights, means, covariances, kinds }: Mixture,
  centres: Centres,
  normalizer: number,
) {
  const width = centreWidth(d, covariance);
  const diagonal = Array.from({ length: d }, (_, i) => (covariance === 'full' ? (i * (i + 3)) / 2 : i));
  const values = centres.values.slice();
  const apart = [
    ...(kinds?.categories.flatMap(({ columns }) => columns) ?? []),
    ...(kinds?.spikes.map(({ column }) => column) ?? []),
  ];
  const constants = Float64Array.from({ length: k }, (_, c) => {
    const own = asGaussian(kinds, { mean: means[c], covariance: covariances[c] }, covariance);
    // Distances have other Gaussians for these columns, which are independent of all others.
    for (const i of apart) {
      values[c * width + i] = own.mean[i];
      values[c * width + d + diagonal[i]] =
        1 / Math.sqrt(own.covariance[covariance === 'full' ? i * (d + 1) : i]);
    }
    const root = diagonal.reduce((sum, place) => sum + Math.log(values[c * width + d + place]), 0);
    return Math.max(CLOSED, Math.log(weights[c]) + own.constant + root - normalizer);
  });
  return { constants, centres: { ...centres, values } };
}
