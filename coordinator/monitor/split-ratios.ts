import type { Change } from '../../model/schedule.ts';
import type { Event } from '../../view/events.ts';

type Proposal = Extract<Event, { type: 'split' | 'merge' }>;

/** Log H of splitting each cluster, as it was last computed; null: not known. */
export interface SplitRatios {
  /** Of the `k` clusters that there are. */
  of(k: number): (number | null)[];
  proposed(proposal: Proposal): void;
  /** The step of these proposals is over, which found `before` clusters. */
  stepped(step: { kind: Change; k: number }, before: number): void;
}

export function createSplitRatios(): SplitRatios {
  let ratios: (number | null)[] = [];
  let proposals: Proposal[] = [];
  const of = (k: number) => (ratios.length === k ? ratios : Array<null>(k).fill(null));
  return {
    of,
    proposed: (proposal) => void proposals.push(proposal),
    stepped({ kind, k }, before) {
      ratios = ratiosAfter(of(before), kind, proposals, k);
      proposals = [];
    },
  };
}

/**
 * By the cluster's number after a step: clusters that a step leaves alone move to the places that
 * coordinator/training/split.ts and merge.ts give them, those that it makes have none yet.
 */
function ratiosAfter(
  before: readonly (number | null)[],
  kind: Change,
  proposals: readonly Proposal[],
  k: number,
): (number | null)[] {
  const own = proposals.filter(({ type }) => type === kind);
  const after = kind === 'split' ? afterSplits(before.length, own) : afterMerges(before, own);
  return after.length === k ? after : Array(k).fill(null);
}

function afterSplits(k: number, proposals: readonly Proposal[]): (number | null)[] {
  const ratios: (number | null)[] = Array(k).fill(null);
  const parts: number[] = Array(k).fill(1);
  // A deep proposal that is taken comes after the plain one that was refused.
  const taken: (number | null)[] = Array(k).fill(null);
  for (const { clusters, logRatio, accepted, points } of proposals) {
    const [c] = clusters;
    ratios[c] = Math.max(ratios[c] ?? -Infinity, logRatio ?? -Infinity);
    if (accepted && (taken[c] === null || (logRatio ?? -Infinity) > taken[c]!)) {
      taken[c] = logRatio ?? -Infinity;
      parts[c] = points.length;
    }
  }
  return ratios.flatMap((ratio, c) =>
    parts[c] > 1 ? Array(parts[c]).fill(null) : [Number.isFinite(ratio ?? Number.NaN) ? ratio : null],
  );
}

function afterMerges(before: readonly (number | null)[], proposals: readonly Proposal[]): (number | null)[] {
  const partner = new Map<number, Proposal>();
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
