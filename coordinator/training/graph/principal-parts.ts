import type { Parts, State } from '../../../model/state.ts';
import type { Run } from '../run-context.ts';
import { pcaSplit } from '../splits/sub-clusters.ts';

/** Statistics of two halves of each cluster of the clustering net, along its principal axis: what the sub-nets learn from. */
export async function principalParts(run: Run, { mixture }: State): Promise<Parts[]> {
  const { rounds, d, config } = run;
  const byCluster = { groups: 'net' as const, cells: [...Array(mixture.k).keys()], leaves: mixture.k };
  const [T] = await rounds.cellStatistics([byCluster], [], [mixture.means]);
  return pcaSplit(run, byCluster, [], T, d, config.covariance);
}
