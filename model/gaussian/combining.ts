import { errorFunction, probit } from 'simple-statistics';
import { logSum, logSumOf } from '../log-sum.ts';
import type { ComponentPair } from './neighbour-pairs.ts';
import type { SimulatedRows } from './simulated-rows.ts';

/**
 * Clusters of any shape as groups of a mixture's components (combining components: Hennig 2010; Baudry et al. 2010). A mixture fits a ring
 * with many Gaussians, and predicts a valley of density between neighbours that the rows do not show; between two Gaussian clusters the
 * valley is there. Components are joined where the rows between them refute it (docs/algorithm.md, section 8). The burden of proof is with the
 * join, but where tails are too light for Gaussians (kurtosis.ts).
 */

/** What the rows between two components say of the valley. */
export interface PairEvidence {
  a: number;
  b: number;
  /** Squared distance of the means, by the mean covariance of the two. */
  length: number;
  /** The deepest drop of the two components' density below the line between its values at the means, in nats. */
  valley: number;
  /** Rows between the means. */
  rows: number;
  /** log-likelihood of these without a valley (log density linear between the means) minus that of the mixture, with its mean and variance for rows of the mixture. */
  nats: number;
  mean: number;
  variance: number;
  /** Nats that the mixture's valley has from having been fitted to the rows that it is tested on. */
  fitted: number;
}

/** Bins of the histogram between two means. */
export const BINS_BETWEEN = 200;

/** The histogram [BINS_BETWEEN] of each pair's rows between the two means along its axis, of simulated rows of k components. */
export function histogramsOf(
  { rows, labels }: SimulatedRows,
  k: number,
  pairs: readonly ComponentPair[],
): Float64Array[] {
  const own = Array.from({ length: k + 1 }, (): number[] => []);
  for (const [row, label] of labels.entries()) own[label].push(row);
  return pairs.map(({ a, b, axis, from, length }) => {
    const histogram = new Float64Array(BINS_BETWEEN);
    const d = axis.length;
    for (const component of [a, b])
      for (const row of own[component]) {
        let at = -from;
        for (let i = 0; i < d; i++) at += axis[i] * rows[row * d + i];
        const bin = Math.floor((at / length) * BINS_BETWEEN);
        if (bin >= 0 && bin < BINS_BETWEEN) histogram[bin]++;
      }
    return histogram;
  });
}

/** As many simulated rows have the density of the two components alone: where there are few, that is what the mixture predicts. */
const SMOOTHING = 10;

/**
 * Evidence of a pair, from the histogram [BINS_BETWEEN] of its rows between the two means along its axis, and that of simulated rows: of the rows that are
 * likeliest in one of the two some are of other components, and some of theirs are missing.
 */
export function pairEvidence(
  { a, b, axis, length, sd, weight }: ComponentPair,
  histogram: ArrayLike<number>,
  simulated: ArrayLike<number> = new Float64Array(BINS_BETWEEN),
): PairEvidence {
  const [s0, s1] = [sd[0] / length, sd[1] / length];
  const density = (t: number) =>
    logSum(Math.log(weight[0] / s0) - (t / s0) ** 2 / 2, Math.log(weight[1] / s1) - ((t - 1) / s1) ** 2 / 2);
  const [first, last] = [density(0), density(1)];
  const at = Array.from({ length: BINS_BETWEEN }, (_, bin) => (bin + 0.5) / BINS_BETWEEN);
  const mixture = at.map(density);
  const line = at.map((t) => first + (last - first) * t);
  const [mixtureSum, lineSum] = [logSumOf(mixture), logSumOf(line)];
  const drawn = Array.from(simulated).reduce((sum, count) => sum + count, SMOOTHING);
  let [valley, rows, nats, mean, square] = [0, 0, 0, 0, 0];
  for (let bin = 0; bin < BINS_BETWEEN; bin++) {
    const log = mixture[bin] - mixtureSum;
    const gain = line[bin] - lineSum - log;
    const p = (simulated[bin] + SMOOTHING * Math.exp(log)) / drawn;
    valley = Math.max(valley, line[bin] - mixture[bin]);
    rows += histogram[bin];
    nats += histogram[bin] * gain;
    mean += p * gain;
    square += p * gain * gain;
  }
  const variance = rows * (square - mean * mean) * (1 + rows / drawn);
  return { a, b, length, valley, rows, nats, mean: rows * mean, variance, fitted: fittedNats(axis.length) };
}

