import { isAligned, type PartialSum, treeAccumulator } from '../../model/tree.ts';
import { prefixed, unprefixed } from '../../proto/codec.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { AnyTask, ResultCheck } from '../../proto/tasks.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';

/** One round: which units are waiting, who was assigned which, which results count. It knows neither workers' connections nor what the results mean. */

export interface RoundSpec {
  tasks: AnyTask[];
  units: WorkUnit[];
  /** Units stream their rows from the source, so any worker may take them. Otherwise the sample is in the owner's memory. */
  streams?: boolean;
  /** Only the sum over all units is needed: a result may cover an aligned power-of-two range of units, and siblings are added as they arrive. */
  sum?: boolean;
  /** The rows of each shard's sample, if the tasks work on it. */
  sampled?: readonly number[];
  /** Called with each result as it arrives, in any order, instead of collecting them; in the main thread only. */
  each?: (unit: WorkUnit, results: Tensors[]) => void;
}

/** What the tasks returned for the unit `from` of a round, or summed over the shards `from … to−1`. */
export interface Result {
  from: number;
  to: number;
  tasks: Tensors[];
  /** Who computed it; '' of sums. */
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
  const units: WorkUnit[] = [];
  const indexOf = new Map<string, number>();
  /** Units that no worker has, in order. */
  const waiting = new Set<number>();
  /** Units assigned to each worker, including workers that have left since. */
  const assigned = new Map<string, Set<number>>();
  /** The result of each unit, in which of sums only the range is kept. */
  const results: (Result | undefined)[] = [];
  const sums = treeAccumulator();
  const failures = new Map<number, UnitFailure[]>();
  let missing = 0;

  const isMissing = (index: number) => !results[index];
  /** Has this unit failed at this worker? */
  const hasFailed = (worker: string, index: number) =>
    failures.get(index)?.some((failure) => failure.worker === worker) ?? false;

  function extend(more: readonly WorkUnit[]): void {
    for (const unit of more) {
      indexOf.set(key(unit), units.length);
      waiting.add(units.length);
      units.push(unit);
      results.push(undefined);
      missing++;
    }
  }
  extend(spec.units);

  return {
    ...{ id, spec, units, states, startedAt, waiting, isMissing, hasFailed },
    /** Adds units that it does not have yet. */
    extend,
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
    results: (): Result[] =>
      spec.sum ? sums.nodes().map((node) => resultOf(node, spec.tasks.length)) : (results as Result[]),
    /** The indices of these units in the round; −1 for units that do not belong to it. */
    indicesOf: (units: WorkUnit[]) => units.map((unit) => indexOf.get(key(unit)) ?? -1),
    /** Checks a result: was this worker assigned these units, is it valid, and does it add anything new? */
    judge(worker: string, indices: number[], tasks: Tensors[]): ResultVerdict {
      const [from, to] = [indices[0], indices[0] + indices.length];
      if (from === undefined || from < 0) return 'not asked for';
      if (!indices.every((index, i) => index === from + i)) return 'not asked for';
      const { shard } = units[from];
      const isRange = indices.every((index, i) => units[index].shard === shard + i);
      if (!(spec.sum ? isRange && isAligned(shard, shard + indices.length) : indices.length === 1))
        return 'not asked for';
      if (!indices.every((index) => assigned.get(worker)?.has(index))) return 'not asked for';
      if (check(tasks, units.slice(from, to), spec.sampled)) return 'wrong shape';
      // Aligned ranges are either nested or disjoint: one of which something is missing replaces those inside it.
      return indices.some(isMissing) ? 'accepted' : 'late';
    },
    /** Stores a result that `judge` accepted. */
    accept(worker: string, indices: number[], tasks: Tensors[]): void {
      const [from] = indices;
      const result = { from, to: from + 1, tasks: spec.each || spec.sum ? [] : tasks, worker };
      const { shard } = units[from];
      if (spec.sum) sums.add({ from: shard, to: shard + indices.length, sums: arraysOf(tasks) });
      for (const index of indices) {
        if (isMissing(index)) missing--;
        results[index] = result;
        waiting.delete(index);
      }
      spec.each?.(units[from], tasks);
    },
  };
}

/** Sums of all tasks, named `index of the task/name`. */
const arraysOf = (tasks: Tensors[]): PartialSum['sums'] =>
  Object.fromEntries(
    Object.entries(prefixed(tasks.map((tensors, i) => [i, tensors]))).map(([name, { data }]) => [
      name,
      data as Float64Array | Float32Array,
    ]),
  );

function resultOf({ from, to, sums }: PartialSum, count: number): Result {
  const tensors = Object.fromEntries(Object.entries(sums).map(([name, data]) => [name, nd(data)]));
  return { from, to, tasks: Array.from({ length: count }, (_, i) => unprefixed(tensors, i)), worker: '' };
}

/** The sample as it is in the file: rows of each shard, those of priority below `below`. */
export interface HeldSample {
  below: number;
  shards: Float32Array[];
}
