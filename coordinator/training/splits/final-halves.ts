import { NotPositiveDefiniteError } from '../../../model/linalg.ts';
import type { Parts, State } from '../../../model/state.ts';
import { publishNet } from '../publish.ts';
import type { Run } from '../run-context.ts';
import type { Proposal } from './rules.ts';
import { discriminants, partsBy, shapeHalves } from './shape-splits.ts';
import { metricOf, principalHalves } from './sub-clusters.ts';

/**
 * Halves of each cluster at the end of a run, of which one may be its next split: its sub-clusters, those by its shape (along its
 * principal axis if covariances are diagonal), and these drawn anew, as in further proposals. Only the sub-clusters where a schedule
 * has no such proposals, or clusters are too flat for them in float64.
 *
 * @param T statistics of each cluster over all rows
 */
export async function finalHalves(run: Run, state: State, T: Float64Array[]): Promise<Parts[][]> {
  const proposals = run.schedule.furtherProposals ? await proposed(run, state, T) : [];
  return state.parts.map((pair, k) => [pair, ...proposals.map(({ parts }) => parts[k])]);
}

async function proposed(run: Run, { net, prior, mixture }: State, T: Parts): Promise<Proposal[]> {
  const { rounds, d, config } = run;
  const chosen = T.map(([rows]) => rows > 0);
  publishNet(run, net);
  try {
    const found = config.covariance === 'full' ? await byShape() : await alongAxis();
    return [found, await discriminants(run, prior, T, found)];
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return [];
  }

  async function byShape(): Promise<Proposal> {
    const { rules } = await shapeHalves(run, prior, chosen, T);
    return { rules, parts: await partsBy(rounds, rules, T, d) };
  }

  function alongAxis(): Promise<Proposal> {
    const metric = metricOf(run, prior, mixture.k);
    return principalHalves(run, chosen, T, d, config.covariance, metric, 1);
  }
}