/** Rows between two means below which nothing is known of the pair. */
const LEAST_ROWS = 3;
/** A valley that is so shallow is none, and can neither be there nor be refuted. */
const LEAST_VALLEY = 0.05;
/** Valleys of this depth, in nats, may be artefacts or not: how many are, the data's pairs tell. */
const [SHALLOW, DEEP] = [0.3, 2];
/**
 * Half a nat for each parameter that fits a valley to the rows that it is tested on (Akaike 1974): the D − 1 of the axis along which the components are
 * farthest apart, and three of the place, depth and width along it. For rows of rings and of Gaussians, the mean of nats is 1 to 2 lower than for other
 * rows of the same in 2 columns, 3 to 8 in ten, 5 to 9 in 20.
 */
const fittedNats = (d: number) => (d + 2) / 2;
/** Standard deviations beyond which any of so many tests is by chance in 1 % (Bonferroni). */
const sureOf = (tests: number) => probit(1 - 0.01 / Math.max(1, tests));
/** Standard deviation of z for rows of a mixture that is fitted to them, .6 to .85: to be counted on where a group has many pairs, as gains of few are not normal. */
const SD_FITTED = 0.8;
/** Standard deviations for the tails of a group: ½ %, as they are one test more. */
const SURE_OF_TAILS = 2.58;
/** Squared distance from which two components may be pieces side by side. Between means that nearly coincide, as those of a narrow cluster in a wide one, there is nothing. */
const LEAST_LENGTH = 2;
/** Odds of 20 to 1, in nats: by so much the rows confirm a valley, and by so much an earlier decision stands, lest clusters flip between joined and apart as rows come. */
const CONFIRMED = Math.log(20);
/** For groups of so many components valleys and tails are one test, with these nats and two standard deviations, which are .9 for rows of the mixture. So many neighbours in a row are more often a curve than by chance. */
const [MANY, MANY_NATS, MANY_SURE] = [4, Math.log(100), 1.8];

/** What else is known of k components. */
export interface OfComponents {
  /** By how many standard errors the tails of each are lighter than the mixture predicts, 0 where that is not known. */
  lightness?: ArrayLike<number>;
  /** The cluster that each was in before, -1 where it was in none. */
  before?: ArrayLike<number> | undefined;
}

/**
 * The group of each of k components, numbered in their order. Joined are
 * - two components whose valley is refuted by the rows between them;
 * - the many small pieces of a curve, which have too few rows between each two, where their valleys are refuted together: candidates by the odds that a
 *   valley of the data is an artefact, and of these each connected group, or parts of it;
 * - components with no confirmed valley between them where their tails are lighter than those of Gaussians: what is no Gaussian has no claim to be a
 *   cluster because a Gaussian fits it, so there the burden of proof is with the valley.
 */
export function combinedComponents(
  k: number,
  all: readonly PairEvidence[],
  { lightness = new Float64Array(k), before }: OfComponents = {},
): Int32Array {
  const pairs = all.filter(({ rows }) => rows >= LEAST_ROWS);
  const odds = artefactOdds(pairs);
  const earlier = (own: readonly PairEvidence[]) => (before ? earlierNats(own, before) : 0);
  const tested = pairs.filter(({ valley }) => valley >= LEAST_VALLEY);
  // That a pair was apart counts once, in the test.
  const least = (pair: PairEvidence) => -pair.fitted - Math.max(0, earlier([pair])) - odds;
  const candidates = tested.filter((pair) => pair.nats > least(pair));
  const sure = sureOf(tested.length);
  const joined = candidates.filter((pair) => isRefuted([pair], earlier([pair]), sure));
  joined.push(...refutedTogether(k, candidates, earlier, least, sure));
  for (const own of groupsOf(k, candidates))
    if (areMany(own, lightness, earlier(own), least)) joined.push(...own);
  for (const own of groupsOf(k, unconfirmedPairs(pairs, before))) {
    const known = earlier(own);
    if (areLight(own, lightness, known) || areMany(own, lightness, known, () => leastUnconfirmed(known)))
      joined.push(...own);
  }
  return connected(k, joined);
}

