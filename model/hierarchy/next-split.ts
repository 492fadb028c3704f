/**
 * Which cluster of a result would split next, and into what: the tree of merges (evidence-tree.ts, graph/merge-tree.ts) goes on below
 * its clusters, from two halves of each cluster's rows in the sample.
 */
import type { HalfLinks } from '../graph/halves.ts';
import { logSplitRatio, proposable } from '../hastings.ts';
import { NotPositiveDefiniteError } from '../linalg.ts';
import type { Niw } from '../niw.ts';
import type { Parts } from '../state.ts';

/** The next split of a cluster. */
export interface NextSplit {
  /** The number of the cluster. */
  readonly cluster: number;
  /** Rows of both parts, the larger first: estimates, which add up to the cluster's. */
  readonly sizes: readonly [number, number];
  /** That of the join that would undo the split, in the measure of the tree. */
  readonly height: number;
}

/** Two halves of a cluster. */
export interface ClusterHalves {
  /** Rows in the sample. */
  readonly rows: readonly [number, number];
  readonly height: number;
}

/**
 * By the evidence, as in evidence-tree.ts: the nats that it loses by the join of the halves, divided by the number of all rows. Below 0
 * where it gains. The halves' statistics are scaled to as many rows as their cluster has in T. Of several proposals for a cluster those
 * with the largest height.
 *
 * @param T statistics of each cluster over all rows
 * @param proposals pairs of parts of each cluster, over the sample
 * @returns null for a cluster without two parts of enough rows for a split, or that is too flat for float64
 */
export function evidenceHalves(
  prior: Niw,
  T: Float64Array[],
  proposals: Parts[][],
  alpha: number,
): (ClusterHalves | null)[] {
  const total = T.reduce((sum, [n]) => sum + n, 0);
  const halvesOf = (pair: Parts, n: number): ClusterHalves | null => {
    const [one, other] = pair.map(([rows]) => rows);
    const scale = n / (one + other);
    if (!proposable(pair, scale)) return null;
    try {
      return { rows: [one, other], height: logSplitRatio(prior, pair, alpha, scale) / total };
    } catch (error) {
      if (!(error instanceof NotPositiveDefiniteError)) throw error;
      return null;
    }
  };
  return T.map(([n], cluster) =>
    proposals[cluster]
      .map((pair) => halvesOf(pair, n))
      .reduce((best, own) => (own && !(best && best.height >= own.height) ? own : best), null),
  );
}

/**
 * By the graph, as in graph/merge-tree.ts: the largest γ at which the halves are worth no less as one, w₀₁·total/(vol₀·vol₁). Of
 * several cuts of a cluster the one that pays at the least γ.
 *
 * @param total the sum of all degrees
 * @param fewest rows of a half
 * @returns null for a cluster without such halves
 */
export function linkedHalves(
  { rows, volume, between }: HalfLinks,
  cuts: number,
  total: number,
  fewest: number,
): (ClusterHalves | null)[] {
  return Array.from({ length: between.length / cuts }, (_, cluster) => {
    let best: ClusterHalves | null = null;
    for (let at = cluster * cuts; at < (cluster + 1) * cuts; at++) {
      const [one, other] = rows.subarray(2 * at, 2 * at + 2);
      if (Math.min(one, other) < fewest) continue;
      const height = between[at] > 0 ? (between[at] * total) / (volume[2 * at] * volume[2 * at + 1]) : 0;
      if (!best || height < best.height) best = { rows: [one, other], height };
    }
    return best;
  });
}

/**
 * The clusters with halves, the one that would split first in front: by heights that rise or fall, as those of the joins do away from
 * the root. On a tie, the lowest cluster.
 *
 * @param sizes rows of each cluster
 */
export function nextSplits(
  sizes: readonly number[],
  halves: readonly (ClusterHalves | null)[],
  order: 'rising' | 'falling',
): NextSplit[] {
  const sign = order === 'rising' ? 1 : -1;
  return sizes
    .flatMap((size, cluster): NextSplit[] => {
      const own = halves[cluster];
      if (!own || size < 2 || !Number.isFinite(own.height)) return [];
      return [{ cluster, sizes: sharedOut(size, own.rows), height: own.height }];
    })
    .sort((a, b) => sign * (a.height - b.height) || a.cluster - b.cluster);
}

/** So many rows in about these proportions, at least one in each part. */
function sharedOut(size: number, [one, other]: readonly [number, number]): [number, number] {
  const larger = Math.round((size * Math.max(one, other)) / (one + other));
  const first = Math.min(size - 1, Math.max(larger, Math.ceil(size / 2)));
  return [first, size - first];
}
