import { UserError } from '../data/user-error.ts';
import { isAligned } from '../model/tree.ts';
import { prefixed, unprefixed } from '../proto/codec.ts';
import type { FromCoordinator, FromWorker, StateRef, Unit } from '../proto/messages.ts';
import type { Task } from '../proto/tasks.ts';
import type { Tensors } from '../proto/tensors.ts';

type Failure = Extract<FromWorker, { type: 'failure' }>;

/** What dispatch needs of the world: it knows no sockets and no clock. */
export interface Link {
  send(worker: string, message: FromCoordinator, tensors: Tensors): void;
}

export interface RoundSpec {
  tasks: Task[];
  /** Names of the states that the tasks read. */
  uses: string[];
  units: Unit[];
  /** A unit streams its rows from the source: any worker may take it. Else its sample is in its owner's memory. */
  streams: boolean;
  /** Only sums over all units are wanted: a result may be that of an aligned power of two of them. */
  sum?: boolean;
  /** Called with each result as it comes, in any order, in place of gathering them. */
  each?: (unit: Unit, results: Tensors[]) => void;
}

/** What the tasks gave on the units at places `from … to−1` of a round: one unit, unless the round asks for sums. */
export interface Result {
  from: number;
  to: number;
  tasks: Tensors[];
}

/**
 * Deals a round's units to workers and gathers one result for each. What a unit gives depends on nothing here, so a
 * lost unit is simply dealt again, and a second result for it is dropped.
 */
export interface Dispatcher {
  join(worker: string): void;
  leave(worker: string): void;
  workers(): string[];
  /** Replaces a state; workers get it with the first round that reads it. */
  publish(name: string, tensors: Tensors): void;
  /** Results that cover each unit once, in the order of the units. Rejects with a task's failure. */
  round(spec: RoundSpec): Promise<Result[]>;
  /** False if the result was of no use: of an old round, or of units already in. */
  result(worker: string, of: { round: number; units: Unit[] }, tensors: Tensors): boolean;
  failure(worker: string, header: Failure): void;
  /** Rejects the round under way. */
  abort(error: Error): void;
}

/** Streaming units under way at one worker: the next is there when one is done, and the rest can go elsewhere. */
const WINDOW = 2;

interface Member {
  /** Versions of the states that it has. */
  known: Map<string, number>;
  /** Units under way, by their place in the round. */
  underWay: Set<number>;
}

interface Round {
  id: number;
  spec: RoundSpec;
  /** By place: the result that covers it. */
  results: (Result | undefined)[];
  /** Places of units that nobody has, in order. */
  waiting: Set<number>;
  left: number;
  resolve(results: Result[]): void;
  reject(error: Error): void;
}

