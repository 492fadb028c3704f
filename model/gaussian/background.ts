import {
  minus,
  NotPositiveDefiniteError,
  packedLower,
  rootOf,
  squaredNorm,
  whitened,
  whitener,
} from '../linalg.ts';
import { logSum } from '../log-sum.ts';
import type { Mixture } from '../mixture.ts';
import type { Rng } from '../random.ts';
import { type Covariance, covarianceOf, mean, softStatistics, statisticsLength } from '../statistics.ts';
import type { Background } from './noise.ts';
import { logDensitiesOf } from './soft-split.ts';

/**
 * Noise: rows that are in no cluster (docs/algorithm.md, section 8). A mixture covers them with components where rows are few. Here the least dense
 * of these give way to a background, one density that is the same everywhere, as far as that explains the rows better. Rows are [n,D], in float64.
 */

/** A mixture with a background. */
export interface MixtureInBackground {
  /** The components that are left, by their numbers before. */
  kept: number[];
  mixture: Mixture;
  background: Background;
}

/** The mean and covariance of a component with these statistics of the rows. */
export type Estimate = (T: Float64Array) => Pick<Component, 'mean' | 'covariance'>;

interface Component {
  weight: number;
  mean: Float64Array;
  covariance: Float64Array;
}
/** A component by its number in the mixture. */
type Numbered = Component & { number: number };
/** A mixture, and the moments of the background, which decide where it is. */
interface Fit {
  kept: Numbered[];
  back: Component;
}

/** Nats by which a background has to be more likely than components in its place, less what parameters cost (BIC): strong evidence. */
const NEEDED = 10;
/** Times that components are dropped, and passes of EM after each and at the end. */
const [ROUNDS, PASSES, FINAL_PASSES] = [8, 8, 20];
/** Passes for the weight of a background alone. */
const WEIGHT_PASSES = 8;
/** A background has at most this share when it begins. */
const MOST_WEIGHT = 0.9;
/**
 * How often a row of the background may be nearer to clusters than one that is drawn from it: 1/2 of noise (.50 to .54 in the tests of 45 kinds), .70 to 1 of
 * the tails of heavy-tailed and skewed clusters.
 */
const MOST_NEAR = 0.6;
const DRAWS = 4000;

/**
 * The mixture with a background, null where that does not explain the rows better, is not among most of the clusters, or has the tails of clusters.
 *
 * @param estimate of a component, from statistics of the rows that are here
 */
export function withBackground(
  rows: Float64Array,
  mixture: Mixture,
  estimate: Estimate,
  rng: Rng,
): MixtureInBackground | null {
  const { d, covariance, weights, means, covariances } = mixture;
  const all = means.map((own, number) => ({
    ...{ number, weight: weights[number], mean: own, covariance: covariances[number] },
  }));
  const alive = all.filter(({ weight }) => weight > 0);
  try {
    const fit = fitted(rows, d, covariance, alive, estimate);
    if (!fit) return null;
    const { kept, back } = fit;
    const gain = score(rows, d, covariance, kept, back) - score(rows, d, covariance, alive, null);
    const isSeen = gain > NEEDED && isAmong(kept, back, d, covariance);
    if (!isSeen || nearness(rows, d, covariance, fit, rng) > MOST_NEAR) return null;
    return {
      kept: kept.map(({ number }) => number),
      mixture: {
        ...mixture,
        k: kept.length,
        weights: Float64Array.from(kept, ({ weight }) => weight),
        means: kept.map((own) => own.mean),
        covariances: kept.map((own) => own.covariance),
      },
      background: { weight: back.weight, logDensity: evenDensity(back, d, covariance) },
    };
  } catch (error) {
    // A background of so few rows, or of a mixture so flat, that it has no volume.
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return null;
  }
}

/** The likeliest background, whether it is likelier than none or not; null where two components would not be left. */
function fitted(
  rows: Float64Array,
  d: number,
  covariance: Covariance,
  components: readonly Numbered[],
  estimate: Estimate,
): Fit | null {
  let fit: Fit | null = null;
  for (let round = 0; round < ROUNDS; round++) {
    const start = dropped(rows, d, covariance, fit?.kept ?? components, fit?.back ?? null);
    if (!start) break;
    fit = refined(rows, d, covariance, start, estimate, PASSES);
    if (!fit) return null;
  }
  return fit && refined(rows, d, covariance, fit, estimate, FINAL_PASSES);
}

