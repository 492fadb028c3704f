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
  /** Called with each result as it arrives, in any order, instead of collecting them. */
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

/**
 * A round in progress: which units are waiting, who was assigned which, and which results have arrived. Units are
 * identified by their index in the round.
 */
export class Round {
  readonly id: number;
  readonly spec: RoundSpec;
  /** The states that its tasks read, as of its start. */
  readonly states: ReadonlyMap<string, PublishedState>;
  readonly startedAt: number;
  /** Units that no worker has, in order. */
  readonly waiting: Set<number>;
  readonly #indices: Map<string, number>;
  /** Units assigned to each worker, including workers that have left since. */
  readonly #assigned = new Map<string, Set<number>>();
  /** The result that covers each unit. */
  readonly #results: (Result | undefined)[];
  /** By unit. */
  readonly #failures = new Map<number, UnitFailure[]>();
  #missing: number;

  readonly #check: ResultCheck;

  constructor(
    id: number,
    spec: RoundSpec,
    states: ReadonlyMap<string, PublishedState>,
    check: ResultCheck,
    startedAt: number,
  ) {
    const { units } = spec;
    this.id = id;
    this.spec = spec;
    this.states = states;
    this.#check = check;
    this.startedAt = startedAt;
    this.waiting = new Set(units.keys());
    this.#indices = new Map(units.map((unit, index) => [key(unit), index]));
    this.#results = Array(units.length);
    this.#missing = units.length;
  }

  /** Records that the worker is assigned these units. */
  assign(worker: string, indices: number[]): void {
    const assigned = this.#assigned.get(worker) ?? new Set();
    for (const index of indices) assigned.add(index);
    this.#assigned.set(worker, assigned);
  }

  hasAssigned(worker: string, index: number): boolean {
    return this.#assigned.get(worker)?.has(index) ?? false;
  }

  /** Has this unit failed at this worker? */
  hasFailed(worker: string, index: number): boolean {
    return this.#failures.get(index)?.some((failure) => failure.worker === worker) ?? false;
  }

  /**
   * Records that a unit failed at a worker. Returns whether there is no use in another attempt: it has failed at each of the
   * workers `present`, at least two in all, or again and again at the only one.
   */
  fail(index: number, failure: UnitFailure, present: string[]): boolean {
    const failures = [...(this.#failures.get(index) ?? []), failure];
    this.#failures.set(index, failures);
    if (!present.every((worker) => this.hasFailed(worker, index))) return false;
    const most = failures.every(({ cause }) => cause === 'task') ? MOST_TASK_FAILURES : MOST_OTHER_FAILURES;
    return new Set(failures.map(({ worker }) => worker)).size > 1 || failures.length >= most;
  }

  isMissing(index: number): boolean {
    return !this.#results[index];
  }

  isComplete(): boolean {
    return this.#missing === 0;
  }

  /** Results that cover each unit once, in the order of the units. */
  results(): Result[] {
    return [...new Set(this.#results as Result[])];
  }

  /** The indices of these units in the round; −1 for units that do not belong to it. */
  indicesOf(units: WorkUnit[]): number[] {
    return units.map((unit) => this.#indices.get(key(unit)) ?? -1);
  }

  /** Checks a result: was this worker assigned these units, is it valid, and does it add anything new? */
  judge(worker: string, indices: number[], tasks: Tensors[]): ResultVerdict {
    const { spec } = this;
    const [from, to] = [indices[0], indices[0] + indices.length];
    const assigned = this.#assigned.get(worker);
    if (!indices.every((index, i) => index === from + i)) return 'not asked for';
    if (!(spec.sum ? isAligned(from, to) : indices.length === 1)) return 'not asked for';
    if (!indices.every((index) => assigned?.has(index))) return 'not asked for';
    if (this.#check(tasks, spec.units.slice(from, to), spec.sampled)) return 'wrong shape';
    // Aligned ranges are either nested or disjoint: a larger one replaces those inside it.
    const previous = this.#results[from];
    if (previous && previous.to >= to) return 'late';
    return 'accepted';
  }

  /** Stores a result that `judge` accepted. */
  accept(worker: string, indices: number[], tasks: Tensors[]): void {
    const { each, units } = this.spec;
    const [from] = indices;
    const result = { from, to: from + indices.length, tasks: each ? [] : tasks, worker };
    for (const index of indices) {
      if (this.isMissing(index)) this.#missing--;
      this.#results[index] = result;
      this.waiting.delete(index);
    }
    each?.(units[from], tasks);
  }
}
