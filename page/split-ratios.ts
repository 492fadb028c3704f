import { componentsOf, type Groups } from '../model/gaussian/components.ts';
import type { Order } from '../model/order.ts';
import type { Change } from '../model/schedule.ts';
import type { RunEvent } from '../run/events.ts';

type Ratio = number | null;
type ProposalEvent = Extract<RunEvent, { type: 'split' | 'merge' }>;

/**
 * Log Hastings ratio (log H) of splitting each cluster, as last computed; null: not known. Proposals that were refused for
 * another reason do not count.
 */
export function createSplitRatios() {
  let ratios: Ratio[] = [];
  let proposals: ProposalEvent[] = [];
  const of = (k: number) => (ratios.length === k ? ratios : Array<null>(k).fill(null));
  return {
    /** The ratios of the current `k` clusters. */
    of,
    addProposal: (proposal: ProposalEvent) => void proposals.push(proposal),
    /** The step that these proposals belong to has ended; it started with `before` clusters. */
    endStep({ kind }: { kind: Change }, before: number): void {
      const own = proposals.filter(({ type }) => type === kind);
      // By the clusters' new numbers, as in coordinator/fit/gaussian/split.ts and merge.ts; new clusters have none yet.
      ratios = (kind === 'split' ? afterSplits : afterMerges)(of(before), own);
      proposals = [];
    },
    /** The components have got new numbers. */
    renumber(order: Order): void {
      ratios = order.map((old) => of(order.length)[old]);
    },
  };
}

/** Those of clusters, by those of components: a cluster of several is not split as one. */
export const clusterRatios = (ratios: readonly Ratio[], groups: Groups | null | undefined): Ratio[] =>
  componentsOf(ratios.length, groups).map(([first, ...others]) => (others.length ? null : ratios[first]));

/** Those of the current clusters, by the events of a run, which began with `k` clusters. */
export function splitRatiosIn(events: readonly RunEvent[], k: number): Ratio[] {
  const ratios = createSplitRatios();
  let now = k;
  for (const event of events) {
    if (event.type === 'split' || event.type === 'merge') ratios.addProposal(event);
    if (event.type === 'resume' || event.type === 'alternation') now = event.k;
    if (event.type === 'step') {
      ratios.endStep(event, event.k + (event.kind === 'merge' ? event.changed : -event.changed));
      now = event.k;
    }
  }
  return ratios.of(now);
}

function afterSplits({ length: k }: readonly Ratio[], proposals: readonly ProposalEvent[]): Ratio[] {
  // A cluster may have several proposals: a deep one follows a plain one that was rejected.
  const byCluster: ProposalEvent[][] = Array.from({ length: k }, () => []);
  for (const proposal of proposals) if (!proposal.reason) byCluster[proposal.clusters[0]]?.push(proposal);
  return byCluster.flatMap((own): Ratio[] => {
    own.sort((a, b) => (b.logRatio ?? -Infinity) - (a.logRatio ?? -Infinity));
    const taken = own.find(({ accepted }) => accepted);
    if (taken && taken.points.length > 1) return Array(taken.points.length).fill(null);
    return [Number.isFinite(own[0]?.logRatio) ? own[0].logRatio : null];
  });
}

function afterMerges(before: readonly Ratio[], proposals: readonly ProposalEvent[]): Ratio[] {
  const partner = new Map<number, ProposalEvent>();
  for (const proposal of proposals)
    if (proposal.accepted) for (const c of proposal.clusters) partner.set(c, proposal);
  return before.flatMap((ratio, c) => {
    const merged = partner.get(c);
    if (!merged) return [ratio];
    const [a, b] = merged.clusters;
    if (c !== Math.min(a, b)) return [];
    const [n, m] = merged.points;
    return [Math.min(n, m) === 0 ? before[n >= m ? a : b] : null];
  });
}
