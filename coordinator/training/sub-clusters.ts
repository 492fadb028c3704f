import { lloydCentres } from '../../model/kmeans.ts';
import { bestThreshold } from '../../model/pca-split.ts';
import type { Parts, State } from '../../model/state.ts';
import { type Covariance, mean } from '../../model/statistics.ts';
import type { Cell } from '../../proto/tasks.ts';
import type { Partition, Rounds } from './rounds.ts';
import type { Run } from './run-context.ts';

/** Ways to find sub-clusters: PCA split, Lloyd refinement, repeated halving. All need only sums over the rows. */

const FEWEST_POINTS = 5;

/** What they are found with. */
type Means = Pick<Run, 'rounds' | 'calculate'>;

/** Collects the vectors that cells refer to by index. */
function vectorTable() {
  const rows: Float64Array[] = [];
  return { rows, add: (row: Float64Array) => rows.push(row) - 1 };
}

/** The same tree with each leaf replaced. */
export function mapLeaves(cell: Cell, leaf: (leaf: number) => Cell): Cell {
  if (typeof cell === 'number') return cell < 0 ? cell : leaf(cell);
  return { ...cell, into: cell.into.map((child) => mapLeaves(child, leaf)) };
}

/**
 * Splits each leaf at the best threshold along its principal axis; returns the statistics of both sides. `T` holds the
 * leaves' statistics. A leaf that cannot be halved keeps all its rows on the first side.
 */
export async function pcaSplit(
  { rounds, calculate }: Means,
  partition: Partition,
  vectors: Float64Array[],
  T: Parts,
  d: number,
  covariance: Covariance,
): Promise<Parts[]> {
  const axes = (await calculate('principalAxes', T, d, covariance)).map(({ axis, mean: centre, sd }) => ({
    axis,
    centre: centre.reduce((sum, value, i) => sum + value * axis[i], 0),
    sd,
  }));
  const histograms = await rounds.cellHistogram(partition, vectors, axes);
  const table = vectorTable();
  for (const row of vectors) table.add(row);
  const sides = T.map((_, leaf): Cell => {
    const { axis, centre, sd } = axes[leaf];
    const at = bestThreshold(histograms[leaf], centre, sd);
    return at === null ? 2 * leaf : { axis: table.add(axis), at, into: [2 * leaf, 2 * leaf + 1] };
  });
  const halves: Partition = {
    groups: partition.groups,
    cells: partition.cells.map((cell) => mapLeaves(cell, (leaf) => sides[leaf])),
    leaves: 2 * T.length,
  };
  const pivots = T.flatMap((t) => [mean(t, d), mean(t, d)]);
  const [statistics] = await rounds.cellStatistics([halves], table.rows, [pivots]);
  return T.map((_, leaf) => [statistics[2 * leaf], statistics[2 * leaf + 1]]);
}

/** Means of two parts; twice the cluster's mean if a part is empty or the cluster too small to halve. */
export function centresOf([a, b]: Parts, d: number, clusterMean: Float64Array): Float64Array[] {
  const isHalved = a[0] > 0 && b[0] > 0 && a[0] + b[0] >= FEWEST_POINTS;
  return isHalved ? [mean(a, d), mean(b, d)] : [clusterMean, clusterMean];
}

export function subCentres({ parts, mixture }: State): Float64Array[][] {
  return parts.map((pair, k) => centresOf(pair, mixture.d, mixture.means[k]));
}

/** The centres in each cluster; none for a cluster that is left out. */
type CentreSets = Float64Array[][];

/** The partition of each cluster's rows by nearest centre; leaves are numbered consecutively over the clusters. */
function nearestPartition(centres: CentreSets, table: { add(row: Float64Array): number }): Partition {
  let leaves = 0;
  const cells = centres.map((own): Cell => {
    if (!own.length) return -1;
    return { near: own.map(table.add), into: own.map(() => leaves++) };
  });
  return { groups: 'net', cells, leaves: Math.max(1, leaves) };
}

/** `count` Lloyd iterations in each cluster, for several sets of centres at once. Returns the moved centres. */
export async function lloyd(rounds: Rounds, sets: CentreSets[], count: number): Promise<CentreSets[]> {
  let current = sets;
  for (let i = 0; i < count; i++) {
    const table = vectorTable();
    const partitions = current.map((centres) => nearestPartition(centres, table));
    const sums = await rounds.cellSums(partitions, table.rows);
    current = current.map((centres, set) => {
      let leaf = 0;
      return centres.map((own) => lloydCentres(sums[set].slice(leaf, (leaf += own.length)), own));
    });
  }
  return current;
}

