import { setIn } from '../../base/printable.ts';
import { UserError } from '../../base/user-error.ts';
import { isAligned } from '../../model/tree.ts';
import { prefixed, unprefixed } from '../../proto/codec.ts';
import type { FromWorker, StateRef, Unit } from '../../proto/messages.ts';
import type { Task } from '../../proto/tasks.ts';
import { type Dtype, dtypeOf, type Tensors } from '../../proto/tensors.ts';
import { type Holders, share } from './shard-assignment.ts';

type Failure = Extract<FromWorker, { type: 'failure' }>;

/** What a worker is told of a round; the membership adds what makes a message of it. */
export interface Deal {
  round: number;
  tasks: Task[];
  units: Unit[];
  sum: boolean;
  /** All states that the tasks read, and those of them that this worker lacks. */
  uses: StateRef[];
  states: StateRef[];
}

/** What dispatch needs of the world: it knows no sockets, and the clock (ms, monotonic) is passed in. */
export interface Link {
  send(worker: string, deal: Deal, tensors: Tensors): void;
  now(): number;
  /** A round is over, after this many ms. */
  roundEnded?(took: number): void;
  /** A worker has left so many units behind, which are dealt again. */
  dealtAgain?(units: number): void;
}

/** Type and number of elements of each tensor that a task gives; null where any number will do. */
export type Expected = Record<string, [Dtype, number | null]>;

export interface RoundSpec {
  tasks: Task[];
  /** Names of the states that the tasks read. */
  uses: string[];
  units: Unit[];
  /** A unit streams its rows from the source: any worker may take it. Else its sample is in its owner's memory. */
  streams: boolean;
  /** Only sums over all units are wanted: a result may be that of an aligned power of two of them. */
  sum?: boolean;
  /** What each task gives on a unit; a result of another shape is refused. */
  expects: (unit: Unit) => Expected[];
  /** What shapes do not tell. */
  isSound?: (tasks: Tensors[]) => boolean;
  /** Called with each result as it comes, in any order, in place of gathering them. */
  each?: (unit: Unit, results: Tensors[]) => void;
}

/** What the tasks gave on the units at places `from … to−1` of a round: one unit, unless the round asks for sums. */
export interface Result {
  from: number;
  to: number;
  tasks: Tensors[];
}

/** What became of a result: taken; of an old round, or in already; of a unit that its sender never got; unusable. */
export type Verdict = 'taken' | 'late' | 'not asked for' | 'wrong shape';

/**
 * Deals a round's units to workers and gathers one result for each. What a unit gives depends on nothing here, so a
 * lost unit is simply dealt again, a slow one is raced by an idle worker, and a second result for it is dropped.
 */
export interface Dispatcher {
  join(worker: string): void;
  /** Returns the tasks that it had under way. */
  leave(worker: string): string[];
  workers(): string[];
  /** Replaces a state; workers get it with the first round that reads it. */
  publish(name: string, tensors: Tensors): void;
  /** Results that cover each unit once, in the order of the units. Rejects with a task's failure. */
  round(spec: RoundSpec): Promise<Result[]>;
  result(worker: string, of: { round: number; units: Unit[] }, tensors: Tensors): Verdict;
  failure(worker: string, header: Pick<Failure, 'round' | 'mistake' | 'message'>): void;
  /** Ms since the round under way began; 0 without one. */
  elapsed(): number;
  /** Time has passed: gives the units of stragglers to idle workers too. Returns how many. */
  race(): number;
  /** Rejects the round under way. */
  abort(error: Error): void;
}

/** Streaming units under way at one worker: the next is there when one is done, and the rest can go elsewhere. */
const WINDOW = 2;
/** A worker is a straggler when it is silent for this many times the round's median silence before an answer … */
const STRAGGLING = 3;
/** … and this long, ms. Longer than a busy machine or a collection of garbage takes: being wrong costs double work. */
const PATIENCE_MS = 300;
/** Results closer together came in one message. */
const ONE_MESSAGE_MS = 1;

interface Member {
  /** Versions of the states that it has. */
  known: Map<string, number>;
  /** Units under way, by their place in the round. */
  underWay: Set<number>;
  /** When the units under way were sent, or its last result came. */
  since: number;
  /** The round ended without it: it gets no more until it answers. */
  lags: boolean;
}

