import { fromRaw, type Transform } from '../../../data/transform.ts';
import {
  BINS_BETWEEN,
  combinedComponents,
  histogramsOf,
  openPairs,
  pairEvidence,
  unconfirmedPairs,
} from '../../../model/gaussian/combining.ts';
import { groupsFrom } from '../../../model/gaussian/components.ts';
import { eStepOf, mostLikely } from '../../../model/gaussian/estep.ts';
import { lightness, predictedMoments, sumOfSquares } from '../../../model/gaussian/kurtosis.ts';
import { type ComponentPair, neighbourPairs } from '../../../model/gaussian/neighbour-pairs.ts';
import { type SimulatedRows, simulateRows } from '../../../model/gaussian/simulated-rows.ts';
import { HALF_RANGE } from '../../../model/gaussian/splits.ts';
import { diagonalOf, matrixOfDiagonal, whitener } from '../../../model/linalg.ts';
import { generator } from '../../../model/random.ts';
import { labelsByMixture, type State } from '../../../model/state.ts';
import { type Axis, byCluster, ofClusters } from '../../../tasks/cells/ask.ts';
import { publishEStep } from '../publish.ts';
import { runBy, type TrainingRun } from '../run-context.ts';
import { isJoinedLast, withNoiseApart } from './background.ts';
import { joinedComponents } from './merge.ts';

/** Once training has ended: which components of the mixture are pieces of one cluster, by the rows of the sample between them. */

/** Counts of a round, at most. */
const MOST_COUNTS = 1 << 21;

/** The clusters of a stream before an update. */
export interface EarlierClusters {
  /** The rows of the sample as they are in the file. */
  rows: Float32Array;
  /** The cluster that each was in, −1 of a new one. */
  of: Int32Array;
}

/** The component of each row, as it is in the file, of a state that labels by the mixture. */
export const componentsOfRows = (
  transform: Transform,
  { mixture }: Pick<State, 'mixture'>,
  rows: Float32Array,
): Int32Array => mostLikely(eStepOf(mixture, transform.scale, 'cholesky'), fromRaw(transform, rows));

/** The cluster that most of the rows of each of k components were in, −1 where there is none. */
function clustersBefore(k: number, components: Int32Array, of: Int32Array): Int32Array {
  const rows = Array.from({ length: k }, () => new Map<number, number>());
  for (const [row, component] of components.entries()) {
    const own = rows[component];
    if (of[row] >= 0) own.set(of[row], (own.get(of[row]) ?? 0) + 1);
  }
  return Int32Array.from(rows, (own) => {
    const known = [...own.values()].reduce((a, b) => a + b, 0);
    return [...own].find(([, count]) => 2 * count > known)?.[0] ?? -1;
  });
}

/**
 * The state with the cluster of each component, and the background of rows that are in none. Where labels are not by a mixture of continuous columns it
 * stays as it is; where the number of clusters was asked for, components are joined only if that waits for a background.
 */
export async function withClusters(
  run: TrainingRun,
  given: State,
  earlier?: EarlierClusters,
): Promise<State> {
  const { config } = run;
  const { clusters } = config;
  const state = await withNoiseApart(run, given);
  const { mixture, background } = state;
  const others = background ? 1 : 0;
  const byRows = runBy(run, true);
  if (clusters !== null && mixture.k > clusters && isJoinedLast(run, state)) {
    publishEStep(run, mixture, 'cholesky', background);
    return { ...state, groups: groupsFrom(await joinedComponents(byRows, state, clusters, others))! };
  }
  const applies =
    config.shapes === 'auto' &&
    clusters === null &&
    labelsByMixture(config.schedule, state) &&
    !mixture.kinds &&
    mixture.k > 1;
  if (!applies) return state;
  publishEStep(run, mixture, 'cholesky', background);
  const pairs = neighbourPairs(mixture);
  const histograms = await rowsBetween(byRows, mixture.k, others, pairs);
  const before =
    earlier && clustersBefore(mixture.k, componentsOfRows(run.transform, state, earlier.rows), earlier.of);
  const unsure = componentsOf(
    openPairs(
      pairs.map((pair, i) => pairEvidence(pair, histograms[i])),
      before,
    ),
  );
  if (!unsure.length) return state;
  const rng = generator(config.seed, 'simulated');
  const simulated = simulateRows(mixture, pairs, unsure, rng, background ? { background } : {});
  const predicted = histogramsOf(simulated, mixture.k, pairs);
  const evidence = pairs.map((pair, i) => pairEvidence(pair, histograms[i], predicted[i]));
  const unconfirmed = componentsOf(unconfirmedPairs(evidence, before));
  const lightness = await lightnessOf(byRows, state, unconfirmed, simulated);
  const groups = groupsFrom(combinedComponents(mixture.k, evidence, { lightness, before }));
  return groups ? { ...state, groups } : state;
}

