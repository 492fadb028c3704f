/**
 * Splits of a cluster into parts that overlap, found by EM on its rows and judged by soft statistics (docs/algorithm.md, section 6).
 * Rows are [n,D], in float64.
 */

import { fourSquaredDistances, packedLower, whitened, whitener } from '../linalg.ts';
import { type Rng, shuffledPrefix } from '../random.ts';
import {
  addStatistics,
  type Covariance,
  mean,
  NEGLIGIBLE,
  scaleStatistics,
  softStatistics,
  statisticsLength,
  totalOfRows,
} from '../statistics.ts';
import { asGaussian, type ColumnKinds } from './columns.ts';
import { logMergeRatio, logSplitRatio } from './hastings.ts';
import { chooseByWeight, squaredDistance } from './kmeans.ts';
import { learnsNu, logMarginal, type Niw, pointEstimate } from './niw.ts';
import { alongAxes, alongAxis, byMeans, bySpread, inAllColumns, nonGaussianAxes } from './starts.ts';

/** Rows of a cluster, each in part by several. */
export interface SoftParts {
  /** Statistics of each part, by responsibilities. */
  T: Float64Array[];
  /** Responsibilities, [n,m]. */
  r: Float64Array;
  /** Σ_i H(r_i), in nats. */
  entropy: number;
}

/** Parts, and log H of the split into them. */
export type SoftSplit = SoftParts & { logRatio: number };

/** The prior for clusters with these statistics; without any, that before they are known. */
export type PriorOf = (T: Float64Array[]) => Niw;

/** Rows below which a part is left out: as few as a proposal needs, and of fewer than D + 1 the prior alone knows the covariance. */
const leastRows = (d: number) => Math.max(6, d + 1);
/** Passes of EM over some rows from each start, then from the best of them, and over all rows from the best of these. */
const FIRST_PASSES = 4;
const FURTHER_PASSES = 10;
const FINAL_PASSES = 6;
const KEPT_CANDIDATES = 2;
/** Rows for each part from which a split is found. */
const SEARCH_ROWS = 400;
/** Each number of parts is tried from as many starts as there are clusters of this size in so many rows, up to ten: few rows have many local optima. */
const ROWS_TRIED = 1500;
const MOST_STARTS = 10;
/** Parts of the proposals; those of eight are joined again as far as that gains. */
const PART_COUNTS = [2, 3, 4, 8];
/** Leading axes along which two parts begin. */
const START_AXES = 2;
/** Each part has so many rows on average, and as many as there are columns. */
const ROWS_PER_PART = 10;

/** Below, e to the power is 0 in float64: so it is, of hundreds of parts, for most. */
const LOG_OF_ZERO = -746;

/** log H of splitting rows into these parts: that of hard parts (eq. 8), and the entropy of the assignments, all tempered. */
export function logSoftRatio(
  prior: Niw,
  { T, entropy }: Pick<SoftParts, 'T' | 'entropy'>,
  alpha: number,
  zeta: number,
): number {
  return logSplitRatio(prior, T, alpha, zeta) + zeta * entropy;
}

/** The responsibilities of clusters for rows. */
export function responsibilities(
  rows: Float64Array,
  d: number,
  gaussians: { weight: number; mean: Float64Array; covariance: Float64Array }[],
  covariance: Covariance,
  kinds?: ColumnKinds,
): Pick<SoftParts, 'r' | 'entropy'> {
  const forms = gaussians.map((moments) => {
    const own = asGaussian(kinds, moments, covariance);
    const inverse = whitener(own.covariance, d, covariance);
    let constant = Math.log(moments.weight) + own.constant;
    const step = covariance === 'full' ? d + 1 : 1;
    for (let i = 0; i < d; i++) constant += Math.log(inverse[i * step]);
    return { at: whitened(inverse, own.mean), root: packedLower(inverse, d), constant };
  });
  const r = logDensitiesOf(rows, d, forms, covariance);
  return { r, entropy: normalise(r, gaussians.length) };
}

/** A Gaussian by its whitened mean, packed whitener and log density at the mean. */
interface WhitenedGaussian {
  at: Float64Array;
  root: Float64Array;
  constant: number;
}

