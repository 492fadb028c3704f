import { rootOf, whitenedRows } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import type { Rng } from '../random.ts';
import { backgroundLast } from './densities.ts';
import { eStepOf, mostLikely } from './estep.ts';
import type { Background } from './noise.ts';

/**
 * Rows drawn from a mixture: what it predicts of rows that are each in the component where they are likeliest, as neighbours, and a background, cut off
 * some of a component's and have some of theirs in it.
 */
export interface SimulatedRows {
  /** [n,D]. */
  rows: Float32Array;
  /** The likeliest component of each; k is the background. */
  labels: Int32Array;
}

/** Rows of all, and at least so many of each in the mean. */
const [DRAWS, DRAWS_EACH] = [60_000, 300];

/**
 * Rows of which some are likeliest in the components `of`: drawn from these and their neighbours by these pairs, and likeliest in one of its own neighbours each.
 * As many as a share of the `draws` of the whole mixture. O(D²) for a row and each neighbour.
 */
export function simulateRows(
  mixture: Mixture,
  pairs: readonly { a: number; b: number }[],
  of: readonly number[],
  rng: Rng,
  {
    background,
    draws = Math.max(DRAWS, DRAWS_EACH * mixture.k),
  }: { background?: Background; draws?: number } = {},
): SimulatedRows {
  const { k, d, weights, means, covariances, covariance } = mixture;
  const near = Array.from({ length: k }, (_, component) => [component]);
  for (const { a, b } of pairs) {
    near[a].push(b);
    near[b].push(a);
  }
  const from = new Set(of.flatMap((component) => near[component]));
  const counts = Array.from(weights, (weight, component) =>
    from.has(component) ? Math.ceil(weight * draws) : 0,
  );
  const n = counts.reduce((sum, count) => sum + count, 0);
  const out = { rows: new Float32Array(n * d), labels: new Int32Array(n) };
  const origin = new Float64Array(d);
  const unit = new Float64Array(d).fill(1);
  let at = 0;
  for (const component of [...from].sort((a, b) => a - b)) {
    const count = counts[component];
    const standard = new Float64Array(count * d).map(() => rng.normal());
    const away = whitenedRows(standard, origin, rootOf(covariances[component], d, covariance));
    const rows = out.rows.subarray(at * d, (at + count) * d);
    for (let p = 0; p < away.length; p++) rows[p] = means[component][p % d] + away[p];
    const others = near[component];
    const part: Mixture = {
      ...{ k: others.length, d, covariance },
      weights: Float64Array.from(others, (other) => weights[other]),
      means: others.map((other) => means[other]),
      covariances: others.map((other) => covariances[other]),
    };
    const densities = backgroundLast(eStepOf(part, unit, 'cholesky'), background, unit);
    for (const [i, label] of mostLikely(densities, rows).entries())
      out.labels[at + i] = label < others.length ? others[label] : k;
    at += count;
  }
  return out;
}
