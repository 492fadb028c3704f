import { mean as average, sampleStandardDeviation } from 'simple-statistics';
import { concat } from '../../../model/arrays.ts';
import { movedKinds } from '../../../model/gaussian/columns.ts';
import { CLOSE } from '../../../model/gaussian/evidence-for-k.ts';
import { nearestCentre } from '../../../model/gaussian/kmeans.ts';
import {
  learnsNu,
  logMarginal,
  type Niw,
  pointEstimate,
  priorOfClusters,
} from '../../../model/gaussian/niw.ts';
import { singleClusterGain } from '../../../model/gaussian/single-cluster.ts';
import {
  bestSoftSplit,
  type PriorOf,
  ratioOf,
  regrown,
  responsibilities,
  rowsAt,
  type SoftParts,
  type SoftSplit,
  softSplitFromAbove,
  splitFurther,
} from '../../../model/gaussian/soft-split.ts';
import { discriminantRule } from '../../../model/gaussian/splits.ts';
import { minus, moveToMean, rootOf, whitened } from '../../../model/linalg.ts';
import { generator, type Rng } from '../../../model/random.ts';
import { MOST_LABELLED_BY_MIXTURE, type State } from '../../../model/state.ts';
import {
  mean,
  scaleStatistics,
  shift,
  softStatistics,
  statisticsLength,
  totalOfRows,
} from '../../../model/statistics.ts';
import { type Tensors, take } from '../../../proto/tensors.ts';
import { shardSizes } from '../../rounds/sums.ts';
import { totalOf } from '../halves.ts';
import { relearnedPrior } from '../prior.ts';
import type { TrainingRun } from '../run-context.ts';
import { mergeTempering, tempering } from '../sample.ts';
import { emitProposal } from '../step.ts';
import type { Search } from './shapes.ts';
import type { Split } from './sub-clusters.ts';

/**
 * Splits and merges of clusters that overlap, by soft statistics (docs/algorithm.md, sections 6 and 7): computed here, on rows of the sample that the
 * workers send once, as EM takes hundreds of passes over a few of them.
 */

/** Rows that are sent; more where there are so many clusters that each would have fewer than 100. */
const MOST_ROWS = 50_000;
const ROWS_PER_CLUSTER = 100;
/** Rows of a cluster to which single-cluster models are fitted: of half of 5,000 rows with heavy tails the gain is off by a hundred nats. */
const ROWS_OF_MODEL = 20_000;
/** Rows for a first look; and what a gain has to be beyond theirs, in nats a row: four standard errors of so few, where it varies by a nat from row to row. */
const ROWS_OF_LOOK = 2000;
const FAR = 4 / Math.sqrt(ROWS_OF_LOOK);
/** Rows by which all clusters are looked at together, for each half of one. */
const ROWS_PER_HALF = 400;

/** Rows of the clusters of a state. */
export interface ClusterRows {
  /** Those of each cluster, [n,D]. */
  of: Float64Array[];
  /** How many rows of the sample each stands for. */
  every: number;
  /** In how much doubt the rows of each cluster are, in nats. */
  doubt: Float64Array;
  /** Nats by which the best single-cluster model of a cluster's rows exceeds its Gaussian. Fitted when first asked for, as that takes long. */
  singleGain(k: number): number;
  /** Does a single-cluster model gain as much? */
  isExplained(k: number, gain: number): boolean;
}

export type ClusterRowsOf = (run: TrainingRun, state: State) => Promise<ClusterRows>;

/** Overlap is looked at where the mixture labels rows, and with a schedule that has further proposals. */
export const looksAtOverlap = ({ d, schedule }: Pick<TrainingRun, 'd' | 'schedule'>): boolean =>
  schedule.furtherProposals && d <= MOST_LABELLED_BY_MIXTURE;

/**
 * Asks for the rows of the sample once, and each time for labels that are drawn by the mixture of the state `e-step`: cut off where neighbours begin, no
 * cluster would look like a Gaussian.
 */