/** constant − ½‖root·row − at‖² of each row and Gaussian, [n,m]. */
export function logDensitiesOf(
  rows: Float64Array,
  d: number,
  gaussians: readonly WhitenedGaussian[],
  covariance: Covariance,
): Float64Array {
  const m = gaussians.length;
  const n = rows.length / d;
  const out = new Float64Array(n * m);
  const x = new Float64Array(4 * d);
  const distances = new Float64Array(4);
  for (let i = 0; i < n; i += 4) {
    const here = Math.min(4, n - i);
    for (let q = 0; q < here; q++) for (let a = 0; a < d; a++) x[4 * a + q] = rows[(i + q) * d + a];
    for (const [j, { at, root, constant }] of gaussians.entries()) {
      fourSquaredDistances(root, 0, covariance, at, x, distances);
      for (let q = 0; q < here; q++) out[(i + q) * m + j] = constant - distances[q] / 2;
    }
  }
  return out;
}

/** Makes responsibilities, [n,m], of logarithms; returns Σ_i H(r_i). */
function normalise(r: Float64Array, m: number): number {
  let entropy = 0;
  for (let at = 0; at < r.length; at += m) {
    let most = -Infinity;
    for (let p = at; p < at + m; p++) if (r[p] > most) most = r[p];
    let sum = 0;
    for (let p = at; p < at + m; p++) sum += r[p] = r[p] - most < LOG_OF_ZERO ? 0 : Math.exp(r[p] - most);
    for (let p = at; p < at + m; p++) {
      if (r[p] === 0) continue;
      r[p] /= sum;
      if (r[p] > 0) entropy -= r[p] * Math.log(r[p]);
    }
  }
  return entropy;
}

/**
 * The parts after so many passes of EM, each from the posterior means under the prior; parts of few rows are left out. Null: none is left but one, or
 * the last pass leaves one with few rows, unless `keepsFew`: some of hundreds always have.
 */
function refined(
  rows: Float64Array,
  d: number,
  start: Float64Array[],
  passes: number,
  priorOf: (T: Float64Array[]) => Niw,
  keepsFew = false,
): SoftParts | null {
  const least = leastRows(d);
  let T = start;
  for (let pass = 0; ; pass++) {
    T = T.filter(([n]) => n >= least);
    if (T.length < 2) return null;
    const prior = priorOf(T);
    const total = T.reduce((sum, [n]) => sum + n, 0);
    const gaussians = T.map((t) => ({ weight: t[0] / total, ...pointEstimate(prior, t) }));
    const { r, entropy } = responsibilities(rows, d, gaussians, prior.covariance, prior.kinds);
    T = softStatistics(rows, d, r, T.length, prior.covariance);
    if (pass < passes - 1) continue;
    return keepsFew || T.every(([n]) => n >= least) ? { T, r, entropy } : null;
  }
}

/** The union of some parts: its statistics, and their numbers. */
export interface PartUnion {
  t: Float64Array;
  of: number[];
}

/** A part with the column of responsibilities, and the rows in which these matter; of hundreds of parts, a row is of a few. */
interface Part extends PartUnion {
  j: number;
  rows: number[];
}

/**
 * The parts that are left when those whose union has more evidence are joined, the best first; statistics alone. Candidates are neighbours by their
 * means, and a union has the neighbours of both (a contracted graph of nearest neighbours). Changes responsibilities.
 */
const joined = (prior: Niw, { T, r }: SoftParts, alpha: number): Float64Array[] =>
  unions(prior, T, r, alpha, 1).map(({ t }) => t);

/** The same of parts that share no rows, by their untempered statistics: with the numbers of those of which each is the union. */
export const joinedHard = (prior: Niw, T: Float64Array[], alpha: number, zeta: number): PartUnion[] =>
  unions(prior, T, new Float64Array(0), alpha, zeta);

