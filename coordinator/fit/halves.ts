import type { Cell } from '../../model/cells.ts';
import { BINS, bestThreshold, principalAxis } from '../../model/gaussian/splits.ts';
import { dot, whitener } from '../../model/linalg.ts';
import type { Parts, State } from '../../model/state.ts';
import { addStatistics, mean } from '../../model/statistics.ts';
import type { RunConfig } from '../../run/config.ts';
import type { Partition } from '../../tasks/cells/ask.ts';
import type { TrainingRun } from './run-context.ts';

/** Two halves of each part of a partition, along its principal axis: what sub-nets learn from, and where splits begin. */

/** What parts are found with. */
export type Means = Pick<TrainingRun, 'rounds' | 'd'> & { config: Pick<RunConfig, 'covariance'> };

/** The covariance by which axes and distances are measured; null: the identity. */
export type Metric = Float64Array | null;

/** Collects the vectors that cells refer to by index. */
export function vectorTable() {
  const rows: Float64Array[] = [];
  return { rows, add: (row: Float64Array) => rows.push(row) - 1 };
}
export type VectorTable = Pick<ReturnType<typeof vectorTable>, 'add'>;

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
  { rounds, d, config }: Means,
  partition: Partition,
  vectors: Float64Array[],
  T: Parts,
  metric: Metric = null,
): Promise<Parts[]> {
  const inverse = metric && whitener(metric, d, config.covariance);
  const axes = T.map((t) => {
    const { axis, mean: centre, sd } = principalAxis(t, d, config.covariance, inverse);
    return { axis, centre: dot(centre, axis), sd };
  });
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

const FEWEST_POINTS = 5;

/** Is a cluster of two sub-clusters large enough to be halved? */
export const isLargeEnough = (rows: number): boolean => rows >= FEWEST_POINTS;

/** Means of two sub-clusters; twice the cluster's mean if a sub-cluster is empty or the cluster too small to halve. */
export function centresOf([a, b]: Parts, d: number, clusterMean: Float64Array): Float64Array[] {
  const isHalved = a[0] > 0 && b[0] > 0 && isLargeEnough(a[0] + b[0]);
  return isHalved ? [mean(a, d), mean(b, d)] : [clusterMean, clusterMean];
}

/** Statistics of a cluster, by those of its two sub-clusters. */
export const totalOf = ([a, b]: Parts): Float64Array => addStatistics(a, b);

export function subCentres({ parts, mixture }: State): Float64Array[][] {
  return parts.map((pair, k) => centresOf(pair, mixture.d, mixture.means[k]));
}