export function clusterRowsSource(): ClusterRowsOf {
  let last: { below: number; every: number; rows: Float32Array[] } | null = null;
  return async (run, state) => {
    const { dispatcher, layout, d } = run;
    const { epoch, sample } = state;
    const { k } = state.mixture;
    const every = Math.ceil(sample.rows / Math.max(MOST_ROWS, ROWS_PER_CLUSTER * k));
    const shards = shardSizes(layout);
    const isKnown = last?.below === sample.below && last.every === every;
    const results = await dispatcher.round({
      tasks: [
        { task: 'sample-labels', every, byMixture: true, draw: epoch },
        ...(isKnown ? [] : [{ task: 'sample-rows' as const, every }]),
      ],
      units: shards.map((_, shard) => ({ shard, from: 0, to: 0 })),
      sampled: shards,
    });
    const sentRows = ([, tensors]: Tensors[]) => take(tensors, 'rows', 'float32');
    if (!isKnown) last = { below: sample.below, every, rows: results.map(({ tasks }) => sentRows(tasks)) };
    const counts = new Int32Array(k);
    const labels = results.map(({ tasks: [tensors] }) => tensors.labels.data);
    const doubts = results.map(({ tasks: [tensors] }) => take(tensors, 'doubt', 'float64'));
    const doubt = Float64Array.from(counts, (_, cluster) =>
      doubts.reduce((sum, ofShard) => sum + ofShard[cluster], 0),
    );
    for (const ofShard of labels) for (const label of ofShard) counts[label]++;
    const of = Array.from(counts, (count) => new Float64Array(count * d));
    counts.fill(0);
    for (const [shard, ofShard] of labels.entries())
      for (const [i, label] of ofShard.entries())
        of[label].set(last!.rows[shard].subarray(i * d, (i + 1) * d), d * counts[label]++);
    const gains = new Map<number, number>();
    const rowsOf = (cluster: number) => judged(run, state, { of, every }, [cluster]);
    const singleGain = (cluster: number) => {
      if (!gains.has(cluster)) gains.set(cluster, gainOfSingle(rowsOf(cluster)));
      return gains.get(cluster)!;
    };
    const isExplained = (cluster: number, gain: number) => {
      const isQuick = !gains.has(cluster) && counts[cluster] > 2 * ROWS_OF_LOOK;
      const isFar =
        isQuick && gain > gainOfSingle(rowsOf(cluster), ROWS_OF_LOOK) + FAR * every * counts[cluster];
      return !isFar && gain <= singleGain(cluster);
    };
    return { of, every, doubt, singleGain, isExplained };
  };
}

/** The rows of some clusters about their mean, and how these are judged. */
interface Judged {
  rows: Float64Array;
  centre: Float64Array;
  /** The run's; but where these are all clusters, and it is learned, that which they yield. */
  priorOf: PriorOf;
  /** ζ for the rows that are here. */
  zeta: number;
}

function judged(
  run: TrainingRun,
  state: State,
  { of, every }: Pick<ClusterRows, 'of' | 'every'>,
  clusters: readonly number[],
): Judged {
  const { config, covariance, d } = run;
  const rows = concat(
    clusters.map((k) => of[k]),
    Float64Array,
  );
  const centre = moveToMean(rows, d);
  const { kinds } = state.prior;
  const moved = kinds && { kinds: movedKinds(kinds, centre) };
  const about = (own: Niw): Niw => ({ ...own, mean: minus(own.mean, centre), ...moved });
  const fixed = about(state.prior);
  const isLearned = config.priorScaleChoice === 'learned' && clusters.length === state.mixture.k;
  const priorOf: PriorOf = (T) =>
    isLearned && T.length ? priorOfClusters(fixed, config.priorScale, T, covariance) : fixed;
  return { rows, centre, priorOf, zeta: Math.min(1, every * tempering(run, state)) };
}