/** The pairs that may be joined, whatever the mixture predicts of them. */
export const openPairs = (pairs: readonly PairEvidence[], before?: ArrayLike<number>) =>
  pairs.filter((pair) => {
    const most = Math.max(CONFIRMED, pair.fitted + logOdds(MOST_ARTEFACTS));
    return (
      pair.rows >= LEAST_ROWS && pair.nats + most + Math.max(0, before ? earlierNats([pair], before) : 0) > 0
    );
  });

/** The pairs between which rows do not confirm a valley. */
export const unconfirmedPairs = (pairs: readonly PairEvidence[], before?: ArrayLike<number>) =>
  pairs.filter(
    (pair) =>
      pair.rows >= LEAST_ROWS &&
      pair.length >= LEAST_LENGTH &&
      pair.nats > leastUnconfirmed(before ? earlierNats([pair], before) : 0),
  );
const leastUnconfirmed = (earlier: number) => -CONFIRMED - Math.max(0, earlier);

/**
 * Candidates that are refuted together: groups grow from the pair with most nats down (single linkage), and of those that are refuted the largest count, so
 * that a curve is one however many doubtful pairs lead away from it. A part of a connected group is chosen among many, and has to be as sure as a pair alone.
 */
function refutedTogether(
  k: number,
  candidates: readonly PairEvidence[],
  earlier: (own: readonly PairEvidence[]) => number,
  least: (pair: PairEvidence) => number,
  sure: number,
): PairEvidence[] {
  const sureOfAll = sureOf(groupsOf(k, candidates).filter((own) => own.length > 1).length);
  const groups = Array.from({ length: k }, (_, i) => ({
    members: new Set([i]),
    refuted: [] as PairEvidence[],
  }));
  for (const { a, b } of [...candidates].sort((p, q) => q.nats + q.fitted - p.nats - p.fitted)) {
    if (groups[a] === groups[b]) continue;
    const members = new Set([...groups[a].members, ...groups[b].members]);
    const within = candidates.filter((pair) => members.has(pair.a) && members.has(pair.b));
    const isAll = candidates.every((pair) => members.has(pair.a) === members.has(pair.b));
    const needed = isAll ? sureOfAll * (within.length < MANY ? 1 : SD_FITTED) : sure;
    const isOne = within.length > 1 && isRefuted(within, earlier(within), needed, least);
    const union = { members, refuted: isOne ? within : [...groups[a].refuted, ...groups[b].refuted] };
    for (const component of members) groups[component] = union;
  }
  return [...new Set(groups)].flatMap(({ refuted }) => refuted);
}

/** What these pairs' earlier clusters say of joining them, in nats: against where any was apart, for where all that are known were together. */
function earlierNats(pairs: readonly PairEvidence[], before: ArrayLike<number>): number {
  const known = pairs.filter(({ a, b }) => before[a] >= 0 && before[b] >= 0);
  if (!known.length) return 0;
  return known.every(({ a, b }) => before[a] === before[b]) ? CONFIRMED : -CONFIRMED;
}

/** Log odds that a valley of middling depth is an artefact: a share of the pairs, by EM. */
function artefactOdds(pairs: readonly PairEvidence[]): number {
  const unsure = pairs.filter(({ valley }) => valley >= SHALLOW && valley < DEEP);
  let odds = 0;
  if (!unsure.length) return odds;
  for (let step = 0; step < 100; step++) {
    const expected = unsure.reduce(
      (sum, { nats, fitted }) => sum + 1 / (1 + Math.exp(-clamped(nats + fitted, 50) - odds)),
      0,
    );
    const share = (expected + 0.5) / (unsure.length + 1);
    odds = logOdds(Math.min(MOST_ARTEFACTS, Math.max(1 - MOST_ARTEFACTS, share)));
  }
  return odds;
}
/** The share of valleys that are artefacts, at most, and that are not. */
const MOST_ARTEFACTS = 0.95;
const logOdds = (share: number) => Math.log(share / (1 - share));
const clamped = (value: number, most: number) => Math.max(-most, Math.min(most, value));

/**
 * Are the rows between these pairs, together and with `earlier` nats, likelier without valleys, and more so than chance makes them under the mixture?
 * `least`: the nats beyond which a pair was chosen.
 */
