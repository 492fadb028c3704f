/**
 * Linear rules, by which a row belongs to the part j whose w_j·x + b_j is largest: the nearest centre in a metric, or Fisher's
 * discriminant (docs/algorithm.md, section 6).
 */
import { dot, unwhitened, whitened, whitener } from '../linalg.ts';
import type { Niw } from '../niw.ts';
import type { Parts } from '../state.ts';
import { mean, scatter } from '../statistics.ts';

/** Weights w_j (D numbers each) and offsets b_j. */
export interface LinearRule {
  readonly weights: Float64Array[];
  readonly offsets: number[];
}

/**
 * The part whose centre is nearest in the metric of the covariance that `inverse` whitens. `shares`: the parts' shares of the
 * rows, by which the larger of two parts reaches farther.
 */
export function nearestRule(centres: Float64Array[], inverse: Float64Array, shares?: number[]): LinearRule {
  const means = centres.map((centre) => whitened(inverse, centre));
  return {
    weights: means.map((u) => unwhitened(inverse, u)),
    offsets: means.map((u, j) => (shares ? Math.log(shares[j]) : 0) - dot(u, u) / 2),
  };
}

/**
 * Fisher's linear discriminant of the parts that have rows: the most probable part where all have the same covariance, which is
 * estimated from all of them and from the prior's Ψ.
 */
export function discriminantRule(prior: Niw, parts: Parts): LinearRule {
  const { d, covariance } = prior;
  const within = withinCovariance(prior, parts);
  const filled = parts.filter(([n]) => n > 0);
  const total = filled.reduce((sum, [n]) => sum + n, 0);
  return nearestRule(
    filled.map((T) => mean(T, d)),
    whitener(within, d, covariance),
    filled.map(([n]) => n / total),
  );
}

/** The covariance within the parts, with Ψ for as many rows as it counts. */
function withinCovariance({ d, covariance, psi, nu }: Niw, parts: Parts): Float64Array {
  const within = psi.slice();
  let n = nu - d - 1;
  for (const T of parts) {
    const spread = scatter(T, d, covariance);
    for (let p = 0; p < within.length; p++) within[p] += spread[p];
    n += T[0];
  }
  return within.map((value) => value / n);
}

/** An axis from a part to the one that is nearest by the covariance within the parts. */
export interface DiscriminantAxis {
  axis: Float64Array;
  /** The other part. */
  nearest: number;
  /** Half way between their means, along the axis; and how far that is from each of them. */
  centre: number;
  halfway: number;
  /** The standard deviation within the parts along the axis. */
  sd: number;
}

/** Of each of two or more parts with rows, the axis along which Fisher's discriminant separates it from the nearest other. */
export function discriminantAxes(prior: Niw, parts: Parts): DiscriminantAxis[] {
  const { d, covariance } = prior;
  const inverse = whitener(withinCovariance(prior, parts), d, covariance);
  const means = parts.map((T) => whitened(inverse, mean(T, d)));
  return means.map((own, j) => {
    let nearest = -1;
    let least = Infinity;
    for (const [other, u] of means.entries()) {
      const distance = u.reduce((sum, value, i) => sum + (value - own[i]) ** 2, 0);
      if (other === j || distance >= least) continue;
      least = distance;
      nearest = other;
    }
    const towards = means[nearest].map((value, i) => value - own[i]);
    const centre = towards.reduce((sum, value, i) => sum + (value * (own[i] + means[nearest][i])) / 2, 0);
    return { axis: unwhitened(inverse, towards), nearest, centre, halfway: least / 2, sd: Math.sqrt(least) };
  });
}

/** Two parts: below a threshold along an axis, and from it on. */
export function thresholdRule(axis: Float64Array, at: number): LinearRule {
  return { weights: [axis.map(() => 0), axis], offsets: [0, -at] };
}
