import type { Order } from '../../model/numbering.ts';
import type { Change } from '../../model/schedule.ts';
import type { RunEvent } from '../../view/events.ts';

type ProposalEvent = Extract<RunEvent, { type: 'split' | 'merge' }>;

/**
 * Log Hastings ratio (log H) of splitting each cluster, as last computed; null: not known. Proposals that were refused for
 * another reason do not count.
 */
export interface SplitRatios {
  /** The ratios of the current `k` clusters. */
  of(k: number): (number | null)[];
  addProposal(proposal: ProposalEvent): void;
  /** The step that these proposals belong to has ended; it started with `before` clusters. */
  endStep(step: { kind: Change; k: number }, before: number): void;
  /** The clusters have got new numbers. */
  renumber(order: Order): void;
}

export function createSplitRatios(): SplitRatios {
  let ratios: (number | null)[] = [];
  let proposals: ProposalEvent[] = [];
  const of = (k: number) => (ratios.length === k ? ratios : Array<null>(k).fill(null));
  return {
    of,
    addProposal: (proposal) => void proposals.push(proposal),
    endStep({ kind, k }, before) {
      ratios = ratiosAfter(of(before), kind, proposals, k);
      proposals = [];
    },
    renumber(order) {
      ratios = order.map((old) => of(order.length)[old]);
    },
  };
}

/** Those of the current clusters, by the events of a run, which began with `k` clusters. */
export function splitRatiosIn(events: readonly RunEvent[], k: number): (number | null)[] {
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

/**
 * The ratios after a step, by the clusters' new numbers: unchanged clusters keep their ratio and are renumbered as in
 * coordinator/training/gaussian/split.ts and merge.ts; new clusters have none yet.
 */
function ratiosAfter(
  before: readonly (number | null)[],
  kind: Change,
  proposals: readonly ProposalEvent[],
  k: number,
): (number | null)[] {
  const own = proposals.filter(({ type }) => type === kind);
  const after = kind === 'split' ? afterSplits(before.length, own) : afterMerges(before, own);
  return after.length === k ? after : Array(k).fill(null);
}

function afterSplits(k: number, proposals: readonly ProposalEvent[]): (number | null)[] {
  const ratios: (number | null)[] = Array(k).fill(null);
  const parts: number[] = Array(k).fill(1);
  // A cluster may have several proposals: a deep one follows a plain one that was rejected.
  const bestAccepted: (number | null)[] = Array(k).fill(null);
  for (const { clusters, logRatio, accepted, points, reason } of proposals) {
    const [c] = clusters;
    if (reason) continue;
    ratios[c] = Math.max(ratios[c] ?? -Infinity, logRatio ?? -Infinity);
    if (accepted && (bestAccepted[c] === null || (logRatio ?? -Infinity) > bestAccepted[c]!)) {
      bestAccepted[c] = logRatio ?? -Infinity;
      parts[c] = points.length;
    }
  }
  return ratios.flatMap((ratio, c) =>
    parts[c] > 1 ? Array(parts[c]).fill(null) : [Number.isFinite(ratio ?? Number.NaN) ? ratio : null],
  );
}

function afterMerges(
  before: readonly (number | null)[],
  proposals: readonly ProposalEvent[],
): (number | null)[] {
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
