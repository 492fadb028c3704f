/** What happens in which epoch. Epochs count from 1; a change comes at the end of its epoch. */
export interface Schedule {
  readonly name: 'fast' | 'paper';
  /** First epoch with an M-step. */
  readonly mStepFrom: number;
  /** First epoch in which the sub-nets may train. */
  readonly subFrom: number;
  /** Epoch of the first split; split and merge alternate every `every` epochs from there. */
  readonly firstChange: number;
  readonly every: number;
  /** Sub-nets train in every epoch, not only in those that lead to a split. */
  readonly subAlways: boolean;
  /** Lloyd rounds that refine the sub-clusters before a split; 0: as the sub-net has them. */
  readonly refine: number;
  /** Deep proposals of 2^depth parts. */
  readonly depths: readonly number[];
}

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

/** The schedule of the paper's published tables. */
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

/** The change that ends this epoch, if any. */
export function changeAfter(schedule: Schedule, epoch: number): Change | null {
  const since = epoch - schedule.firstChange;
  if (since < 0 || since % schedule.every) return null;
  return (since / schedule.every) % 2 === 0 ? 'split' : 'merge';
}

/** Do the sub-nets train in this epoch? */
export function trainsSubNets(schedule: Schedule, epoch: number): boolean {
  if (epoch < schedule.subFrom) return false;
  if (schedule.subAlways) return true;
  const ahead = Math.max(0, Math.ceil((epoch - schedule.firstChange) / schedule.every)) * schedule.every;
  return changeAfter(schedule, schedule.firstChange + ahead) === 'split';
}

/** One split or merge step of the past. */
export interface Step {
  kind: Change;
  changed: number;
  /** Clusters after it. */
  k: number;
}

/** Steps in a row, up to now, that changed nothing. */
export function quietSteps(steps: readonly Step[]): number {
  const last = steps.findLastIndex((step) => step.changed > 0);
  return steps.length - 1 - last;
}

/** K after each merge step, that is at the end of each split–merge pair. */
const pairEnds = (steps: readonly Step[]) => steps.filter(({ kind }) => kind === 'merge').map(({ k }) => k);

const lastAreEqual = (ends: number[], count: number) =>
  ends.length >= count && ends.slice(-count).every((k) => k === ends.at(-1));

/**
 * Nothing moves on: the last two steps changed nothing, or the last two split–merge pairs ended on the same K, the
 * merge undoing the split. Then splits in two lead nowhere, and deep proposals are tried.
 */
export function hasStalled(steps: readonly Step[]): boolean {
  return quietSteps(steps) >= 2 || (steps.at(-1)?.kind === 'merge' && lastAreEqual(pairEnds(steps), 2));
}

/** Why training is over: the run has settled, or all epochs are done. */
export const END_REASONS = ['settled', 'max-epochs'] as const;
export type EndReason = (typeof END_REASONS)[number];

/**
 * The run has settled after two split and two merge steps that changed nothing, or when the last three split–merge
 * pairs each ended on the same K. Never right after a split: K may still grow.
 */
export function hasSettled(steps: readonly Step[]): boolean {
  if (quietSteps(steps) >= 4) return true;
  if (steps.at(-1)?.kind !== 'merge') return false;
  return lastAreEqual(pairEnds(steps), 3);
}