function unions(prior: Niw, T: Float64Array[], r: Float64Array, alpha: number, zeta: number): Part[] {
  const m = T.length;
  const parts = T.map((t, j): Part => ({ t, of: [j], j, rows: [] }));
  for (let p = 0; p < r.length; p++) if (r[p] >= NEGLIGIBLE) parts[p % m].rows.push(Math.floor(p / m));
  const gainOf = (a: Part, b: Part) => logMergeRatio(prior, a.t, b.t, alpha, zeta) - zeta * overlap(a, b);
  const gains = new Map(parts.map((part) => [part, new Map<Part, number>()]));
  const offer = (a: Part, b: Part) => gains.get(a)!.set(b, gainOf(a, b));
  for (const [i, others] of neighbours(prior, T).entries()) for (const j of others) offer(parts[i], parts[j]);
  for (;;) {
    let best = { gain: 0, a: parts[0], b: parts[0] };
    for (const [a, row] of gains) for (const [b, gain] of row) if (gain > best.gain) best = { gain, a, b };
    const { a, b } = best;
    if (a === b) return [...gains.keys()];
    const near = new Set([...gains.get(a)!.keys(), ...gains.get(b)!.keys()]);
    gains.delete(a);
    gains.delete(b);
    for (const [part, row] of gains) if ([row.delete(a), row.delete(b)].includes(true)) near.add(part);
    const union = { ...b, t: addStatistics(b.t, a.t), of: [...b.of, ...a.of] };
    for (const i of a.rows) {
      if (r[i * m + b.j] < NEGLIGIBLE) union.rows.push(i);
      r[i * m + b.j] += r[i * m + a.j];
    }
    gains.set(union, new Map());
    for (const other of gains.keys()) if (near.has(other)) offer(union, other);
  }

  /** Entropy that the assignments lose if two parts become one. */
  function overlap(a: Part, b: Part): number {
    let sum = 0;
    for (const i of a.rows) {
      const [x, y] = [r[i * m + a.j], r[i * m + b.j]];
      if (y >= NEGLIGIBLE) sum -= x * Math.log(x / (x + y)) + y * Math.log(y / (x + y));
    }
    return sum;
  }
}

/** So many of the nearest parts of each may be joined to it: of eight, all. */
const NEAREST = 7;

/** For each part those before it that are among the nearest of it or it among theirs, by the distances of means in the metric of Ψ. */
function neighbours(prior: Niw, T: Float64Array[]): number[][] {
  if (T.length <= NEAREST + 1) return T.map((_, i) => [...Array(i).keys()]);
  const { d, psi, covariance, kinds } = prior;
  // With columns of other kinds Ψ may be flat.
  const inverse = kinds ? null : whitener(psi, d, covariance);
  const means = T.map((t) => (inverse ? whitened(inverse, mean(t, d)) : mean(t, d)));
  const out = T.map(() => new Set<number>());
  for (const [i, own] of means.entries()) {
    const distances = means.map((other) => squaredDistance(own, 0, other, d));
    const byDistance = [...T.keys()].filter((j) => j !== i).sort((j, l) => distances[j] - distances[l]);
    for (const j of byDistance.slice(0, NEAREST)) out[Math.max(i, j)].add(Math.min(i, j));
  }
  return out.map((of) => [...of].sort((i, j) => i - j));
}

/**
 * The best split of a cluster into parts that overlap, of those that EM finds from several starts, whether it gains or not. Null: there are too few
 * rows, or none stays apart.
 */
