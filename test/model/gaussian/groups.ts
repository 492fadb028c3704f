// Groups of components, from rows and the component that each begins with: EM, the evidence of pairs, and the rule that is tested.
import {
  combinedComponents,
  histogramsOf,
  type PairEvidence,
  pairEvidence,
} from '../../../model/gaussian/combining.ts';
import { lightness, predictedMoments } from '../../../model/gaussian/kurtosis.ts';
import { mStep } from '../../../model/gaussian/mstep.ts';
import { type ComponentPair, neighbourPairs } from '../../../model/gaussian/neighbour-pairs.ts';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { type SimulatedRows, simulateRows } from '../../../model/gaussian/simulated-rows.ts';
import { responsibilities } from '../../../model/gaussian/soft-split.ts';
import { minus, squaredNorm, whitener } from '../../../model/linalg.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { generator } from '../../../model/random.ts';
import { softStatistics } from '../../../model/statistics.ts';

export interface Labelled {
  d: number;
  rows: Float64Array;
  /** The component of each row to begin with. */
  labels: number[];
}

/** The mixture that EM finds from labels, and the labels of that. */
export function fitted({ d, rows, labels }: Labelled, passes = 8): { mixture: Mixture; labels: number[] } {
  const k = Math.max(...labels) + 1;
  const prior = niwPrior({
    mean: new Float64Array(d),
    kappa: 1e-4,
    nu: d + 2,
    psi: Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? 0 : 0.02)),
    covariance: 'full',
    estimate: 'mean',
  });
  let r: Float64Array = Float64Array.from({ length: labels.length * k }, (_, p) =>
    labels[Math.floor(p / k)] === p % k ? 1 : 0,
  );
  let mixture: Mixture;
  for (let pass = 0; ; pass++) {
    mixture = mStep(prior, softStatistics(rows, d, r, k, 'full'), 0);
    const { weights, means, covariances } = mixture;
    const gaussians = means.map((mean, c) => ({ weight: weights[c], mean, covariance: covariances[c] }));
    ({ r } = responsibilities(rows, d, gaussians, 'full'));
    if (pass === passes) break;
  }
  const likeliest = labels.map((_, i) => {
    const own = r.subarray(i * k, (i + 1) * k);
    return own.indexOf(Math.max(...own));
  });
  return { mixture, labels: likeliest };
}

/** Fewer rows than in a run, as there are many tests. */
export const simulatedOf = (mixture: Mixture, pairs: ComponentPair[], seed = '0'): SimulatedRows =>
  simulateRows(mixture, pairs, [...Array(mixture.k).keys()], generator(seed, 'simulated'), { draws: 10_000 });

/** The evidence of pairs of components, from rows and the component of each, and from simulated ones. */
export function evidenceOf(
  pairs: ComponentPair[],
  rows: Float64Array,
  labels: number[],
  simulated: SimulatedRows,
): PairEvidence[] {
  const k = Math.max(...labels, ...pairs.map(({ b }) => b)) + 1;
  const own = histogramsOf({ rows: Float32Array.from(rows), labels: Int32Array.from(labels) }, k, pairs);
  const predicted = histogramsOf(simulated, k, pairs);
  return pairs.map((pair, i) => pairEvidence(pair, own[i], predicted[i]));
}

/** The groups of the components that EM finds from these labels. */
export function groupsOf(data: Labelled, before?: number[]): number[] {
  const { mixture, labels } = fitted(data);
  const pairs = neighbourPairs(mixture);
  const simulated = simulatedOf(mixture, pairs);
  const evidence = evidenceOf(pairs, data.rows, labels, simulated);
  const lightness = lightnessOf(mixture, data.rows, labels, simulated);
  return [...combinedComponents(mixture.k, evidence, { lightness, before })];
}

/** By how many standard errors the tails of each component are lighter than predicted. */
function lightnessOf(
  mixture: Mixture,
  rows: Float64Array,
  labels: number[],
  simulated: SimulatedRows,
): number[] {
  const { k, d, means, covariance, covariances } = mixture;
  const inverses = covariances.map((own) => whitener(own, d, covariance));
  const moments = Array.from({ length: k }, () => ({ rows: 0, second: 0, fourth: 0 }));
  for (const [i, label] of labels.entries()) {
    const square = squaredNorm(inverses[label], minus(rows.subarray(i * d, (i + 1) * d), means[label]));
    moments[label].rows++;
    moments[label].second += square;
    moments[label].fourth += Math.min(square, 4 * d) ** 2;
  }
  return predictedMoments(mixture, simulated).map((predicted, c) => {
    const { rows, second, fourth } = moments[c];
    return lightness({ rows, second: second / rows, fourth: fourth / rows }, predicted);
  });
}
