import { isAligned } from '../../model/tree.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { ResultCheck, Task } from '../../proto/tasks.ts';
import type { Tensors } from '../../proto/tensors.ts';

export interface RoundSpec {
  tasks: Task[];
  units: WorkUnit[];
  /** Units stream their rows from the source, so any worker may take them. Otherwise the sample is in the owner's memory. */
  streams?: boolean;
  /** Only the sum over all units is needed: a result may cover an aligned power-of-two range of units. */
  sum?: boolean;
  /** The rows of each shard's sample, if the tasks work on it. */
  sampled?: readonly number[];
  /** Called with each result as it arrives, in any order, instead of collecting them; in the main thread only. */
  each?: (unit: WorkUnit, results: Tensors[]) => void;
}

/** What the tasks returned for the units `from … to−1` of a round: one unit, unless the round asks for sums. */
export interface Result {
  from: number;
  to: number;
  tasks: Tensors[];
  /** Who computed it. */
  worker: string;
}

/**
 * What became of a result. `late`: of an earlier round, or already covered; `not asked for`: its sender was not assigned
 * these units; `wrong shape`: failed validation.
 */
export type ResultVerdict = 'accepted' | 'late' | 'not asked for' | 'wrong shape';

/** One version of a state that tasks read. */
export interface PublishedState {
  version: number;
  tensors: Tensors;
}

/** A failure of a unit, as a worker reported it. */
export interface UnitFailure {
  worker: string;
  /** `data`: of the rows or the file; `local`: of the worker's machine; `task`: anything else, most likely a bug. */
  cause: 'data' | 'local' | 'task';
}

/** Failures of one unit, at the workers present, that end the round: those of tasks, which are most likely bugs, and others. */
const [MOST_TASK_FAILURES, MOST_OTHER_FAILURES] = [2, 6];

const key = ({ shard, from, to }: WorkUnit) => `${shard}/${from}/${to}`;

export type Round = ReturnType<typeof createRound>;

/**
 * A round in progress: which units are waiting, who was assigned which, and which results have arrived. Units are
 * identified by their index in the round. `states`: those that its tasks read, as of its start.
 */
export function createRound(
  id: number,
  spec: RoundSpec,
  states: ReadonlyMap<string, PublishedState>,
  check: ResultCheck,
  startedAt: number,
) {
  const { units } = spec;
  const indexOf = new Map(units.map((unit, index) => [key(unit), index]));
  /** Units that no worker has, in order. */
  const waiting = new Set(units.keys());
  /** Units assigned to each worker, including workers that have left since. */
  const assigned = new Map<string, Set<number>>();
  /** The result that covers each unit. */
  const results: (Result | undefined)[] = Array(units.length);
  const failures = new Map<number, UnitFailure[]>();
  let missing = units.length;

  const isMissing = (index: number) => !results[index];
  /** Has this unit failed at this worker? */
  const hasFailed = (worker: string, index: number) =>
    failures.get(index)?.some((failure) => failure.worker === worker) ?? false;

  return {
    ...{ id, spec, states, startedAt, waiting, isMissing, hasFailed },
    /** Records that the worker is assigned these units. */
    assign(worker: string, indices: number[]): void {
      assigned.set(worker, new Set([...(assigned.get(worker) ?? []), ...indices]));
    },
    hasAssigned: (worker: string, index: number) => assigned.get(worker)?.has(index) ?? false,
    /**
     * Records that a unit failed at a worker. Returns whether there is no use in another attempt: it has failed at each of the
     * workers `present`, at least two in all, or again and again at the only one.
     */
    fail(index: number, failure: UnitFailure, present: string[]): boolean {
      const all = [...(failures.get(index) ?? []), failure];
      failures.set(index, all);
      if (!present.every((worker) => hasFailed(worker, index))) return false;
      const most = all.every(({ cause }) => cause === 'task') ? MOST_TASK_FAILURES : MOST_OTHER_FAILURES;
      return new Set(all.map(({ worker }) => worker)).size > 1 || all.length >= most;
    },
    isComplete: () => missing === 0,
    /** Results that cover each unit once, in the order of the units. */
    results: () => [...new Set(results as Result[])],
    /** The indices of these units in the round; −1 for units that do not belong to it. */
    indicesOf: (units: WorkUnit[]) => units.map((unit) => indexOf.get(key(unit)) ?? -1),
    /** Checks a result: was this worker assigned these units, is it valid, and does it add anything new? */
    judge(worker: string, indices: number[], tasks: Tensors[]): ResultVerdict {
      const [from, to] = [indices[0], indices[0] + indices.length];
      if (!indices.every((index, i) => index === from + i)) return 'not asked for';
      if (!(spec.sum ? isAligned(from, to) : indices.length === 1)) return 'not asked for';
      if (!indices.every((index) => assigned.get(worker)?.has(index))) return 'not asked for';
      if (check(tasks, units.slice(from, to), spec.sampled)) return 'wrong shape';
      // Aligned ranges are either nested or disjoint: a larger one replaces those inside it.
      const previous = results[from];
      return previous && previous.to >= to ? 'late' : 'accepted';
    },
    /** Stores a result that `judge` accepted. */
    accept(worker: string, indices: number[], tasks: Tensors[]): void {
      const [from] = indices;
      const result = { from, to: from + indices.length, tasks: spec.each ? [] : tasks, worker };
      for (const index of indices) {
        if (isMissing(index)) missing--;
        results[index] = result;
        waiting.delete(index);
      }
      spec.each?.(units[from], tasks);
    },
  };
}