/** The least dense components dropped into the background, as many as is likeliest while others stay as they are; null where none is. */
function dropped(
  rows: Float64Array,
  d: number,
  covariance: Covariance,
  components: readonly Numbered[],
  back: Component | null,
): Fit | null {
  const density = new Map(components.map((own) => [own, Math.log(own.weight) + logPeak(own, d, covariance)]));
  const order = [...components].sort((a, b) => density.get(a)! - density.get(b)! || a.number - b.number);
  const k = order.length;
  const n = rows.length / d;
  const logs = logDensities(rows, d, order, covariance);
  // Of each row, log of the sum over the components from the j-th on.
  const sums = new Float64Array(n).fill(-Infinity);
  let best: { fit: Fit; score: number; count: number } | null = null;
  for (let count = k - 1; count >= (back ? 0 : 1); count--) {
    for (let i = 0; i < n; i++)
      sums[i] = logSum(sums[i], Math.log(order[count].weight) + logs[i * k + count]);
    if (k - count < 2) continue;
    const given = order.slice(0, count);
    const next = together([...given, ...(back ? [back] : [])], d, covariance);
    const even = evenDensity(next, d, covariance);
    const rest = Math.log(1 - next.weight);
    let weight = Math.min(MOST_WEIGHT, next.weight);
    let total = 0;
    for (let pass = 0; pass < WEIGHT_PASSES; pass++) {
      total = 0;
      let expected = 0;
      for (let i = 0; i < n; i++) {
        const own = Math.log(weight) + even;
        const both = logSum(Math.log(1 - weight) + sums[i] - rest, own);
        total += both;
        expected += Math.exp(own - both);
      }
      weight = expected / n;
    }
    const score = total - cost(k - count + 1, n, d, covariance);
    if (best && score <= best.score) continue;
    const kept = order
      .slice(count)
      .map((own) => ({ ...own, weight: (own.weight * (1 - weight)) / (1 - next.weight) }));
    best = { score, count, fit: { kept, back: { ...next, weight } } };
  }
  return best && best.count > 0 ? best.fit : null;
}

/** After so many passes of EM; components of fewer rows than they need are left out. Null: fewer than two are left, or no background. */
function refined(
  rows: Float64Array,
  d: number,
  covariance: Covariance,
  start: Fit,
  estimate: Estimate,
  passes: number,
): Fit | null {
  const n = rows.length / d;
  let { kept, back } = start;
  for (let pass = 0; pass < passes; pass++) {
    const { r } = eStep(rows, d, covariance, kept, back);
    const T = softStatistics(rows, d, r, kept.length + 1, covariance);
    const own = T.pop()!;
    kept = kept.flatMap((component, c) =>
      T[c][0] > d + 1 ? [{ ...component, weight: T[c][0] / n, ...estimate(T[c]) }] : [],
    );
    if (kept.length < 2 || !(own[0] > d + 1)) return null;
    back = { weight: own[0] / n, mean: mean(own, d), covariance: covarianceOf(own, d, covariance, own[0]) };
  }
  const total = kept.reduce((sum, { weight }) => sum + weight, back.weight);
  return {
    kept: kept.map((own) => ({ ...own, weight: own.weight / total })),
    back: { ...back, weight: back.weight / total },
  };
}

/** Responsibilities [n,K+1] of components and of the background, the last, if there is one; and the log-likelihood. */
function eStep(
  rows: Float64Array,
  d: number,
  covariance: Covariance,
  components: readonly Component[],
  back: Component | null,
): { r: Float64Array; total: number } {
  const k = components.length;
  const m = back ? k + 1 : k;
  const logs = logDensities(rows, d, components, covariance);
  const even = back ? Math.log(back.weight) + evenDensity(back, d, covariance) : 0;
  const weights = components.map(({ weight }) => Math.log(weight));
  const r = new Float64Array((m * rows.length) / d);
  let total = 0;
  for (let i = 0, at = 0; at < r.length; i++, at += m) {
    let most = back ? even : -Infinity;
    for (let c = 0; c < k; c++) most = Math.max(most, (r[at + c] = weights[c] + logs[i * k + c]));
    if (back) r[at + k] = even;
    let sum = 0;
    for (let p = at; p < at + m; p++) sum += r[p] = Math.exp(r[p] - most);
    for (let p = at; p < at + m; p++) r[p] /= sum;
    total += most + Math.log(sum);
  }
  return { r, total };
}

const score = (
  rows: Float64Array,
  d: number,
  covariance: Covariance,
  components: readonly Component[],
  back: Component | null,
): number =>
  eStep(rows, d, covariance, components, back).total -
  cost(components.length + (back ? 1 : 0), rows.length / d, d, covariance);

/** What the parameters of so many components cost (BIC); a background has as many. */
const cost = (k: number, n: number, d: number, covariance: Covariance): number =>
  ((k * statisticsLength(d, covariance) - 1) * Math.log(n)) / 2;

