import { isAligned } from '../../model/tree.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { Task } from '../../proto/tasks.ts';
import { dtypeOf, type TensorDtype, type Tensors } from '../../proto/tensors.ts';

/** Type and number of elements of each tensor that a task gives; null where any number will do. */
export type Expected = Record<string, [TensorDtype, number | null]>;

export interface RoundSpec {
  tasks: Task[];
  /** Names of the states that the tasks read. */
  uses: string[];
  units: WorkUnit[];
  /** A unit streams its rows from the source: any worker may take it. Else its sample is in its owner's memory. */
  streams: boolean;
  /** Only sums over all units are wanted: a result may be that of an aligned power of two of them. */
  sum?: boolean;
  /** What each task gives on a unit; a result of another shape is refused. */
  expects: (unit: WorkUnit) => Expected[];
  /** What shapes do not tell. */
  isSound?: (tasks: Tensors[]) => boolean;
  /** Called with each result as it comes, in any order, in place of gathering them. */
  each?: (unit: WorkUnit, results: Tensors[]) => void;
}

/** What the tasks gave on the units at places `from … to−1` of a round: one unit, unless the round asks for sums. */
export interface Result {
  from: number;
  to: number;
  tasks: Tensors[];
}

/** What became of a result: taken; of an old round, or in already; of a unit that its sender never got; unusable. */
export type Verdict = 'taken' | 'late' | 'not asked for' | 'wrong shape';

/** A version of what the tasks of rounds read. */
export interface State {
  version: number;
  tensors: Tensors;
}

const key = ({ shard, from, to }: WorkUnit) => `${shard}/${from}/${to}`;

/** A round under way: which of its units wait, who was given which, and which results are in. Units go by their place. */
export class Round {
  readonly id: number;
  readonly spec: RoundSpec;
  /** The states that it reads, as they were at its start. */
  readonly states: ReadonlyMap<string, State>;
  readonly begun: number;
  /** Units that nobody has, in order. */
  readonly waiting: Set<number>;
  readonly #places: Map<string, number>;
  /** Units that each worker was given, also those that have left since. */
  readonly #given = new Map<string, Set<number>>();
  /** The result that covers each unit. */
  readonly #results: (Result | undefined)[];
  #missing: number;

  constructor(id: number, spec: RoundSpec, states: ReadonlyMap<string, State>, begun: number) {
    const { units } = spec;
    this.id = id;
    this.spec = spec;
    this.states = states;
    this.begun = begun;
    this.waiting = new Set(units.keys());
    this.#places = new Map(units.map((unit, place) => [key(unit), place]));
    this.#results = Array(units.length);
    this.#missing = units.length;
  }

  /** Notes that this worker gets these units. */
  give(worker: string, places: number[]): void {
    const given = this.#given.get(worker) ?? new Set();
    for (const place of places) given.add(place);
    this.#given.set(worker, given);
  }

  /** Was this worker given any unit? */
  wasGivenUnits(worker: string): boolean {
    return this.#given.has(worker);
  }

  isMissing(place: number): boolean {
    return !this.#results[place];
  }

  isComplete(): boolean {
    return this.#missing === 0;
  }

  /** Results that cover each unit once, in the order of the units. */
  results(): Result[] {
    return [...new Set(this.#results as Result[])];
  }

  /** Where these units are in the round; −1 for those that are not of it. */
  placesOf(units: WorkUnit[]): number[] {
    return units.map((unit) => this.#places.get(key(unit)) ?? -1);
  }

  /** Is this a result that this worker was asked for, and does it bring anything new? */
  judge(worker: string, places: number[], tasks: Tensors[]): Verdict {
    const { spec } = this;
    const [from, to] = [places[0], places[0] + places.length];
    const given = this.#given.get(worker);
    if (!places.every((place, i) => place === from + i)) return 'not asked for';
    if (!(spec.sum ? isAligned(from, to) : places.length === 1)) return 'not asked for';
    if (!places.every((place) => given?.has(place))) return 'not asked for';
    const expected = spec.expects(spec.units[from]);
    if (!tasks.every((tensors, i) => matches(tensors, expected[i]))) return 'wrong shape';
    if (spec.isSound?.(tasks) === false) return 'wrong shape';
    // Aligned stretches are nested or apart: a larger one takes the place of what it contains.
    const before = this.#results[from];
    return before && before.to >= to ? 'late' : 'taken';
  }

  /** Takes a result, which was found to be good, for the units at these places. */
  take(places: number[], tasks: Tensors[]): void {
    const { each, units } = this.spec;
    const [from] = places;
    const result = { from, to: from + places.length, tasks: each ? [] : tasks };
    for (const place of places) {
      if (this.isMissing(place)) this.#missing--;
      this.#results[place] = result;
      this.waiting.delete(place);
    }
    each?.(units[from], tasks);
  }
}

function matches(tensors: Tensors, expected: Expected): boolean {
  const names = Object.keys(tensors);
  return (
    names.length === Object.keys(expected).length &&
    names.every((name) => {
      const found = Object.hasOwn(expected, name) && expected[name];
      if (!found) return false;
      const { data } = tensors[name];
      return dtypeOf(data) === found[0] && (found[1] === null || data.length === found[1]);
    })
  );
}
