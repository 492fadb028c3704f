import { dot, minus, rootOf, unwhitened, whitened, whitener } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';

/** Which components of a mixture are next to each other: the pairs that may be joined to one cluster (combining.ts). */

/** Two components, and the direction that discriminates them: the means are at 0 and `length` along it from `from`. */
export interface ComponentPair {
  a: number;
  b: number;
  axis: Float64Array;
  from: number;
  length: number;
  /** Standard deviations of the two along the axis, and their weights. */
  sd: readonly [number, number];
  weight: readonly [number, number];
}

/** So many of the others, the nearest, are paired with a component. */
const NEAR = 8;
/** What a lower bound of a distance may be above it by rounding, as a share. */
const ROUNDING = 1e-6;

/**
 * The pairs of components of which one is among the nearest of the other, by their discriminant. O(K²D²), and O(D³) for each pair that is near or may be.
 */
export function neighbourPairs(mixture: Mixture): ComponentPair[] {
  const { weights, means, covariances } = mixture;
  const near = nearestOfEach(mixture);
  return near.flatMap((own, a) =>
    [...near.keys()]
      .filter((b) => b > a && (own.has(b) || near[b].has(a)))
      .map((b) => {
        const { axis, distance } = discriminant(mixture, a, b);
        const sd = [spreadAlong(covariances[a], axis), spreadAlong(covariances[b], axis)] as const;
        const weight = [weights[a], weights[b]] as const;
        return { a, b, axis, from: dot(axis, means[a]), length: distance, sd, weight };
      }),
  );
}

/** The nearest others of each component. They are visited in the order of a lower bound of their distances, until it is beyond the nearest so far. */
function nearestOfEach(mixture: Mixture): Set<number>[] {
  const { k } = mixture;
  const bounds = lowerBounds(mixture);
  const known = new Float64Array(k * k);
  const distanceOf = (a: number, b: number) =>
    (known[a * k + b] ||= known[b * k + a] = squaredDistance(mixture, a, b));
  return Array.from({ length: k }, (_, a) => {
    const bound = bounds.subarray(a * k, (a + 1) * k);
    const others = [...bound.keys()].filter((b) => b !== a).sort((p, q) => bound[p] - bound[q]);
    const nearest: { b: number; distance: number }[] = [];
    for (const b of others) {
      const last = nearest.length < NEAR ? Infinity : nearest[NEAR - 1].distance;
      if (bound[b] * (1 - ROUNDING) > last) break;
      const distance = distanceOf(a, b);
      if (!(distance > 0 && distance <= last)) continue;
      nearest.push({ b, distance });
      nearest.sort((p, q) => p.distance - q.distance || p.b - q.b);
      nearest.length = Math.min(nearest.length, NEAR);
    }
    return new Set(nearest.map(({ b }) => b));
  });
}

/**
 * Lower bounds [K,K] of the squared distances δᵀΣ⁻¹δ of components: by Cauchy and Schwarz none is below (vᵀδ)²/vᵀΣv, whatever v is. It is Σ̄⁻¹δ here, Σ̄
 * the mean of all covariances.
 */
function lowerBounds({ k, d, weights, means, covariances, covariance }: Mixture): Float64Array {
  const mean = new Float64Array(covariances[0].length);
  for (const own of covariances) for (let p = 0; p < mean.length; p++) mean[p] += own[p] / k;
  const inverse = whitener(mean, d, covariance);
  const solved = means.map((own) => unwhitened(inverse, whitened(inverse, own)));
  const bounds = new Float64Array(k * k);
  for (let a = 0; a < k; a++)
    for (let b = a + 1; b < k; b++) {
      const v = minus(solved[b], solved[a]);
      const both = weights[a] + weights[b];
      const within =
        weights[a] * varianceAlong(covariances[a], v) + weights[b] * varianceAlong(covariances[b], v);
      const along = dot(v, means[b]) - dot(v, means[a]);
      if (along !== 0) bounds[a * k + b] = bounds[b * k + a] = (both * along * along) / within;
    }
  return bounds;
}

/** The mean covariance of two components, of which only the lower triangle is filled. */
function meanWithin({ d, weights, covariances }: Mixture, a: number, b: number): Float64Array {
  const [first, second] = [covariances[a], covariances[b]];
  const [p, q] = [weights[a], weights[b]];
  const both = p + q;
  const within = new Float64Array(first.length);
  const isDiag = first.length === d;
  for (let i = 0; i < d; i++)
    for (let j = isDiag ? i : i * d; j <= (isDiag ? i : i * d + i); j++)
      within[j] = (p * first[j] + q * second[j]) / both;
  return within;
}

/** δᵀΣ⁻¹δ of two components, δ the difference of their means and Σ their mean covariance: by forward substitution, without an inverse. */
function squaredDistance(mixture: Mixture, a: number, b: number): number {
  const { d, means, covariance } = mixture;
  const within = meanWithin(mixture, a, b);
  const apart = minus(means[b], means[a]);
  let sum = 0;
  if (covariance === 'diag') for (let i = 0; i < d; i++) sum += apart[i] ** 2 / within[i];
  else {
    const l = rootOf(within, d, covariance);
    for (let i = 0; i < d; i++) {
      let u = apart[i];
      for (let j = 0; j < i; j++) u -= l[i * d + j] * apart[j];
      apart[i] = u /= l[i * d + i];
      sum += u * u;
    }
  }
  return sum;
}

/** The axis Σ⁻¹(μ_b − μ_a) of two components, Σ their mean covariance, and the squared distance of their means by Σ. */
function discriminant(mixture: Mixture, a: number, b: number) {
  const { d, means, covariance } = mixture;
  const inverse = whitener(meanWithin(mixture, a, b), d, covariance);
  const apart = minus(means[b], means[a]);
  const axis = unwhitened(inverse, whitened(inverse, apart));
  return { axis, distance: dot(axis, apart) };
}

/** vᵀΣv, by the lower triangle of Σ. */
function varianceAlong(covariance: Float64Array, v: Float64Array): number {
  const d = v.length;
  const isDiag = covariance.length === d;
  let sum = 0;
  for (let i = 0; i < d; i++) {
    let beside = 0;
    if (!isDiag) for (let j = 0, p = i * d; j < i; j++, p++) beside += covariance[p] * v[j];
    sum += v[i] * (2 * beside + v[i] * covariance[isDiag ? i : i * (d + 1)]);
  }
  return sum;
}

function spreadAlong(covariance: Float64Array, axis: Float64Array): number {
  const d = axis.length;
  let sum = 0;
  for (let i = 0; i < d; i++)
    if (covariance.length === d) sum += axis[i] * axis[i] * covariance[i];
    else for (let j = 0; j < d; j++) sum += axis[i] * axis[j] * covariance[i * d + j];
  return Math.sqrt(sum);
}
