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
  /** Epoch of the first split step; from there on split and merge steps alternate, one every `every` epochs. */
  readonly firstChange: number;
  readonly every: number;
  /** Do sub-nets train in every epoch, not only in those before a split step? */
  readonly subAlways: boolean;
  /** Updates of the sub-centres that refine the sub-clusters before a split; 0 takes the sub-net's assignments as they are. */
  readonly refine: number;
  /** Deep proposals have 2^depth parts, for each of these depths. */
  readonly depths: readonly number[];
}

/** The default schedule (docs/algorithm.md, sections 5 to 8). */
export const fastSchedule = (every: number): Schedule => ({
  name: 'fast',
  mStepFrom: 1,
  subFrom: 1,
  firstChange: every,
  every,
  subAlways: false,
  refine: 6,
  depths: [2, 3],
});

/** The schedule of the tables in the paper (Ronen, Finder & Freifeld, CVPR 2022). */
export const paperSchedule = (every: number): Schedule => ({
  name: 'paper',
  mStepFrom: 25,
  subFrom: 45,
  firstChange: 55,
  every,
  subAlways: true,
  refine: 0,
  depths: [],
});

export type Change = 'split' | 'merge';

/** The step at the end of this epoch, if any. */
export function changeAfter(schedule: Schedule, epoch: number): Change | null {
  const since = epoch - schedule.firstChange;
  if (since < 0 || since % schedule.every) return null;
  return (since / schedule.every) % 2 === 0 ? 'split' : 'merge';
}

/** Do the sub-nets train in this epoch? Without `subAlways` only if the next step is a split. */
export function trainsSubNets(schedule: Schedule, epoch: number): boolean {
  if (epoch < schedule.subFrom) return false;
  if (schedule.subAlways) return true;
  const offset = Math.max(0, Math.ceil((epoch - schedule.firstChange) / schedule.every)) * schedule.every;
  return changeAfter(schedule, schedule.firstChange + offset) === 'split';
}

/** A past split or merge step. */
export interface Step {
  kind: Change;
  /** By how much it changed K. */
  changed: number;
  /** The number of clusters after it. */
  k: number;
}

/** Steps that `hasStalled` and `hasSettled` look at, the last ones: splits and merges alternate, so three are merges. */
const KEPT_STEPS = 6;

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

const lastAreEqual = (values: number[], count: number) =>
  values.length >= count && values.slice(-count).every((value) => value === values.at(-1));

/**
 * Have splits in two stopped making progress, so that deep proposals are tried (docs/algorithm.md, section 6)? True if the
 * last two steps changed nothing, or if the last two split–merge pairs ended on the same K: the merge undid the split.
 */
export function hasStalled(steps: readonly Step[]): boolean {
  return quietSteps(steps) >= 2 || (steps.at(-1)?.kind === 'merge' && lastAreEqual(pairEnds(steps), 2));
}

/** Why training ended: K has settled, or all epochs are done. */
export const END_REASONS = ['settled', 'max-epochs'] as const;
export type EndReason = (typeof END_REASONS)[number];

/**
 * Has K settled (docs/algorithm.md, section 8)? True if the last four steps changed nothing, or if the last step was a
 * merge and the last three split–merge pairs ended on the same K.
 */
export function hasSettled(steps: readonly Step[]): boolean {
  if (quietSteps(steps) >= 4) return true;
  if (steps.at(-1)?.kind !== 'merge') return false;
  return lastAreEqual(pairEnds(steps), 3);
}