function isRefuted(
  pairs: readonly PairEvidence[],
  earlier: number,
  sure: number,
  least?: (pair: PairEvidence) => number,
): boolean {
  const { nats, z } = together(pairs, earlier, least);
  return nats > 0 && z > sure;
}

/** Nats of these pairs, with what fitting took, and the standard deviations by which they are more than the mixture predicts of pairs that were so chosen. */
function together(
  pairs: readonly PairEvidence[],
  earlier: number,
  least: (pair: PairEvidence) => number = () => -Infinity,
): { nats: number; z: number } {
  const sum = (of: (pair: PairEvidence) => number) => pairs.reduce((total, pair) => total + of(pair), 0);
  const nats = sum((pair) => pair.nats) + earlier;
  const chosen = new Map(pairs.map((pair) => [pair, beyond(pair, least(pair))]));
  const variance = sum((pair) => chosen.get(pair)!.variance);
  return {
    nats: nats + sum(({ fitted }) => fitted),
    z: (nats - sum((pair) => chosen.get(pair)!.mean)) / Math.sqrt(variance),
  };
}

/** Mean and variance of a normal distribution beyond `least`. */
function beyond({ mean, variance }: { mean: number; variance: number }, least: number) {
  const sd = Math.sqrt(variance);
  const a = (least - mean) / sd;
  if (!(a > -LARGE)) return { mean, variance };
  const rate = hazard(a);
  return { mean: mean + sd * rate, variance: variance * (1 + a * rate - rate * rate) };
}
const LARGE = 8;

/** φ(a)/(1 − Φ(a)) of the standard normal distribution; of large a by Laplace's continued fraction. */
function hazard(a: number): number {
  if (a < 2) return (Math.sqrt(2 / Math.PI) * Math.exp((-a * a) / 2)) / (1 - errorFunction(a / Math.SQRT2));
  let rate = a;
  for (let i = 60; i > 0; i--) rate = a + i / rate;
  return rate;
}

/** Standard errors by which the tails of the components of these pairs, together, are lighter than the mixture predicts. */
function lightnessOf(pairs: readonly PairEvidence[], lightness: ArrayLike<number>) {
  const own = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))];
  const light = own.reduce((sum, component) => sum + lightness[component], 0) / Math.sqrt(own.length);
  return { components: own.length, light };
}

/** Have components with these pairs between them too light tails for Gaussians? */
const areLight = (pairs: readonly PairEvidence[], lightness: ArrayLike<number>, earlier: number): boolean =>
  lightnessOf(pairs, lightness).light > Math.sqrt(Math.max(0, SURE_OF_TAILS ** 2 - 2 * earlier));

/** Are these many components, whose tails and valleys together say that they are one shape? */
function areMany(
  pairs: readonly PairEvidence[],
  lightness: ArrayLike<number>,
  earlier: number,
  least: (pair: PairEvidence) => number,
): boolean {
  const { components, light } = lightnessOf(pairs, lightness);
  const { nats, z } = together(pairs, earlier, least);
  return components >= MANY && nats > MANY_NATS && (z + light) / Math.SQRT2 > MANY_SURE;
}

/** These pairs by the connected group of components that they are in. */
function groupsOf(k: number, pairs: readonly PairEvidence[]): PairEvidence[][] {
  const groups = connected(k, pairs);
  const own = new Map<number, PairEvidence[]>();
  for (const pair of pairs) {
    const group = groups[pair.a];
    own.set(group, [...(own.get(group) ?? []), pair]);
  }
  return [...own.values()];
}

/** The connected components of a graph of k nodes, numbered in the order of their first. */
function connected(k: number, edges: readonly { a: number; b: number }[]): Int32Array {
  const root = Int32Array.from({ length: k }, (_, i) => i);
  const find = (i: number): number => (root[i] === i ? i : (root[i] = find(root[i])));
  for (const { a, b } of edges) {
    const [p, q] = [find(a), find(b)];
    root[Math.max(p, q)] = Math.min(p, q);
  }
  const numbers = new Map<number, number>();
  return root.map((_, i) => {
    const own = find(i);
    if (!numbers.has(own)) numbers.set(own, numbers.size);
    return numbers.get(own)!;
  });
}