/** At most so many of n rows, evenly. */
const everyRow = (n: number, most: number): number[] =>
  Array.from({ length: Math.min(n, most) }, (_, i) => Math.floor((i * n) / Math.min(n, most)));

/** What the best single-cluster model gains over a Gaussian, from at most so many rows. */
function gainOfSingle({ rows, priorOf, zeta }: Judged, most = ROWS_OF_MODEL): number {
  const prior = priorOf([]);
  const { d } = prior;
  const n = rows.length / d;
  const some = rowsAt(rows, d, everyRow(n, most));
  return singleClusterGain(some, prior, zeta * n);
}

/** Why a split is refused that gains less than a single-cluster model. */
export const ANOTHER_SHAPE = 'one cluster of another shape is as likely';

/** Is it learned how alike the clusters' covariances are? */
export const sharesCovariances = ({ config, prior }: TrainingRun): boolean =>
  config.priorScaleChoice === 'learned' && learnsNu(prior);

/**
 * What clusters gain, in evidence, by a prior that is learned from them anew; null where it is the same for all. Where ν is learned, splits are
 * judged by it: under that of larger clusters, parts are too small.
 */
function relearnedGain(run: TrainingRun, state: State): ((clusters: Float64Array[]) => number) | null {
  const { prior } = state;
  if (!sharesCovariances(run) || state.mixture.k === 1) return null;
  const zeta = tempering(run, state);
  return (clusters) => {
    const own = relearnedPrior(run, state, clusters);
    return clusters.reduce((sum, T) => {
      const t = scaleStatistics(T, zeta);
      return sum + logMarginal(own, t) - logMarginal(prior, t);
    }, 0);
  };
}

/**
 * Fills `splits` of clusters that have none with those into parts that overlap, where these gain more than a single-cluster model; if none does,
 * one of all clusters into other Gaussians may stand in place of all. Is there one?
 */
export function splitOverlapping(
  run: TrainingRun,
  state: State,
  clusterRows: ClusterRows,
  splits: (Split | null)[],
  { chosen, isMany }: Pick<Search, 'chosen' | 'isMany'>,
): boolean {
  const { d, config, seed } = run;
  const { covariance, alpha } = config;
  const clusters = state.parts.map(totalOf);
  const relearned = relearnedGain(run, state);
  const before = relearned?.(clusters);
  const gainOfPrior = (parts: Float64Array[], k: number) =>
    relearned ? relearned(clusters.flatMap((T, l) => (l === k ? parts : [T]))) - before! : 0;
  let isAny = false;
  const halves: Float64Array[][] = clusters.map(() => []);
  for (const [k, split] of splits.entries()) {
    if (split) continue;
    const drawn = judged(run, state, clusterRows, [k]);
    const rng = generator(seed, 'soft-split', state.epoch, k);
    let best = chosen[k] ? bestSoftSplit(drawn.rows, drawn.priorOf, alpha, drawn.zeta, rng) : null;
    if (chosen[k] && state.mixture.k === 1) {
      const isExplained = (gain: number) => clusterRows.isExplained(k, gain);
      if (best) best = beyondSingleCluster(drawn, best, isExplained, alpha, rng);
      // Eight parts of a grid of a hundred clusters say no more than that it is a square.
      // Micro-clusters of one exact value in a column would be too flat.
      if (!state.prior.kinds && (!best || best.logRatio <= CLOSE || isExplained(best.logRatio))) {
        const draws = generator(seed, 'split-from-above', state.epoch);
        const above = softSplitFromAbove(drawn.rows, drawn.priorOf, alpha, drawn.zeta, draws);
        if (above && above.logRatio > (best?.logRatio ?? 0)) best = above;
      }
    }
    const parts = (best?.T ?? [totalOfRows(drawn.rows, d, covariance)]).map((t) =>
      shift(scaleStatistics(t, clusterRows.every), d, covariance, drawn.centre),
    );
    halves[k] = parts;
    if (!best) continue;
    // The best of so many starts may gain as much by the choice alone. Fitting single-cluster models takes long, and does not matter where that refuses it by far.
    const logRatio = best.logRatio + gainOfPrior(parts, k);
    let needed = logRatio > -CLOSE ? Math.max(CLOSE, clusterRows.singleGain(k)) : CLOSE;
    if (logRatio > needed) needed = Math.max(needed, chanceGain(drawn, logRatio, alpha, rng));
    const accepted = logRatio > needed;
    emitProposal(run, 'split', state, {
      clusters: [k],
      points: parts.map(([n]) => n),
      logRatio,
      needed,
      accepted,
      reason: accepted ? 'its parts overlap' : needed > CLOSE ? ANOTHER_SHAPE : undefined,
    });
    if (!accepted) continue;
    isAny = true;
    splits[k] = { parts, rule: discriminantRule(state.prior, parts), logRatio };
  }
  if (isAny || splits.some(Boolean) || state.prior.leastKappa) return isAny;
  // Of many, those that share no rows with others stay as they are; so do all of an update if none has changed.
  if (run.unchanged?.every(Boolean)) return false;
  const shared = [...splits.keys()].filter((k) => !(isMany || run.unchanged) || clusterRows.doubt[k] > CLOSE);
  const all = shared.length < 3 ? null : regrowth(run, state, clusterRows, shared, halves);
  if (all) splits.splice(0, splits.length, all);
  return all !== null;
}