/** Statistics of each cluster's parts; a row belongs to the part with the nearest centre. */
export async function statisticsByNearest(rounds: Rounds, sets: CentreSets[]): Promise<Parts[][]> {
  const table = vectorTable();
  const partitions = sets.map((centres) => nearestPartition(centres, table));
  const statistics = await rounds.cellStatistics(
    partitions,
    table.rows,
    sets.map((centres) => centres.flat()),
  );
  return sets.map((centres, set) => {
    let leaf = 0;
    return centres.map((own) => statistics[set].slice(leaf, (leaf += own.length)));
  });
}

/**
 * Two sub-clusters of each cluster: its sub-net's hard assignment, refined by `count` Lloyd iterations (0: not refined).
 * If the sub-net puts all rows on one side, the centres `fallback` are used; if these do so too (the cluster has moved
 * since), a PCA split. Otherwise the cluster could not be proposed for a split in this step.
 */
export async function refineSubClusters(
  run: Means,
  count: number,
  fallback: CentreSets,
  covariance: Covariance,
): Promise<{ centres: CentreSets; parts: Parts[] }> {
  const { rounds, calculate } = run;
  const k = fallback.length;
  const bySubNet: Partition = {
    groups: 'sub-net',
    cells: Array.from({ length: 2 * k }, (_, i) => i),
    leaves: 2 * k,
  };
  const [sums] = await rounds.cellSums([bySubNet], []);
  const start = fallback.map((centres, c) => {
    const pair = sums.slice(2 * c, 2 * c + 2);
    return pair.every(({ n }) => n > 0) ? lloydCentres(pair, centres) : centres;
  });
  if (count === 0) {
    const [statistics] = await rounds.cellStatistics([bySubNet], [], [start.flat()]);
    return { centres: start, parts: start.map((_, c) => statistics.slice(2 * c, 2 * c + 2)) };
  }
  const [centres] = await lloyd(rounds, [start], count - 1);
  const [parts] = await statisticsByNearest(rounds, [centres]);
  const totals = await calculate('totals', parts);
  const oneSided = parts.map(([a, b], c) => Math.min(a[0], b[0]) === 0 && totals[c][0] >= FEWEST_POINTS);
  if (!oneSided.includes(true)) return { centres, parts };
  const [halved] = await halveRepeatedly(run, oneSided, totals, 1, centres[0][0].length, covariance);
  const restarts = halved.map((pair) => (pair.length === 2 ? pair : []));
  const [moved] = await lloyd(rounds, [restarts], count - 1);
  const [movedParts] = await statisticsByNearest(rounds, [moved]);
  return {
    centres: centres.map((pair, c) => (moved[c].length ? moved[c] : pair)),
    parts: parts.map((pair, c) => (moved[c].length ? movedParts[c] : pair)),
  };
}

/**
 * Halves each chosen cluster along principal axes, `depth` times in succession. Returns the means of the parts, at most
 * 2^level, after each level from 1 on. `T` holds the clusters' statistics.
 */
export async function halveRepeatedly(
  run: Means,
  chosen: boolean[],
  T: Parts,
  depth: number,
  d: number,
  covariance: Covariance,
): Promise<CentreSets[]> {
  const table = vectorTable();
  let leafOwners = [...chosen.keys()].filter((k) => chosen[k]);
  let cells = chosen.map((take, k): Cell => (take ? leafOwners.indexOf(k) : -1));
  let own = leafOwners.map((k) => T[k]);
  const byDepth: CentreSets[] = [];
  for (let level = 0; level < depth; level++) {
    const partition: Partition = { groups: 'net', cells, leaves: own.length };
    const sides = await pcaSplit(run, partition, table.rows, own, d, covariance);
    const owners: number[] = [];
    const next = sides.map(([a, b], leaf): Cell => {
      const owner = leafOwners[leaf];
      if (!(a[0] > 0 && b[0] > 0)) return owners.push(owner) - 1;
      const into = [owners.push(owner) - 1, owners.push(owner) - 1];
      return { near: [table.add(mean(a, d)), table.add(mean(b, d))], into };
    });
    cells = cells.map((cell) => mapLeaves(cell, (leaf) => next[leaf]));
    const pivots = sides.flatMap(([a, b], leaf) =>
      a[0] > 0 && b[0] > 0 ? [mean(a, d), mean(b, d)] : [mean(own[leaf], d)],
    );
    [own] = await run.rounds.cellStatistics([{ groups: 'net', cells, leaves: owners.length }], table.rows, [
      pivots,
    ]);
    leafOwners = owners;
    byDepth.push(
      chosen.map((_, k) =>
        own.filter((t, leaf) => leafOwners[leaf] === k && t[0] > 0).map((t) => mean(t, d)),
      ),
    );
  }
  return byDepth;
}
