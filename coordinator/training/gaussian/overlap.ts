import { CLOSE } from '../../../model/evidence-for-k.ts';
import { learnedPrior, type Niw } from '../../../model/niw.ts';
import { generator } from '../../../model/random.ts';
import { singleClusterGain } from '../../../model/single-cluster.ts';
import {
  bestSoftSplit,
  type PriorOf,
  ratioOf,
  responsibilities,
  softStatistics,
} from '../../../model/soft-split.ts';
import { discriminantRule } from '../../../model/splits.ts';
import type { State } from '../../../model/state.ts';
import { scaleStatistics, scatter, shift, WIDEST_PHI } from '../../../model/statistics.ts';
import { type Tensors, take } from '../../../proto/tensors.ts';
import { shardSizes } from '../rounds.ts';
import type { Run } from '../run-context.ts';
import { tempering } from '../sample.ts';
import { emitProposal } from '../train.ts';
import type { Split } from './sub-clusters.ts';

/**
 * Splits and merges of clusters that overlap, by soft statistics (docs/algorithm.md, sections 6 and 7): computed here, on rows of the sample that the
 * workers send once, as EM takes hundreds of passes over a few of them.
 */

/** Rows that are sent; more where there are so many clusters that each would have fewer than 100. */
const MOST_ROWS = 50_000;
const ROWS_PER_CLUSTER = 100;
/** Rows of a cluster by which laws of a single cluster are fitted. */
const ROWS_OF_LAW = 4000;

/** The rows of each cluster by the net's labels, [n,D], and how many rows of the sample each stands for. */
export interface ClusterRows {
  of: Float64Array[];
  every: number;
}

export type ClusterRowsOf = (run: Run, state: State) => Promise<ClusterRows>;

/** Overlap is looked at where the sums of φ are cheap, and with a schedule that has further proposals. */
export const looksAtOverlap = ({ d, schedule }: Pick<Run, 'd' | 'schedule'>): boolean =>
  schedule.furtherProposals && d <= WIDEST_PHI;

/** Asks for the rows of the sample once, and for their labels each time. */
export function clusterRowsSource(): ClusterRowsOf {
  let last: { below: number; every: number; rows: Float32Array[] } | null = null;
  return async ({ dispatcher, layout, d, byMixture }, { sample, mixture: { k } }) => {
    const every = Math.ceil(sample.rows / Math.max(MOST_ROWS, ROWS_PER_CLUSTER * k));
    const shards = shardSizes(layout);
    const isKnown = last?.below === sample.below && last.every === every;
    const results = await dispatcher.round({
      tasks: [
        { task: 'sample-labels', every, byMixture },
        ...(isKnown ? [] : [{ task: 'sample-rows' as const, every }]),
      ],
      units: shards.map((_, shard) => ({ shard, from: 0, to: 0 })),
      sampled: shards,
    });
    const rowsOf = ([, found]: Tensors[]) => take(found, 'rows', 'float32');
    if (!isKnown) last = { below: sample.below, every, rows: results.map(({ tasks }) => rowsOf(tasks)) };
    const counts = new Int32Array(k);
    const labels = results.map(({ tasks: [found] }) => found.labels.data);
    for (const own of labels) for (const label of own) counts[label]++;
    const of = Array.from(counts, (count) => new Float64Array(count * d));
    counts.fill(0);
    for (const [shard, own] of labels.entries())
      for (let i = 0; i < own.length; i++)
        of[own[i]].set(last!.rows[shard].subarray(i * d, (i + 1) * d), d * counts[own[i]]++);
    return { of, every };
  };
}

/** The prior by which some of the clusters are judged: the run's, but where they are all, and it is learned, that which they yield. */
function priorOver(
  run: Run,
  { prior, mixture }: State,
  clusters: number,
  centre: Float64Array,
  rows: number,
): PriorOf {
  const about = (own: Niw): Niw => ({ ...own, mean: own.mean.map((value, i) => value - centre[i]) });
  const fixed = about(prior);
  const { config, covariance, d } = run;
  if (config.priorScaleChoice !== 'learned' || clusters < mixture.k) return () => fixed;
  return (T, share) => {
    if (!T.length) return fixed;
    const within = T.map((t) => scatter(t, d, config.covariance)).reduce((a, b) => a.map((v, p) => v + b[p]));
    const covariances = [within.map((value) => value / (rows * share))];
    return about(learnedPrior(prior, config.priorScale, { weights: [1], covariances }, covariance));
  };
}

/** ζ for the rows that are here. */
const temperingOf = (run: Run, state: State, every: number) => Math.min(1, every * tempering(run, state));