export function bestSoftSplit(
  rows: Float64Array,
  priorOf: PriorOf,
  alpha: number,
  zeta: number,
  rng: Rng,
): SoftSplit | null {
  const prior = priorOf([]);
  const { d, covariance } = prior;
  const n = rows.length / d;
  const others = nonGaussianAxes(rows, prior);
  const candidates: Candidate[] = [];
  for (const m of PART_COUNTS) {
    if (n < Math.max(ROWS_PER_PART, d) * m) break;
    const axes = m === 2 && covariance === 'full' ? Math.min(START_AXES, d) : 0;
    const fixed = m === 2 && learnsNu(prior) ? axes + 1 : axes;
    const inAll = Math.max(1, Math.min(MOST_STARTS, Math.round(ROWS_TRIED / n)));
    // In addition, not instead: clusters may differ along Gaussian axes too, as far as a kurtosis tells.
    const starts = fixed + inAll + (others ? Math.ceil(inAll / 2) : 0);
    for (let start = 0; start < starts; start++) {
      const some = rowsAt(rows, d, shuffledPrefix(rng, n, Math.min(n, SEARCH_ROWS * m)));
      const byAxis = () => (start < axes ? alongAxis(some, prior, start) : bySpread(some, prior));
      const isAlong = others && start >= fixed + inAll;
      const byDistance = () => byMeans(isAlong ? alongAxes(some, others) : inAllColumns(some, prior), m, rng);
      const near = start < fixed ? byAxis() : byDistance();
      const T = softStatistics(some, d, near, m, covariance);
      candidates.push(...improved({ some, T, logRatio: 0 }, FIRST_PASSES));
    }
  }
  const byGain = (a: Candidate, b: Candidate) => b.logRatio - a.logRatio;
  candidates.sort(byGain);
  while (candidates.length) {
    const kept: Candidate[] = [];
    while (kept.length < KEPT_CANDIDATES && candidates.length)
      kept.push(...improved(candidates.shift()!, FURTHER_PASSES));
    // Parts of few rows may not stay apart: then the next best go on.
    for (const { some, T } of kept.sort(byGain)) {
      const all = onAllRows(rows, T, rows.length / some.length, priorOf, alpha, zeta);
      if (all) return all;
    }
  }
  return null;

  /** The candidate after so many passes of EM, with parts joined where that gains; none if it has no parts any more. */
  function improved({ some, T }: Candidate, passes: number): Candidate[] {
    const share = some.length / rows.length;
    let found = refined(some, d, T, passes, priorOf);
    if (found && found.T.length > 2)
      found = refined(some, d, joined(priorOf(found.T), found, alpha), 1, priorOf);
    if (!found) return [];
    const scaled = found.T.map((t) => scaleStatistics(t, 1 / share));
    const logRatio = ratioOf({ T: scaled, entropy: found.entropy / share }, priorOf, alpha, zeta);
    return [{ some, T: found.T, logRatio }];
  }
}

/** Micro-clusters at most: five for each of a hundred clusters. Of more, passes of EM take seconds. */
const MOST_MICRO_CLUSTERS = 512;
/**
 * Rows of each on average, and as many as there are columns. Ten find no more, and take twice as long; of so many, 100,000 rows of a grid of a hundred
 * clusters that overlap yield 103 parts, of twice as many 100.
 */
const ROWS_PER_MICRO_CLUSTER = 20;
/** Passes of EM before parts are joined again: four find the same in twice the time. */
const PASSES_BETWEEN = 2;
/** Rows times micro-clusters times numbers of a covariance at most: a second of a core for each pass of EM. */
const MOST_WORK = 2 ** 29;

/**
 * A split into many parts, found from above: k-means cuts some of the rows into micro-clusters (as BIRCH has them: Zhang et al., SIGMOD 1996), and those
 * are joined whose union has more evidence, log H of eq. 8 less the entropy that their assignments lose, under the prior that those left yield, with EM
 * between, until none is joined. A grid of a hundred clusters has no halves to begin with. Whether it gains is for the caller to judge: of one Gaussian,
 * the parts that are left lose hundreds of nats. Null: there are too few rows or too many columns for more parts than `bestSoftSplit` has, or none
 * stays apart.
 */
export function softSplitFromAbove(
  rows: Float64Array,
  priorOf: PriorOf,
  alpha: number,
  zeta: number,
  rng: Rng,
): SoftSplit | null {
  const prior = priorOf([]);
  const { d, covariance } = prior;
  const n = rows.length / d;
  const rowsEach = Math.max(ROWS_PER_MICRO_CLUSTER, d);
  const used = Math.min(n, rowsEach * MOST_MICRO_CLUSTERS);
  const affordable = Math.floor(MOST_WORK / (used * statisticsLength(d, covariance)));
  const m = Math.min(Math.floor(used / rowsEach), affordable);
  if (m < 2 * PART_COUNTS.at(-1)!) return null;
  const some = rowsAt(rows, d, shuffledPrefix(rng, n, used));
  const others = nonGaussianAxes(some, prior);
  const near = byMeans(others ? alongAxes(some, others) : inAllColumns(some, prior), m, rng);
  let T = softStatistics(some, d, near, m, covariance);
  for (;;) {
    const found = refined(some, d, T, PASSES_BETWEEN, priorOf, true);
    if (!found) return null;
    T = joined(priorOf(found.T), found, alpha);
    if (T.length === found.T.length) return onAllRows(rows, T, n / used, priorOf, alpha, zeta);
  }
}

