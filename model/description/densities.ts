import { centreWidth } from '../statistics.ts';
import { type Centres, MAX_FLOAT32 } from './distances.ts';

/**
 * The log density of rows under the whole mixture, log Σ π_k N(x; μ_k, Σ_k), in nats and in the coordinates x of the mixture. Columns that are
 * not continuous count with the log probability of their values.
 */

/**
 * What log densities are computed by: where the mixture labels rows, what has to be added to the logarithm of the sum of its outputs; where a
 * net does, of each cluster the Gaussian, whose log density is `constants` − ½‖R(x − μ)‖².
 */
export type RowDensities =
  | { readonly offset: number }
  | { readonly constants: Float64Array; readonly centres: Centres };

const bounded = (value: number) => (Number.isNaN(value) ? -MAX_FLOAT32 : Math.max(value, -MAX_FLOAT32));

/** What a cluster's density is below the largest of a row's, in nats, when it adds nothing that float32 would show. */
const NEGLIGIBLE = 25;

/** Log densities of rows by the mixture's outputs, [n,K], and the offset of these. */
export function densitiesByOutputs(outputs: Float32Array, k: number, offset: number): Float32Array {
  return Float32Array.from({ length: outputs.length / k }, (_, i) => {
    const [first, end] = [i * k, (i + 1) * k];
    let most = outputs[first];
    for (let at = first + 1; at < end; at++) if (outputs[at] > most) most = outputs[at];
    let sum = 0;
    for (let at = first; at < end; at++)
      if (outputs[at] > most - NEGLIGIBLE) sum += Math.exp(outputs[at] - most);
    return bounded(most + Math.log(sum) + offset);
  });
}

/** Log densities of rows [n,D] by Gaussians, in float64. `likely`: of each row a cluster that has much of its density, which saves time. */
export function densitiesByGaussians(
  { constants, centres }: { constants: Float64Array; centres: Centres },
  rows: Float32Array,
  likely: ArrayLike<number>,
): Float32Array {
  const { k, d } = centres;
  return Float32Array.from(likely, (nearest, i) => {
    const at = i * d;
    const first = densityFrom(centres, constants[nearest], nearest, rows, at, -Infinity);
    let [most, sum] = [first, 1];
    for (let c = 0; c < k; c++) {
      if (c === nearest) continue;
      const own = densityFrom(centres, constants[c], c, rows, at, most - NEGLIGIBLE);
      if (own > most) [most, sum] = [own, sum * Math.exp(most - own) + 1];
      else if (own > most - NEGLIGIBLE) sum += Math.exp(own - most);
    }
    return bounded(most + Math.log(sum));
  });
}

/** The log density of the row that starts at `at` under one cluster, or some number below `least` if it is below that. */
function densityFrom(
  { d, covariance, values }: Centres,
  constant: number,
  cluster: number,
  rows: Float32Array,
  at: number,
  least: number,
): number {
  const mean = cluster * centreWidth(d, covariance);
  let p = mean + d;
  let density = constant;
  // It only falls, so most clusters are out after a few dimensions.
  for (let i = 0; i < d && density >= least; i++) {
    let u = 0;
    for (let j = covariance === 'full' ? 0 : i; j <= i; j++)
      u += values[p++] * (rows[at + j] - values[mean + j]);
    density -= (u * u) / 2;
  }
  return density;
}
