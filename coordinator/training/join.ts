import { labelsOf, regrouped } from '../../model/graph/mean-field.ts';
import type { Join } from '../../model/hierarchy/dendrogram.ts';
import { cutAt } from '../../model/hierarchy/dendrogram.ts';
import type { OutputUnit } from '../../model/nets/surgery.ts';
import type { State } from '../../model/state.ts';
import { addStatistics } from '../../model/statistics.ts';
import { applyChange, type NextCluster } from './changes.ts';
import { changeClusters } from './graph/change-clusters.ts';
import { sweptOften } from './graph/field.ts';
import { graphOfRun } from './graph/graph-run.ts';
import { netMemberships } from './graph/membership-rounds.ts';
import { countsOf, SWEEPS } from './graph/merge-step.ts';
import type { Run } from './run-context.ts';

/**
 * A merge step for `--clusters`, once training has settled on more: the clusters are those of a cut of the tree of merges, whatever the
 * evidence says. The nets learn them in the epochs that follow.
 */
export const joinStep = (run: Run, state: State, clusters: number): Promise<State> =>
  run.graphs ? joinByLinks(run, state, clusters) : joinByEvidence(run, state, clusters);

async function joinByEvidence(run: Run, state: State, clusters: number): Promise<State> {
  const { mixture } = state;
  const { k } = mixture;
  const byCluster = { groups: 'net' as const, cells: [...Array(k).keys()], leaves: k };
  const [T] = await run.rounds.cellStatistics([byCluster], [], [mixture.means]);
  const rows = T.map(([n]) => n);
  const { groups } = await cutOfOccupied(rows, clusters, (occupied) =>
    run.calculate(
      'evidenceTree',
      state.prior,
      occupied.map((cluster) => T[cluster]),
      run.config.alpha,
    ),
  );
  const cells: number[] = Array(k).fill(-1);
  let leaves = 0;
  const next = groups.map((from): NextCluster => {
    const largest = largestOf(from, rows);
    if (from.length === 1) return { from: largest, refit: null };
    for (const cluster of from) cells[cluster] = leaves;
    leaves++;
    const weight = from.reduce((sum, cluster) => sum + mixture.weights[cluster], 0);
    return { from: largest, refit: { weight, T: from.map((cluster) => T[cluster]).reduce(addStatistics) } };
  });
  const partition = { groups: 'net' as const, cells, leaves: Math.max(1, leaves) };
  return applyChange(run, { ...state, merged: [] }, 'merge', next, partition, [], {
    progress: null,
    joined: true,
  });
}

async function joinByLinks(run: Run, state: State, clusters: number): Promise<State> {
  const { k } = state.mixture;
  const { graph } = await graphOfRun(run, state);
  const memberships = await netMemberships(run, graph, k);
  const W = await run.calculate('clusterLinks', graph.graph, memberships);
  const rows = [...countsOf(labelsOf(memberships), k)];
  const { groups, place } = await cutOfOccupied(rows, clusters, (occupied) =>
    run.calculate(
      'mergeTree',
      Float64Array.from(occupied.flatMap((a) => occupied.map((b) => W[a * k + b]))),
      Float64Array.from(occupied, (cluster) => memberships.volume[cluster]),
    ),
  );
  const units = groups.map(
    (from): OutputUnit => ({ from: largestOf(from, rows), share: 1, fresh: from.length > 1 }),
  );
  const joined = await sweptOften(run, state, regrouped(memberships, place, units.length), SWEEPS);
  return changeClusters(run, state, 'merge', units, labelsOf(joined), true);
}

/** The clusters of each group of a cut of the tree of clusters that have rows; the others are in the first, the largest one. */
async function cutOfOccupied(
  rows: readonly number[],
  clusters: number,
  treeOf: (occupied: readonly number[]) => Promise<Join[]>,
): Promise<{ groups: number[][]; place: Int32Array }> {
  const occupied = rows.flatMap((n, cluster) => (n > 0 ? [cluster] : []));
  const joins = await treeOf(occupied);
  const sizes = occupied.map((cluster) => rows[cluster]);
  const cut = cutAt({ sizes, joins }, Math.min(clusters, occupied.length));
  const place = new Int32Array(rows.length);
  for (const [i, cluster] of occupied.entries()) place[cluster] = cut.place[i];
  const groups: number[][] = cut.groups.map(() => []);
  for (const [cluster, group] of place.entries()) groups[group].push(cluster);
  return { groups, place };
}

const largestOf = (clusters: readonly number[], rows: readonly number[]) =>
  clusters.reduce((best, cluster) => (rows[cluster] > rows[best] ? cluster : best));