export function createDispatcher(link: Link, shards: number): Dispatcher {
  const members = new Map<string, Member>();
  const states = new Map<string, { version: number; tensors: Tensors }>();
  let owners: (string | null)[] = Array(shards).fill(null);
  let versions = 0;
  let rounds = 0;
  let current: Round | null = null;

  const same = (a: Unit, b: Unit) => a.shard === b.shard && a.from === b.from && a.to === b.to;

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
      for (const worker of members.keys())
        for (const place of round.waiting) if (room(worker) > 0) give(worker, place);
    }
    for (const [worker, places] of given) sendUnits(round, worker, places);
  }

  function sendUnits(round: Round, worker: string, places: number[]): void {
    const member = members.get(worker)!;
    const uses: StateRef[] = round.spec.uses.map((name) => ({ name, version: states.get(name)!.version }));
    const missing = uses.filter(({ name, version }) => member.known.get(name) !== version);
    for (const { name, version } of missing) member.known.set(name, version);
    for (const place of places) member.underWay.add(place);
    link.send(
      worker,
      {
        type: 'round',
        round: round.id,
        tasks: round.spec.tasks,
        units: places.map((place) => round.spec.units[place]),
        sum: round.spec.sum ?? false,
        uses,
        states: missing,
      },
      prefixed(missing.map(({ name }) => [name, states.get(name)!.tensors])),
    );
  }

  function leave(worker: string): void {
    const gone = members.get(worker);
    if (!gone) return;
    members.delete(worker);
    owners = share(
      owners.map((owner) => (owner === worker ? null : owner)),
      [...members.keys()],
    );
    for (const place of gone.underWay) current?.waiting.add(place);
    deal();
  }

  function abort(error: Error): void {
    const round = current;
    current = null;
    for (const member of members.values()) member.underWay.clear();
    round?.reject(error);
  }

  return {
    workers: () => [...members.keys()],
    join(worker) {
      leave(worker);
      members.set(worker, { known: new Map(), underWay: new Set() });
      // Mid-round, only shards that nobody has change hands: the samples of the others are where they are.
      if (!current || owners.some((owner) => owner === null)) owners = share(owners, [...members.keys()]);
      deal();
    },
    leave,
    publish(name, tensors) {
      states.set(name, { version: ++versions, tensors });
    },
    round(spec) {
      if (current) throw new Error('a round is already under way');
      if (!spec.units.length) return Promise.resolve([]);
      owners = share(owners, [...members.keys()]);
      return new Promise((resolve, reject) => {
        current = {
          id: ++rounds,
          spec,
          results: Array(spec.units.length),
          waiting: new Set(spec.units.keys()),
          left: spec.units.length,
          resolve,
          reject,
        };
        deal();
      });
    },
    result(worker, { round: id, units }, tensors) {
      const round = current;
      if (!round || id !== round.id) return false;
      const places = units.map((unit) => round.spec.units.findIndex((other) => same(other, unit)));
      const [from, to] = [places[0], places[0] + places.length];
      const inOrder = from >= 0 && places.every((place, i) => place === from + i);
      if (!inOrder || !(round.spec.sum ? isAligned(from, to) : places.length === 1)) return false;
      const underWay = members.get(worker)?.underWay;
      for (const place of places) underWay?.delete(place);
      // Aligned stretches are nested or apart: a larger one takes the place of what it contains.
      if (round.results[from] && round.results[from].to >= to) return false;
      const result = { from, to, tasks: round.spec.tasks.map((_, i) => unprefixed(tensors, i)) };
      const kept = round.spec.each ? { ...result, tasks: [] } : result;
      for (const place of places) {
        if (!round.results[place]) round.left--;
        round.results[place] = kept;
        round.waiting.delete(place);
      }
      round.spec.each?.(units[0], result.tasks);
      if (round.left === 0) {
        current = null;
        for (const member of members.values()) member.underWay.clear();
        round.resolve([...new Set(round.results as Result[])]);
      } else if (round.spec.streams) deal();
      return true;
    },
    failure(worker, header) {
      if (header.round !== current?.id) return;
      abort(
        header.mistake ? new UserError(header.message) : new Error(`worker ${worker}: ${header.message}`),
      );
    },
    abort,
  };
}

/** Shares shards evenly among workers, moving as few as possible from the owners they have. */
export function share(owners: (string | null)[], workers: string[]): (string | null)[] {
  if (!workers.length) return owners.map(() => null);
  const held = new Map(workers.map((worker) => [worker, owners.filter((owner) => owner === worker).length]));
  const least = Math.floor(owners.length / workers.length);
  let extra = owners.length % workers.length;
  const quota = new Map<string, number>();
  for (const worker of [...workers].sort((a, b) => held.get(b)! - held.get(a)!))
    quota.set(worker, least + (extra-- > 0 ? 1 : 0));
  const out = owners.map((owner) => {
    const left = owner === null ? 0 : (quota.get(owner) ?? 0);
    if (left > 0) quota.set(owner!, left - 1);
    return left > 0 ? owner : null;
  });
  const free = workers.flatMap((worker) => Array<string>(quota.get(worker)!).fill(worker));
  return out.map((owner) => owner ?? free.shift()!);
}
