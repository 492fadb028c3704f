import { MAX_SD, type SyntheticMixture } from './random-mixture.ts';

/** Exceeds the rounding errors of scores. */
const SLACK = 1e-6;
/** Lists of neighbours that are longer are not kept: they would not save time, and K of them much memory. */
const MOST_NEIGHBOURS = 512;

/**
 * Returns a function that gives the most probable cluster of a row under the true parameters, argmax_k log π_k +
 * log N(x; μ_k, Σ_k). `guess`, a likely cluster, only saves time: clusters that are too far from it are not looked at.
 */
export function posteriorMode(truth: SyntheticMixture): (x: Float32Array, guess: number) => number {
  const { dim, weights, means, factors } = truth;
  const constants = weights.map((weight, k) => {
    let constant = Math.log(weight);
    for (let d = 0; d < dim; d++) constant -= Math.log(factors[(k * dim + d) * dim + d]);
    return constant;
  });
  const whitened = new Float64Array(dim);
  const score = (x: Float32Array, k: number, least: number): number => {
    let sum = constants[k];
    for (let d = 0; d < dim && sum > least; d++) {
      const at = (k * dim + d) * dim;
      let residual = x[d] - means[k * dim + d];
      for (let e = 0; e < d; e++) residual -= factors[at + e] * whitened[e];
      whitened[d] = residual / factors[at + d];
      sum -= whitened[d] ** 2 / 2;
    }
    return sum;
  };
  /** Is the score certainly below `least`? No standard deviation exceeds MAX_SD. */
  const isTooFar = (x: Float32Array, k: number, least: number): boolean => {
    const limit = 2 * MAX_SD ** 2 * (constants[k] - least + SLACK);
    let square = 0;
    for (let d = 0; d < dim; d++) {
      square += (x[d] - means[k * dim + d]) ** 2;
      if (square > limit) return true;
    }
    return false;
  };
  const highest = constants.reduce((a, b) => Math.max(a, b));
  const neighbours = neighbourLists(truth);
  return (x, guess) => {
    let mode = guess;
    let best = score(x, guess, Number.NEGATIVE_INFINITY);
    // No cluster further from the guess can win: by the triangle inequality it is too far from x.
    const reach = MAX_SD * Math.sqrt(2 * (highest - best + SLACK));
    const near = neighbours(guess, distance(x, means.subarray(guess * dim, (guess + 1) * dim)) + reach);
    const count = near ? near.length : weights.length;
    for (let i = 0; i < count; i++) {
      const k = near ? near[i] : i;
      if (isTooFar(x, k, best)) continue;
      const other = score(x, k, best);
      if (other > best) [best, mode] = [other, k];
    }
    return mode;
  };
}

/**
 * Returns a function that gives, in ascending order, at least the clusters whose means are within `radius` of cluster k's;
 * null where they are many. Lists are made when they are first needed, somewhat larger than needed.
 */
function neighbourLists({ dim, means, clusters }: SyntheticMixture) {
  const lists: { radius: number; near: Int32Array | null }[] = [];
  const within = (k: number, radius: number): Int32Array | null => {
    const near: number[] = [];
    for (let other = 0; other < clusters; other++) {
      let square = 0;
      for (let d = 0; d < dim && square <= radius ** 2; d++)
        square += (means[other * dim + d] - means[k * dim + d]) ** 2;
      if (square <= radius ** 2) near.push(other);
      if (near.length > MOST_NEIGHBOURS) return null;
    }
    return Int32Array.from(near);
  };
  return (k: number, radius: number): Int32Array | null => {
    const known = lists[k];
    if (known && (known.radius >= radius || !known.near)) return known.near;
    const larger = 1.25 * radius;
    lists[k] = { radius: larger, near: within(k, larger) };
    return lists[k].near;
  };
}

function distance(x: Float32Array, mean: Float64Array): number {
  let square = 0;
  for (let d = 0; d < x.length; d++) square += (x[d] - mean[d]) ** 2;
  return Math.sqrt(square);
}