/** Are most components where the background is, in the ellipsoid of evenly spread rows with its covariance? One beside them is a cluster. */
function isAmong(components: readonly Component[], back: Component, d: number, covariance: Covariance) {
  const inverse = whitener(back.covariance, d, covariance);
  const inside = components.filter((own) => squaredNorm(inverse, minus(own.mean, back.mean)) < d + 2);
  return 2 * inside.length > components.length;
}

/**
 * The probability that of a row of the background and one that is drawn from it, that of the data is where components are denser (Mann-Whitney): the
 * tails of clusters are about these, noise is anywhere.
 */
function nearness(rows: Float64Array, d: number, covariance: Covariance, { kept, back }: Fit, rng: Rng) {
  const even = Math.log(back.weight) + evenDensity(back, d, covariance);
  const weights = kept.map(({ weight }) => Math.log(weight));
  const nearest = (of: Float64Array) => {
    const logs = logDensities(of, d, kept, covariance);
    const found: number[] = [];
    for (let at = 0; at < logs.length; at += kept.length) {
      let most = -Infinity;
      for (let c = 0; c < kept.length; c++) most = Math.max(most, weights[c] + logs[at + c]);
      if (most < even) found.push(most);
    }
    return Float64Array.from(found).sort();
  };
  const own = nearest(rows);
  const other = nearest(evenRows(back, d, covariance, DRAWS, rng));
  if (!own.length || !other.length) return 1;
  let [before, pairs] = [0, 0];
  for (const value of own) {
    while (before < other.length && other[before] < value) before++;
    pairs += before;
  }
  return pairs / (own.length * other.length);
}

/** Rows of the ellipsoid in which evenly spread ones have this mean and covariance. */
function evenRows({ mean, covariance }: Component, d: number, form: Covariance, n: number, rng: Rng) {
  const root = rootOf(covariance, d, form);
  const out = new Float64Array(n * d);
  for (let at = 0; at < out.length; at += d) {
    const z = Float64Array.from({ length: d }, () => rng.normal());
    const length = Math.sqrt(z.reduce((sum, value) => sum + value * value, 0));
    const radius = (Math.sqrt(d + 2) * rng.uniform() ** (1 / d)) / length;
    const away = whitened(root, z);
    for (let i = 0; i < d; i++) out[at + i] = mean[i] + radius * away[i];
  }
  return out;
}

/** The weight, mean and covariance of some components together. */
function together(components: readonly Component[], d: number, form: Covariance): Component {
  const weight = components.reduce((sum, own) => sum + own.weight, 0);
  const centre = new Float64Array(d);
  for (const own of components) for (let i = 0; i < d; i++) centre[i] += (own.weight * own.mean[i]) / weight;
  const covariance = new Float64Array(components[0].covariance.length);
  for (const own of components) {
    const away = minus(own.mean, centre);
    for (let p = 0; p < covariance.length; p++) {
      const between = form === 'full' ? away[Math.floor(p / d)] * away[p % d] : away[p] * away[p];
      covariance[p] += (own.weight * (own.covariance[p] + between)) / weight;
    }
  }
  return { weight, mean: centre, covariance };
}

/** log of the density of a Gaussian at its mean. */
function logPeak({ covariance }: Component, d: number, form: Covariance): number {
  const inverse = whitener(covariance, d, form);
  let log = (-d / 2) * Math.log(2 * Math.PI);
  for (let i = 0; i < d; i++) log += Math.log(inverse[form === 'full' ? i * (d + 1) : i]);
  return log;
}

/** log of the density of rows that are spread evenly over an ellipsoid and have this covariance. */
function evenDensity(back: Component, d: number, form: Covariance): number {
  // The volume is that of a ball of radius √(D + 2), times the root of the determinant.
  return logPeak(back, d, form) - (d / 2) * Math.log((d + 2) / 2) + logGammaOfHalf(d + 2);
}

/** log Γ(n/2). */
function logGammaOfHalf(n: number): number {
  let log = n % 2 ? Math.log(Math.PI) / 2 : 0;
  for (let at = n % 2 ? 1 : 2; at < n; at += 2) log += Math.log(at / 2);
  return log;
}

/** log of the density of each row under each component, without its weight: [n,K]. */
const logDensities = (rows: Float64Array, d: number, components: readonly Component[], form: Covariance) =>
  logDensitiesOf(
    rows,
    d,
    components.map((own) => {
      const inverse = whitener(own.covariance, d, form);
      const constant = logPeak(own, d, form);
      return { at: whitened(inverse, own.mean), root: packedLower(inverse, d), constant };
    }),
    form,
  );
