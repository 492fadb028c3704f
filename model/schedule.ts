/** When what happens in training: epochs, split and merge steps, when the mixture waits for the net, when the run has settled. Decided by the past steps and losses alone, without arrays. */

/**
 * What happens in which epoch. Epochs are counted from 1; a change (split or merge step) takes place at the end of its
 * epoch.
 */
export interface Schedule {
  readonly name: 'fast' | 'paper';
  /** First epoch with an M-step. */
  readonly mStepFrom: number;
  /** First epoch in which the sub-nets may train. */
  readonly subFrom: number;
  /** Epoch of the first split step; from there on split and merge steps alternate. */
  readonly firstStep: number;
  /** Epochs from one step to the next. */
  readonly every: number;
  /** Most epochs that the mixture stays frozen after a step beyond `--freeze`, until the net has learned the clusters. */
  readonly patience: number;
  /** Do sub-nets train in every epoch, not only in the one before a split step? */
  readonly subAlways: boolean;
  /** Updates of the sub-centres that refine the sub-clusters before a split; 0 takes the sub-net's assignments as they are. */
  readonly refine: number;
  /** Do clusters that are not split in two get further proposals once the run has stalled? */
  readonly furtherProposals: boolean;
  /** Of these, the deep ones have 2^depth parts, for each of these depths. */
  readonly depths: readonly number[];
}

/** The default schedule (docs/algorithm.md, sections 5 to 8). `byMixture`: in few columns, where many small parts cost little. */
export const fastSchedule = (every: number, byMixture = false): Schedule => ({
  name: 'fast',
  mStepFrom: 1,
  subFrom: 1,
  firstStep: every,
  every,
  patience: 24,
  subAlways: false,
  // Without Lloyd's rounds MNIST stops at K 9.
  refine: 6,
  furtherProposals: true,
  depths: byMixture ? [2, 3, 4, 5, 6, 7, 8, 9, 10] : [2, 3, 4, 5, 6],
});

/** The schedule of the tables in the paper (Ronen, Finder & Freifeld, CVPR 2022). */
export const paperSchedule = (every: number): Schedule => ({
  name: 'paper',
  mStepFrom: 25,
  subFrom: 45,
  firstStep: 55,
  every,
  patience: 0,
  subAlways: true,
  refine: 0,
  furtherProposals: false,
  depths: [],
});

/** What is added to the proportion n_k/n of each cluster: as in the authors' code, or nothing. */
export const weightSmoothing = (schedule: Schedule['name']): number => (schedule === 'paper' ? 0.1 : 0);

export type Change = 'split' | 'merge';

/** The kind of the step after these: a split first, then in turn. */
export function nextChange(steps: readonly Step[]): Change {
  return steps.at(-1)?.kind === 'split' ? 'merge' : 'split';
}

/**
 * Do the sub-nets train in this epoch? Without `subAlways` only in the one before a split step, as Lloyd's algorithm refines what
 * they find; that of a single cluster costs little and trains in all.
 */
export function trainsSubNets(
  schedule: Schedule,
  epoch: number,
  { untilStep }: Pick<Pace, 'untilStep'>,
  steps: readonly Step[],
  k: number,
): boolean {
  const isLast = nextChange(steps) === 'split' && (k === 1 || untilStep === 1);
  return epoch >= schedule.subFrom && (schedule.subAlways || isLast);
}

/** Mean KL divergence, in nats, at which the clustering net has learned the clusters; or it falls no faster than this, per epoch. */
const LEARNED = 0.05;
const STILL_LEARNS = 0.95;

/** Epochs until what comes next. */
export interface Pace {
  /** The mixture stays frozen for at least as many. */
  readonly frozen: number;
  /** And for as many more, unless the clustering net has learned the clusters before. */
  readonly patience: number;
  /** Until the next split or merge step, not counting those of patience. */
  readonly untilStep: number;
  /** The clustering net's mean loss in the last epoch in which it trained; null: in none. */
  readonly loss: number | null;
  /** The same, but only of epochs since K last changed: losses on other clusters cannot be compared. */
  readonly lossSinceChange: number | null;
}

/** The pace after one more epoch, in which the clustering net had this mean loss; null: it did not train. */
export function nextPace(pace: Pace, loss: number | null): Pace {
  const { frozen, patience, untilStep, lossSinceChange: before } = pace;
  const learns = loss !== null && loss > LEARNED && !(before !== null && loss > STILL_LEARNS * before);
  const losses = { loss: loss ?? pace.loss, lossSinceChange: loss ?? before };
  return frozen === 1 && patience > 0 && learns
    ? { frozen, patience: patience - 1, untilStep, ...losses }
    : { frozen: Math.max(0, frozen - 1), patience, untilStep: untilStep - 1, ...losses };
}