interface Round {
  id: number;
  begun: number;
  spec: RoundSpec;
  /** The states as they were at its start. */
  states: Map<string, State>;
  /** By place: the result that covers it. */
  results: (Result | undefined)[];
  /** Places of units that nobody has, in order. */
  waiting: Set<number>;
  /** Places that each worker has been given, also those that have left since. */
  given: Map<string, Set<number>>;
  /** Ms of silence before each message with results: with the way there and back, as a straggler's is. */
  silences: number[];
  left: number;
  resolve(results: Result[]): void;
  reject(error: Error): void;
}

interface State {
  version: number;
  tensors: Tensors;
}

export function createDispatcher(link: Link, shards: number): Dispatcher {
  const members = new Map<string, Member>();
  const states = new Map<string, State>();
  const holders: Holders = new Map();
  let owners: (string | null)[] = Array(shards).fill(null);
  let versions = 0;
  let rounds = 0;
  let current: Round | null = null;

  const key = ({ shard, from, to }: Unit) => `${shard}/${from}/${to}`;
  let places = new Map<string, number>();

  /** Those that answer; all, if none does. */
  function answering(): string[] {
    const all = [...members.keys()];
    const quick = all.filter((worker) => !members.get(worker)!.lags);
    return quick.length ? quick : all;
  }

  const shareOut = () => {
    owners = share(owners, answering(), holders);
  };

  /** Gives every worker with room what is waiting and its own to do. */
  function deal(): void {
    const round = current;
    if (!round || !members.size) return;
    const given = new Map<string, number[]>();
    const room = (worker: string) =>
      (round.spec.streams ? WINDOW : Infinity) -
      members.get(worker)!.underWay.size -
      (given.get(worker)?.length ?? 0);
    const give = (worker: string, place: number) => {
      round.waiting.delete(place);
      given.set(worker, [...(given.get(worker) ?? []), place]);
    };
    for (const place of round.waiting) {
      const owner = owners[round.spec.units[place].shard]!;
      if (room(owner) > 0) give(owner, place);
    }
    if (round.spec.streams) {
      for (const worker of answering())
        for (const place of round.waiting) if (room(worker) > 0) give(worker, place);
    }
    for (const [worker, found] of given) sendUnits(round, worker, found);
  }

  function sendUnits(round: Round, worker: string, found: number[]): void {
    const member = members.get(worker)!;
    const uses = [...round.states].map(([name, { version }]) => ({ name, version }));
    const missing = uses.filter(({ name, version }) => member.known.get(name) !== version);
    for (const { name, version } of missing) member.known.set(name, version);
    const given = round.given.get(worker) ?? new Set();
    const held = holders.get(worker) ?? new Set();
    if (!member.underWay.size) member.since = link.now();
    for (const place of found) {
      member.underWay.add(place);
      given.add(place);
      if (!round.spec.streams) held.add(round.spec.units[place].shard);
    }
    round.given.set(worker, given);
    holders.set(worker, held);
    link.send(
      worker,
      {
        round: round.id,
        tasks: round.spec.tasks,
        units: found.map((place) => round.spec.units[place]),
        sum: round.spec.sum ?? false,
        uses,
        states: missing,
      },
      prefixed(missing.map(({ name }) => [name, round.states.get(name)!.tensors])),
    );
  }

  function leave(worker: string): string[] {
    const gone = members.get(worker);
    if (!gone) return [];
    members.delete(worker);
    shareOut();
    const before = current?.waiting.size ?? 0;
    for (const place of gone.underWay) if (!current?.results[place]) current?.waiting.add(place);
    for (const { underWay } of members.values()) for (const place of underWay) current?.waiting.delete(place);
    const again = (current?.waiting.size ?? 0) - before;
    if (again > 0) link.dealtAgain?.(again);
    deal();
    return gone.underWay.size && current ? current.spec.tasks.map(({ task }) => task) : [];
  }

  function end(): Round | null {
    const round = current;
    current = null;
    for (const member of members.values()) {
      member.lags ||= member.underWay.size > 0;
      member.underWay.clear();
    }
    return round;
  }

  function verdict(
    round: Round | null,
    worker: string,
    id: number,
    units: Unit[],
    tasks: Tensors[],
  ): Verdict {
    if (!round || id !== round.id) return id <= rounds ? 'late' : 'not asked for';
    const at = units.map((unit) => places.get(key(unit)) ?? -1);
    const [from, to] = [at[0], at[0] + at.length];
    if (!at.every((place, i) => place === from + i)) return 'not asked for';
    if (!(round.spec.sum ? isAligned(from, to) : at.length === 1)) return 'not asked for';
    if (!at.every((place) => round.given.get(worker)?.has(place))) return 'not asked for';
    const expected = round.spec.expects(units[0]);
    if (!tasks.every((tensors, i) => matches(tensors, expected[i]))) return 'wrong shape';
    if (round.spec.isSound?.(tasks) === false) return 'wrong shape';
    // Aligned stretches are nested or apart: a larger one takes the place of what it contains.
    const before = round.results[from];
    return before && before.to >= to ? 'late' : 'taken';
  }

  return {
    workers: () => [...members.keys()],
    join(worker) {
      leave(worker);
      holders.delete(worker);
      members.set(worker, { known: new Map(), underWay: new Set(), since: link.now(), lags: false });
      // Mid-round, only shards that nobody has change hands: the samples of the others are where they are.
      if (!current || owners.some((owner) => owner === null)) shareOut();
      deal();
    },
    leave,
    publish(name, tensors) {
      states.set(name, { version: ++versions, tensors });
    },
    round(spec) {
      if (current) throw new Error('a round is already under way');
      if (!spec.units.length) return Promise.resolve([]);
      shareOut();
      places = new Map(spec.units.map((unit, place) => [key(unit), place]));
      return new Promise((resolve, reject) => {
        current = {
          id: ++rounds,
          begun: link.now(),
          spec,
          states: new Map(spec.uses.map((name) => [name, states.get(name)!])),
          results: Array(spec.units.length),
          waiting: new Set(spec.units.keys()),
          given: new Map(),
          silences: [],
          left: spec.units.length,
          resolve,
          reject,
        };
        deal();
      });
    },
    result(worker, { round: id, units }, tensors) {
      const round = current;
      const member = members.get(worker);
      const tasks = round ? round.spec.tasks.map((_, i) => unprefixed(tensors, i)) : [];
      const found = verdict(round, worker, id, units, tasks);
      if (member && (found === 'taken' || found === 'late')) member.lags = false;
      if (!round || id !== round.id || found === 'not asked for' || found === 'wrong shape') return found;
      const from = places.get(key(units[0]))!;
      const covered = units.map((_, i) => from + i);
      if (member) {
        const now = link.now();
        if (now - member.since >= ONE_MESSAGE_MS) round.silences.push(now - member.since);
        member.since = now;
        for (const place of covered) member.underWay.delete(place);
      }
      if (found === 'late') return found;
      const result = { from, to: from + units.length, tasks };
      const kept = round.spec.each ? { ...result, tasks: [] } : result;
      for (const place of covered) {
        if (!round.results[place]) round.left--;
        round.results[place] = kept;
        round.waiting.delete(place);
      }
      round.spec.each?.(units[0], tasks);
      if (round.left === 0) {
        end();
        link.roundEnded?.(link.now() - round.begun);
        round.resolve([...new Set(round.results as Result[])]);
      } else if (round.spec.streams) deal();
      return found;
    },
    failure(worker, { round, mistake, message }) {
      if (round !== current?.id || !current.given.has(worker)) return;
      end()!.reject(
        mistake ? new UserError(setIn(message)) : new Error(`worker ${worker}: ${setIn(message)}`),
      );
    },
    elapsed: () => (current ? link.now() - current.begun : 0),
    race() {
      const round = current;
      if (!round || round.waiting.size || !round.silences.length) return 0;
      const median = [...round.silences].sort((a, b) => a - b)[round.silences.length >> 1];
      const patience = Math.max(PATIENCE_MS, STRAGGLING * median);
      const idle = answering().filter((worker) => !members.get(worker)!.underWay.size);
      const late = new Set<number>();
      for (const { underWay, since } of members.values())
        if (underWay.size && link.now() - since > patience)
          for (const place of underWay) if (!round.results[place]) late.add(place);
      if (!idle.length || !late.size) return 0;
      const each = Math.ceil(late.size / idle.length);
      const slow = [...late];
      idle.forEach((worker, i) => {
        const mine = slow.slice(i * each, (i + 1) * each);
        if (mine.length) sendUnits(round, worker, mine);
      });
      return late.size;
    },
    abort: (error) => end()?.reject(error),
  };
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