function centred(rows: Float64Array, d: number): { rows: Float64Array; centre: Float64Array } {
  const n = rows.length / d;
  const centre = new Float64Array(d);
  for (let p = 0; p < rows.length; p++) centre[p % d] += rows[p] / n;
  return { rows: rows.map((value, p) => value - centre[p % d]), centre };
}

/** Every so many-th row, at most `ROWS_OF_LAW`. */
function someOf(rows: Float64Array, d: number): Float64Array {
  const n = rows.length / d;
  const step = Math.ceil(n / ROWS_OF_LAW);
  if (step === 1) return rows;
  const out = new Float64Array(Math.ceil(n / step) * d);
  for (let i = 0; i * step < n; i++) out.set(rows.subarray(i * step * d, (i * step + 1) * d), i * d);
  return out;
}

/** What a law of a single cluster gains, for rows that count ζ each. */
function singleGain(rows: Float64Array, priorOf: PriorOf, zeta: number): number {
  const prior = priorOf([], 1);
  return singleClusterGain(someOf(rows, prior.d), prior, (zeta * rows.length) / prior.d);
}

/** Why a split is refused that gains less than such a law. */
export const ANOTHER_SHAPE = 'one cluster of another shape is as likely';

/** What it gains for all rows, where there is one cluster. */
export function singleLawGain(run: Run, state: State, { of, every }: ClusterRows): number {
  const { rows, centre } = centred(of[0], run.d);
  return singleGain(
    rows,
    priorOver(run, state, 1, centre, rows.length / run.d),
    temperingOf(run, state, every),
  );
}

/** Fills `splits` of clusters that have none with those into parts that overlap, where these gain more than a law of a single cluster. Is there one? */
export function splitOverlapping(
  run: Run,
  state: State,
  { of, every }: ClusterRows,
  splits: (Split | null)[],
): boolean {
  const { d, config, seed } = run;
  const { covariance, alpha } = config;
  const zeta = temperingOf(run, state, every);
  let isAny = false;
  for (const [k, split] of splits.entries()) {
    if (split) continue;
    const { rows, centre } = centred(of[k], d);
    const priorOf = priorOver(run, state, 1, centre, rows.length / d);
    const rng = generator(seed, 'soft-split', state.epoch, k);
    const found = bestSoftSplit(rows, priorOf, alpha, zeta, rng);
    if (!found) continue;
    // Fitting laws takes long: they do not matter where none would be needed to refuse it, by far.
    const needed = found.logRatio > -CLOSE ? Math.max(0, singleGain(rows, priorOf, zeta)) : 0;
    const accepted = found.logRatio > needed;
    const parts = found.T.map((t) => shift(scaleStatistics(t, every), d, covariance, centre));
    emitProposal(run, 'split', state, {
      clusters: [k],
      points: parts.map(([n]) => n),
      logRatio: found.logRatio,
      needed,
      accepted,
      reason: accepted ? 'its parts overlap' : needed ? ANOTHER_SHAPE : undefined,
    });
    if (!accepted) continue;
    isAny = true;
    splits[k] = { parts, rule: discriminantRule(state.prior, parts), logRatio: found.logRatio };
  }
  return isAny;
}

/**
 * log H of merging two clusters: that of the split of their rows into the two, as soft as the mixture has them, with the other sign. Two that
 * are all have to gain more than a law of a single cluster. Unions of more may have any shape, and so more evidence as two.
 */
export function logSoftMergeRatio(
  run: Run,
  state: State,
  { of, every }: ClusterRows,
  a: number,
  b: number,
): number {
  const { d, config } = run;
  const { weights, means, covariances } = state.mixture;
  const all = new Float64Array(of[a].length + of[b].length);
  all.set(of[a]);
  all.set(of[b], of[a].length);
  const { rows, centre } = centred(all, d);
  const gaussians = [a, b].map((k) => ({
    weight: weights[k],
    mean: means[k].map((value, i) => value - centre[i]),
    covariance: covariances[k],
  }));
  const { r, entropy } = responsibilities(rows, d, gaussians, config.covariance);
  const T = softStatistics(rows, d, r, 2, config.covariance);
  if (T.some(([n]) => n < 1)) return Infinity;
  const priorOf = priorOver(run, state, 2, centre, rows.length / d);
  const zeta = temperingOf(run, state, every);
  const gain = ratioOf({ T, entropy }, priorOf, config.alpha, zeta);
  return state.mixture.k === 2 ? singleGain(rows, priorOf, zeta) - gain : -gain;
}
