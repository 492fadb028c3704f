import { type Change, isLast, type Proposal, quietSteps, type Step } from '../schedule.ts';

/** How nearly split and merge steps would have ended on another number of clusters. */

/** Nats of evidence up to which a decision is close: odds of 20 to 1, below which evidence is not strong (Kass & Raftery 1995). */
export const CLOSE = Math.log(20);

/** What was decided on a proposal, in nats of the tempered evidence. */
export interface Decision {
  /** The cluster to split, or both to merge, by their numbers in the results; missing for clusters that are no more. */
  clusters?: number[];
  /** Rows of the sample in each part, or in both clusters. */
  sizes: number[];
  /** log H. */
  nats: number;
  /** What log H has to exceed. */
  needed: number;
  /** Why more than 0 is needed, or what made it acceptable. */
  reason?: string;
}

/** Of splits and merges what was refused of the clusters of the results, and what was accepted in the last step that changed K. */
export type EvidenceForK = Record<Change, { refused: Decision | null; accepted: Decision | null }>;

/** log H beyond what it has to exceed. */
const margin = ({ logRatio, needed = 0 }: Proposal) => logRatio! - needed;

/**
 * Of the proposals of a step that accepted none the one that was closest to being accepted; else of the accepted ones the one that was
 * closest to being refused. Undefined where log H is known of none. (All clusters together are proposed to go on, not by how little.)
 */
export function closestProposal(proposals: readonly Proposal[]): Proposal | undefined {
  const known = proposals.filter(({ logRatio, clusters }) => logRatio !== null && clusters.length <= 2);
  const accepted = known.filter((proposal) => proposal.accepted);
  const ranked = (accepted.length ? accepted : known).toSorted((a, b) => margin(b) - margin(a));
  return ranked.at(accepted.length ? -1 : 0);
}

/**
 * From the latest steps; `labels`: that of each cluster of training in the results. Null where evidence has not decided on K:
 * after a merge step for `--clusters`, and before the first step.
 */
export function evidenceForK(steps: readonly Step[], labels: ArrayLike<number>): EvidenceForK | null {
  if (!steps.length || isLast(steps)) return null;
  const quiet = steps.slice(steps.length - quietSteps(steps));
  const closest = (of: readonly Step[], kind: Change, isAccepted: boolean) =>
    closestProposal(
      of.flatMap((step) =>
        step.kind === kind && step.closest?.accepted === isAccepted ? [step.closest] : [],
      ),
    );
  const of = (kind: Change) => {
    const refused = closest(quiet, kind, false);
    const last = steps.findLast((step) => step.kind === kind && step.changed > 0);
    const accepted = closest(last ? [last] : [], kind, true);
    const clusters = refused?.clusters.map((cluster) => labels[cluster]);
    return {
      refused: refused ? { clusters, ...decision(refused) } : null,
      accepted: accepted ? decision(accepted) : null,
    };
  };
  return { split: of('split'), merge: of('merge') };
}

const decision = ({ points, logRatio, needed = 0, reason }: Proposal): Decision => ({
  sizes: points,
  nats: logRatio!,
  needed,
  ...(reason && { reason }),
});