/**
 * The split, or one into more parts where it gains less than a single-cluster model: of many clusters with unlike covariances, all rows
 * together have heavy tails, which two Gaussians describe less well.
 */
function beyondSingleCluster(
  { rows, priorOf, zeta }: Judged,
  split: SoftSplit,
  isExplained: (gain: number) => boolean,
  alpha: number,
  rng: Rng,
): SoftSplit {
  let best = split;
  while (best.logRatio > CLOSE && isExplained(best.logRatio)) {
    const next = splitFurther(rows, best, priorOf, alpha, zeta, rng);
    if (!next || next.logRatio < best.logRatio + CLOSE) break;
    best = next;
  }
  return best;
}

/** How many Gaussians are drawn; only the first, if the split gains more than that by so many standard deviations. */
const [DRAWS, FAR_BEYOND] = [5, 6];

/**
 * What the same search gains by chance on as many rows of a single Gaussian, by a parametric bootstrap (McLachlan 1987): the mean and three standard
 * deviations of it; 0 where `logRatio` is far beyond. For 300 rows of 20 columns, where clusters share their covariances, it is 40 nats. Before it is
 * measured, its standard deviation is taken for that of half of a χ² with as many degrees of freedom as a cluster has numbers.
 */
function chanceGain({ rows, priorOf, zeta }: Judged, logRatio: number, alpha: number, rng: Rng): number {
  const prior = priorOf([]);
  const { d, covariance, kinds } = prior;
  if (kinds) return 0;
  const { covariance: own } = pointEstimate(prior, totalOfRows(rows, d, covariance));
  const root = rootOf(own, d, covariance);
  const far = FAR_BEYOND * Math.sqrt((statisticsLength(d, covariance) - 1) / 2);
  const gains: number[] = [];
  while (gains.length < DRAWS) {
    const drawn = new Float64Array(rows.length);
    for (let at = 0; at < drawn.length; at += d) {
      const z = Float64Array.from({ length: d }, () => rng.normal());
      drawn.set(whitened(root, z), at);
    }
    gains.push(bestSoftSplit(drawn, priorOf, alpha, zeta, rng)?.logRatio ?? 0);
    if (gains[0] + far < logRatio) return 0;
  }
  return average(gains) + 3 * sampleStandardDeviation(gains);
}

/**
 * A new mixture for several clusters at once, by EM from the halves of all of them: where clusters divide one true component among them, splitting
 * a single one gains nothing. It has to gain more than single-cluster models of all these clusters do.
 */