/** What a step proposed, and what became of it. */
export interface Proposal {
  /** The cluster to split, or both to merge. */
  clusters: number[];
  /** Rows of each part of a split, or of both clusters of a merge. */
  points: number[];
  /** log H; null: it was not computed, or is infinite. */
  logRatio: number | null;
  /** What log H has to exceed, if that is not 0. */
  needed?: number;
  accepted: boolean;
  /** Why it was decided so, if not by log H. */
  reason?: string;
}

/** A past split or merge step. */
export interface Step {
  kind: Change;
  /** By how much it changed K. */
  changed: number;
  /** The number of clusters after it. */
  k: number;
  /** By how much the clusters' evidence has grown since the merge step before, in nats; null if that is not known. */
  progress: number | null;
  /** A split step that made further proposals too: whatever the run can propose. */
  exhaustive?: true;
  /** By which it came closest to another K (model/gaussian/evidence-for-k.ts). */
  closest?: Proposal;
  /** A merge step that joined clusters against their evidence, for `--clusters`. */
  joined?: true;
  /** No step that could change K follows. */
  last?: true;
}

/** Has the last step been taken, after which the net only learns its clusters? But merge steps may join more, for `--clusters`. */
export const isLast = (steps: readonly Step[]) => steps.at(-1)?.joined ?? steps.at(-1)?.last ?? false;

/** Steps that `hasStalled` and `hasSettled` look at, the last ones: splits and merges alternate, so five are merges. */
const KEPT_STEPS = 10;

/** The past steps after one more, without those that decide nothing any more: however long the run, there are few. */
export const withStep = (steps: readonly Step[], step: Step): Step[] => [
  ...steps.slice(1 - KEPT_STEPS),
  step,
];

/** The number of latest steps in a row that changed nothing. */
export function quietSteps(steps: readonly Step[]): number {
  const last = steps.findLastIndex((step) => step.changed > 0);
  return steps.length - 1 - last;
}

/** K after each merge step, that is after each split–merge pair. */
const pairEnds = (steps: readonly Step[]) => steps.filter(({ kind }) => kind === 'merge').map(({ k }) => k);

/** Has there been a split step with all proposals since K last changed? */
export const wasExhaustive = (steps: readonly Step[]): boolean =>
  steps.slice(steps.length - quietSteps(steps)).some(({ exhaustive }) => exhaustive);

const lastAreEqual = (values: number[], count: number) =>
  values.length >= count && values.slice(-count).every((value) => value === values.at(-1));

/** Did the last two split–merge pairs end on the same K, so that the merge undid the split? */
export function isCycling(steps: readonly Step[]): boolean {
  return steps.at(-1)?.kind === 'merge' && lastAreEqual(pairEnds(steps), 2);
}

/**
 * Have splits in two stopped making progress, so that further proposals are made in this split step (docs/algorithm.md, section
 * 6)? True if the step before changed nothing, and this one has split no cluster so far (`splits`), or if the run is cycling.
 */
export function hasStalled(steps: readonly Step[], splits: number): boolean {
  return (splits === 0 && quietSteps(steps) > 0) || isCycling(steps);
}

/** Why training ended: K has settled, all epochs are done, or the user asked for the results so far. */
export const END_REASONS = ['settled', 'max-epochs', 'asked'] as const;
export type EndReason = (typeof END_REASONS)[number];

/** Progress of a pair of steps, in nats a row, below which it is none: assignments at borders go on changing. */
const LEAST_PROGRESS = 1e-3;

/**
 * Have the clusters settled (docs/algorithm.md, section 8)? True if
 * - four steps changed nothing; or two, a merge step and a split step with all proposals, though the mixture has moved since K
 *   last changed,
 * - or the last step was a merge, and split–merge pairs end on the same K: the last two if the last one had all proposals and
 *   made no progress, three if it made no progress that is known, or else five.
 *
 * `rows`: those that evidence counts; `freeze`: epochs for which the mixture is frozen after a change.
 */
export function hasSettled(
  steps: readonly Step[],
  rows: number,
  { every }: Pick<Schedule, 'every'>,
  freeze: number,
): boolean {
  const quiet = quietSteps(steps);
  if (quiet >= 4) return true;
  const [before, last] = steps.slice(-2);
  if (last?.kind === 'split') return !!last.exhaustive && quiet >= 2 && quiet * every > freeze;
  if (last?.kind !== 'merge') return false;
  const { progress } = last;
  if (progress !== null && progress > LEAST_PROGRESS * rows) return lastAreEqual(pairEnds(steps), 5);
  return lastAreEqual(pairEnds(steps), before.exhaustive && progress !== null ? 2 : 3);
}