const componentsOf = (pairs: readonly { a: number; b: number }[]): number[] => [
  ...new Set(pairs.flatMap(({ a, b }) => [a, b])),
];

/** By how many standard errors the tails of these components are lighter than the mixture predicts, 0 of all others. */
async function lightnessOf(
  { rounds }: TrainingRun,
  { mixture, background }: State,
  components: number[],
  simulated: SimulatedRows,
): Promise<Float64Array> {
  const out = new Float64Array(mixture.k);
  if (!components.length) return out;
  const { d, covariance, means, covariances } = mixture;
  const partition = ofClusters(components, mixture.k + (background ? 1 : 0));
  const inverses = components.map((component) => whitener(covariances[component], d, covariance));
  const centres = components.map((component) => means[component]);
  const [statistics] = await rounds.cellStatistics([partition], [], [centres]);
  const whitening = centres.map((centre, leaf) => {
    const inverse = inverses[leaf];
    return { centre, inverse: covariance === 'diag' ? matrixOfDiagonal(inverse) : inverse };
  });
  const fourth = await rounds.cellFourthMoments(partition, [], whitening);
  const predicted = predictedMoments(mixture, simulated);
  for (const [leaf, component] of components.entries()) {
    const rows = statistics[leaf][0];
    const own = {
      rows,
      second: sumOfSquares(statistics[leaf], centres[leaf], inverses[leaf], covariance) / rows,
      fourth: diagonalOf(fourth[leaf], d).reduce((a, b) => a + b, 0) / rows,
    };
    out[component] = lightness(own, predicted[component]);
  }
  return out;
}

/** The histogram of each pair's rows between the two means, in as many rounds as their counts need. Rows of `others` after the k components are in none. */
async function rowsBetween({ rounds, d }: TrainingRun, k: number, others: number, pairs: ComponentPair[]) {
  const histograms = pairs.map(() => new Float64Array(BINS_BETWEEN));
  const most = Math.max(1, Math.floor(MOST_COUNTS / (k * BINS_BETWEEN)));
  /** By component: the numbers of its pairs that are still to be counted. */
  const waiting = Array.from({ length: k }, (): number[] => []);
  for (const [i, { a, b }] of pairs.entries()) for (const own of [a, b]) waiting[own].push(i);
  while (waiting.some((own) => own.length)) {
    const now = waiting.map((own) => own.splice(0, most));
    const perLeaf = Math.max(...now.map((own) => own.length));
    const axes = now.flatMap((own) => Array.from({ length: perLeaf }, (_, i) => axisOf(pairs[own[i]], d)));
    const counts = await rounds.cellHistograms(byCluster(k, others), [], axes, BINS_BETWEEN + 2);
    for (const [leaf, own] of now.entries())
      for (const [i, pair] of own.entries())
        for (let bin = 0; bin < BINS_BETWEEN; bin++)
          histograms[pair][bin] += counts[leaf * perLeaf + i][bin + 1];
  }
  return histograms;
}

/** From one mean to the other, with a bin at each end for what is beyond; any axis where there is no pair. */
const axisOf = (pair: ComponentPair | undefined, d: number): Axis =>
  pair
    ? {
        axis: pair.axis,
        centre: pair.from + pair.length / 2,
        sd: ((pair.length / 2) * (1 + 2 / BINS_BETWEEN)) / HALF_RANGE,
      }
    : { axis: new Float64Array(d), centre: 0, sd: 1 };