function regrowth(
  run: TrainingRun,
  state: State,
  clusterRows: ClusterRows,
  clusters: number[],
  halvesOf: Float64Array[][],
): Split | null {
  const { d, config } = run;
  const { covariance, alpha } = config;
  const { means } = state.mixture;
  const all = judged(run, state, clusterRows, clusters);
  const n = all.rows.length / d;
  const halves = clusters.flatMap((k) => halvesOf[k]);
  const some = rowsAt(all.rows, d, everyRow(n, ROWS_PER_HALF * halves.length));
  const share = some.length / all.rows.length;
  const back = minus(new Float64Array(d), all.centre);
  const start = halves.map((t) => shift(scaleStatistics(t, share / clusterRows.every), d, covariance, back));
  const found = regrown(some, start, all.priorOf, alpha);
  // Where rows go by the net, the same number of clusters is no reason to give that up: EM lets one that is no Gaussian take rows of all.
  if (!found || (!run.byMixture && !state.overlaps && found.T.length <= clusters.length)) return null;
  const before = partsByMixture(state, { ...all, rows: some }, clusters);
  if (!before) return null;
  const ratio = ({ T, entropy }: Pick<SoftParts, 'T' | 'entropy'>) =>
    ratioOf(
      { T: T.map((t) => scaleStatistics(t, 1 / share)), entropy: entropy / share },
      all.priorOf,
      alpha,
      all.zeta,
    );
  const gain = ratio(found) - ratio(before);
  const needed =
    gain > CLOSE && found.T.length > clusters.length
      ? Math.max(
          CLOSE,
          clusters.reduce((sum, k) => sum + Math.max(0, clusterRows.singleGain(k)), 0),
        )
      : CLOSE;
  if (!(gain > needed)) return null;
  const parts = found.T.map((t) =>
    shift(scaleStatistics(t, clusterRows.every / share), d, covariance, all.centre),
  );
  emitProposal(run, 'split', state, {
    clusters,
    points: parts.map(([rows]) => rows),
    logRatio: gain,
    needed,
    accepted: true,
    reason: 'other clusters have more evidence',
  });
  const own = clusters.map((k) => means[k]);
  const others = [...means.keys()].filter((k) => !clusters.includes(k));
  const next = [...parts, ...others.map((k) => totalOf(state.parts[k]))];
  const nearest = [...parts.map((t) => clusters[nearestCentre(mean(t, d), 0, own, d)]), ...others];
  return { nearest, parts: next, rule: discriminantRule(state.prior, next), logRatio: gain };
}

/** Clusters of these rows, as soft as the mixture has them; null if one has hardly any. */
function partsByMixture(
  { mixture }: State,
  { rows, centre, priorOf }: Judged,
  clusters: readonly number[],
): Pick<SoftParts, 'T' | 'entropy'> | null {
  const { d, covariance, weights, means, covariances } = mixture;
  const gaussians = clusters.map((k) => ({
    weight: weights[k],
    mean: minus(means[k], centre),
    covariance: covariances[k],
  }));
  const { r, entropy } = responsibilities(rows, d, gaussians, covariance, priorOf([]).kinds);
  const T = softStatistics(rows, d, r, clusters.length, covariance);
  return T.some(([n]) => n < 1) ? null : { T, entropy };
}

/**
 * log H of merging two clusters: that of the split of their rows into the two, as soft as the mixture has them, with the other sign. Two that
 * are all have to gain more than a single-cluster model. Unions of more may have any shape, and so more evidence as two.
 */
export function logSoftMergeRatio(
  run: TrainingRun,
  state: State,
  clusterRows: ClusterRows,
  a: number,
  b: number,
): number {
  const both = judged(run, state, clusterRows, [a, b]);
  const parts = partsByMixture(state, both, [a, b]);
  if (!parts) return Infinity;
  const zeta = (both.zeta / tempering(run, state)) * mergeTempering(run, state);
  const gain = ratioOf(parts, both.priorOf, run.config.alpha, zeta);
  return state.mixture.k === 2 ? gainOfSingle(both) - gain : -gain;
}
