import { lloydCentres } from '../../../model/kmeans.ts';
import { dot } from '../../../model/linalg.ts';
import type { Niw } from '../../../model/niw.ts';
import { BINS, bestThreshold } from '../../../model/splits/pca-split.ts';
import type { Parts, State } from '../../../model/state.ts';
import { type Covariance, mean } from '../../../model/statistics.ts';
import type { Cell } from '../../../proto/tasks.ts';
import type { Partition } from '../rounds.ts';
import type { Run } from '../run-context.ts';
import {
  type CentreSets,
  lloyd,
  type Means,
  type NearestRules,
  nearestByEuclid,
  nearestParts,
  type Proposal,
  vectorTable,
} from './rules.ts';

/** Ways to find sub-clusters: PCA split, Lloyd refinement, repeated halving. All need only sums over the rows. */

const FEWEST_POINTS = 5;

/** The covariance by which axes and distances are measured; null: the identity. */
export type Metric = Float64Array | null;

/** A learned Ψ, which is about the covariance within clusters; that of a single cluster would make all directions equal. */
export function metricOf({ config }: Pick<Run, 'config'>, prior: Niw, k: number): Metric {
  return config.priorScaleChoice === 'learned' && k > 1 ? prior.psi : null;
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
  metric: Metric = null,
): Promise<Parts[]> {
  const axes = (await calculate('principalAxes', T, d, covariance, metric)).map(
    ({ axis, mean: centre, sd }) => ({
      axis,
      centre: dot(centre, axis),
      sd,
    }),
  );
  const histograms = await rounds.cellHistograms(partition, vectors, axes, BINS);
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
  metric: Metric = null,
): Promise<Proposal> {
  const { rounds, calculate } = run;
  const nearest = nearestBy(run, metric, covariance);
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
    return { rules: start.map(() => null), parts: start.map((_, c) => statistics.slice(2 * c, 2 * c + 2)) };
  }
  const [centres] = await lloyd(rounds, [start], count - 1, nearest);
  const {
    rules: [rules],
    parts: [parts],
  } = await nearestParts(rounds, [centres], nearest);
  const totals = await calculate('totals', parts);
  const oneSided = parts.map(([a, b], c) => Math.min(a[0], b[0]) === 0 && totals[c][0] >= FEWEST_POINTS);
  if (!oneSided.includes(true)) return { rules, parts };
  const halved = await principalHalves(
    run,
    oneSided,
    totals,
    fallback[0][0].length,
    covariance,
    metric,
    count,
  );
  return {
    rules: rules.map((rule, c) => halved.rules[c] ?? rule),
    parts: parts.map((pair, c) => (halved.rules[c] ? halved.parts[c] : pair)),
  };
}

/** Rules by the nearest centre in this metric. */
export function nearestBy({ calculate }: Means, metric: Metric, covariance: Covariance): NearestRules {
  return metric ? (sets) => calculate('nearestRules', sets, metric, covariance) : nearestByEuclid;
}

/** Two sub-clusters of each chosen cluster that can be halved: a PCA split, refined by `count` Lloyd iterations. */
export async function principalHalves(
  run: Means,
  chosen: boolean[],
  T: Parts,
  d: number,
  covariance: Covariance,
  metric: Metric,
  count: number,
): Promise<Proposal> {
  const [halved] = await halveRepeatedly(run, chosen, T, 1, d, covariance, metric);
  const pairs = halved.map((pair) => (pair.length === 2 ? pair : []));
  const nearest = nearestBy(run, metric, covariance);
  const [moved] = await lloyd(run.rounds, [pairs], count - 1, nearest);
  const { rules, parts } = await nearestParts(run.rounds, [moved], nearest);
  return { rules: rules[0], parts: parts[0] };
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
  metric: Metric = null,
): Promise<CentreSets[]> {
  const table = vectorTable();
  let leafOwners = [...chosen.keys()].filter((k) => chosen[k]);
  let cells = chosen.map((take, k): Cell => (take ? leafOwners.indexOf(k) : -1));
  let own = leafOwners.map((k) => T[k]);
  const byDepth: CentreSets[] = [];
  for (let level = 0; level < depth; level++) {
    const partition: Partition = { groups: 'net', cells, leaves: own.length };
    const sides = await pcaSplit(run, partition, table.rows, own, d, covariance, metric);
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
