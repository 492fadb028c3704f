/**
 * Clusters of which the sample has too few rows to be found, among the rows of a full pass that no cluster explains (docs/algorithm.md,
 * section 8).
 */
import { type Centres, centresOf, distanceFrom, reachOf } from './description/distances.ts';
import { logSplitRatio, proposable, searchCost } from './gaussian/hastings.ts';
import { squaredDistance } from './gaussian/kmeans.ts';
import { mStep } from './gaussian/mstep.ts';
import { type Niw, pointEstimate } from './gaussian/niw.ts';
import { minus, NotPositiveDefiniteError, whitened, whitener } from './linalg.ts';
import { addRow, addStatistics, scaleStatistics, statisticsLength } from './statistics.ts';

/** Rows that are far from all clusters, n×D, and the clusters that they were labelled with. */
export interface FarRows {
  readonly rows: Float32Array;
  readonly labels: Int32Array;
  /** Which share of all such rows they are, drawn at random. */
  readonly share: number;
}

export interface MissedCluster {
  /** The places of its rows in the far ones. */
  readonly members: readonly number[];
  /** The statistics of all its rows by the labels that they have, estimated from these. */
  readonly parts: readonly { readonly label: number; readonly T: Float64Array }[];
}

/** The statistics of all rows of a missed cluster. */
export const totalOf = (parts: MissedCluster['parts']): Float64Array =>
  parts.map(({ T }) => T).reduce(addStatistics);

/** A group begins with a row and so many others. */
const NEIGHBOURS = 5;
/** Fewer rows are no cluster, but single rows far from all others (MNIST has islands of 9 and 10): two for each column, so that they determine a covariance. */
const fewestRows = (d: number): number => Math.max(25, 2 * d);

/** Groups that have not stopped growing by then are taken as they are. */
const MOST_ROUNDS = 30;

/**
 * The missed clusters, at most `most`. Where rows are densest, in the metric of `within`, are the seeds of groups, which grow until they
 * have all rows within reach of their own Gaussian. A group is a cluster if its evidence exceeds what a search gains and the centre of the
 * cluster that its rows were labelled with, estimated without them, is beyond its reach. A piece of a heavy tail, which goes on to that
 * centre, is not.
 *
 * @param T statistics of each cluster over all rows
 * @param within the covariance within clusters
 */
export function missedClusters(
  { prior, alpha, within }: { prior: Niw; alpha: number; within: Float64Array },
  T: readonly Float64Array[],
  far: FarRows,
  most: number,
): MissedCluster[] {
  const { d, covariance } = prior;
  const n = far.labels.length;
  const reach = reachOf(d);
  const rows = Array.from({ length: n }, (_, i) => Float64Array.from(far.rows.subarray(i * d, (i + 1) * d)));
  const metric = whitener(within, d, covariance);
  const inMetric = rows.map((row) => whitened(metric, row));
  /** Of clusters without the rows of those found. */
  const left = [...T];
  /** Rows of no group yet; of a group that is no cluster; of a cluster. */
  const [FREE, JUDGED, TAKEN] = [0, 1, 2];
  const fates = new Uint8Array(n);
  const found: MissedCluster[] = [];
  const seeds = byDensity(inMetric);
  // What is left of clusters may no longer explain a group once another one is gone.
  for (let before = -1; found.length > before; ) {
    before = found.length;
    for (const i of fates.keys()) if (fates[i] === JUDGED) fates[i] = FREE;
    for (const seed of seeds) if (fates[seed] === FREE && found.length < most) judge(seed);
  }
  return found;

  function judge(seed: number): void {
    fates[seed] = JUDGED;
    const members = grown(seed);
    const parts = partsOf(members);
    const isFound = isCluster(parts);
    for (const i of members) fates[i] = isFound ? TAKEN : JUDGED;
    if (!isFound) return;
    found.push({ members, parts });
    for (const { label, T } of parts) left[label] = minus(left[label], T);
  }

  function grown(seed: number): number[] {
    const free = [...fates.keys()].filter((i) => fates[i] === FREE || i === seed);
    const nearest = new Float64Array(NEIGHBOURS + 1).fill(Infinity);
    const distances = free.map((i) => squaredDistance(inMetric[seed], 0, inMetric[i], d));
    for (const distance of distances) insert(nearest, 0, distance);
    let members = free.filter((_, at) => distances[at] <= nearest[NEIGHBOURS]);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const own = centreOf(statisticsOf(members));
      const next = free.filter((i) => distanceFrom(own, 0, far.rows, i * d) <= reach);
      // In many columns, those of many scattered rows may all be beyond it.
      if (!next.length || (next.length === members.length && next.every((i, at) => i === members[at]))) break;
      members = next;
    }
    return members;
  }

  function partsOf(members: readonly number[]): MissedCluster['parts'] {
    const labels = [...new Set(members.map((i) => far.labels[i]))];
    return labels.map((label) => {
      const own = members.filter((i) => far.labels[i] === label);
      return { label, T: scaleStatistics(statisticsOf(own), 1 / far.share) };
    });
  }

  function isCluster(parts: MissedCluster['parts']): boolean {
    const host = parts.reduce((a, b) => (b.T[0] > a.T[0] ? b : a));
    const rest = minus(left[host.label], host.T);
    const both = [rest, totalOf(parts)];
    if (parts.some(({ label, T }) => T[0] >= left[label][0])) return false;
    if (both[1][0] < fewestRows(d) || !proposable(both, 1)) return false;
    try {
      if (distanceFrom(centreOf(both[1]), 0, pointEstimate(prior, rest).mean) <= reach) return false;
      return logSplitRatio(prior, both, alpha, 1) > searchCost(prior, both, 1);
    } catch (error) {
      if (!(error instanceof NotPositiveDefiniteError)) throw error;
      return false;
    }
  }

  /** The centre of the only cluster of a mixture, that with statistics T. */
  function centreOf(T: Float64Array): Centres {
    return centresOf(mStep(prior, [T], 0));
  }

  function statisticsOf(members: readonly number[]): Float64Array {
    const sum = new Float64Array(statisticsLength(d, covariance));
    for (const i of members) addRow(sum, rows[i], 0, d, covariance);
    return sum;
  }
}

/** Rows by the distance of their NEIGHBOURS-th nearest other row, the nearest first; none where there are too few. */
function byDensity(rows: readonly Float64Array[]): number[] {
  if (rows.length <= NEIGHBOURS) return [];
  const nearest = new Float64Array(rows.length * NEIGHBOURS).fill(Infinity);
  for (const [i, row] of rows.entries())
    for (let j = 0; j < i; j++) {
      const distance = squaredDistance(row, 0, rows[j], row.length);
      insert(nearest, i * NEIGHBOURS, distance, NEIGHBOURS);
      insert(nearest, j * NEIGHBOURS, distance, NEIGHBOURS);
    }
  const spacing = (i: number) => nearest[(i + 1) * NEIGHBOURS - 1];
  return [...rows.keys()].sort((a, b) => spacing(a) - spacing(b) || a - b);
}

/** Puts a value into a list of the least ones, ascending: `count` numbers from place `first` on. */
function insert(list: Float64Array, first: number, value: number, count = list.length): void {
  let at = first + count - 1;
  if (value >= list[at]) return;
  for (; at > first && list[at - 1] > value; at--) list[at] = list[at - 1];
  list[at] = value;
}