/** A split into more parts than this one: each is split in turn, on rows drawn by responsibilities, and EM goes on from all of them. */
export function splitFurther(
  rows: Float64Array,
  { T, r }: SoftParts,
  priorOf: PriorOf,
  alpha: number,
  zeta: number,
  rng: Rng,
): SoftSplit | null {
  const prior = priorOf(T);
  const { d, covariance } = prior;
  const [n, m] = [rows.length / d, T.length];
  const members: number[][] = T.map(() => []);
  for (let i = 0; i < n; i++) members[chooseByWeight(r.subarray(i * m, (i + 1) * m), rng.uniform())].push(i);
  const parts = members.flatMap((own) => {
    const some = rowsAt(rows, d, own);
    return bestSoftSplit(some, () => prior, alpha, zeta, rng)?.T ?? [totalOfRows(some, d, covariance)];
  });
  const some = rowsAt(rows, d, shuffledPrefix(rng, n, Math.min(n, SEARCH_ROWS * parts.length)));
  const times = rows.length / some.length;
  const start = parts.map((t) => scaleStatistics(t, 1 / times));
  const grown = regrown(some, start, priorOf, alpha);
  return grown && onAllRows(rows, grown.T, times, priorOf, alpha, zeta);
}

/** The split of all rows to which EM leads from parts of some of them; all are `times` as many. */
function onAllRows(
  rows: Float64Array,
  parts: Float64Array[],
  times: number,
  priorOf: PriorOf,
  alpha: number,
  zeta: number,
): SoftSplit | null {
  const start = parts.map((t) => scaleStatistics(t, times));
  const all = refined(rows, priorOf([]).d, start, FINAL_PASSES, priorOf);
  return all && { ...all, logRatio: ratioOf(all, priorOf, alpha, zeta) };
}

/**
 * Other parts of all rows: EM from these, then those are joined whose union has more evidence, then EM again. Null: none stays apart.
 */
export function regrown(
  rows: Float64Array,
  parts: Float64Array[],
  priorOf: PriorOf,
  alpha: number,
): SoftParts | null {
  const { d } = priorOf([]);
  const grown = refined(rows, d, parts, FURTHER_PASSES, priorOf);
  return grown && refined(rows, d, joined(priorOf(grown.T), grown, alpha), FINAL_PASSES, priorOf);
}

/** Parts of some of a cluster's rows, and log H of the cluster's split into such parts. */
interface Candidate {
  some: Float64Array;
  T: Float64Array[];
  logRatio: number;
}

/** log H, where the prior may be another for the parts than for the cluster: where it is learned from this cluster alone. */
export function ratioOf(
  parts: Pick<SoftParts, 'T' | 'entropy'>,
  priorOf: PriorOf,
  alpha: number,
  zeta: number,
): number {
  const all = parts.T.reduce(addStatistics);
  const after = priorOf(parts.T);
  const before = priorOf([all]);
  const change =
    after === before
      ? 0
      : logMarginal(after, scaleStatistics(all, zeta)) - logMarginal(before, scaleStatistics(all, zeta));
  return logSoftRatio(after, parts, alpha, zeta) + change;
}

/** The rows with these indices. */
export function rowsAt(rows: Float64Array, d: number, indices: ArrayLike<number>): Float64Array {
  const out = new Float64Array(indices.length * d);
  for (let i = 0; i < indices.length; i++)
    out.set(rows.subarray(indices[i] * d, (indices[i] + 1) * d), i * d);
  return out;
}
