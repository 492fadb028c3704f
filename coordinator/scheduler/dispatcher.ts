import { setIn } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { prefixed, unprefixed } from '../../proto/codec.ts';
import type { FromWorker, StateRef, WorkUnit } from '../../proto/messages.ts';
import type { Task } from '../../proto/tasks.ts';
import type { Tensors } from '../../proto/tensors.ts';
import { type Result, Round, type RoundSpec, type State, type Verdict } from './round.ts';
import { assignShards, type Holders } from './shard-assignment.ts';

type Failure = Extract<FromWorker, { type: 'failure' }>;

/** What a computation asks of those who do it, whoever they are. */
export interface Dispatcher {
  /** Replaces a state; workers get it with the first round that reads it. */
  publish(name: string, tensors: Tensors): void;
  /** Results that cover each unit once, in the order of the units. Rejects with a task's failure. */
  round(spec: RoundSpec): Promise<Result[]>;
  /** Rejects the round under way. */
  abort(error: Error): void;
}

/** What a worker is told of a round, less what every message has. */
export interface Assignment {
  round: number;
  tasks: Task[];
  units: WorkUnit[];
  sum: boolean;
  /** All states that the tasks read, and those of them that this worker lacks. */
  uses: StateRef[];
  states: StateRef[];
}

/** What dispatch needs of the world: it knows no sockets, and the clock (ms, monotonic) is passed in. */
export interface DispatcherOptions {
  shards: number;
  send(worker: string, assignment: Assignment, tensors: Tensors): void;
  now(): number;
  /** A round is over, after this many ms. */
  roundEnded?(took: number): void;
  /** A worker has left so many units behind, which others get. */
  reassigned?(units: number): void;
}

/** Streaming units under way at one worker: the next is there when one is done, and the rest can go elsewhere. */
const WINDOW = 2;
/** A worker is a straggler when it is silent for this many times the round's median silence before an answer … */
const STRAGGLING = 3;
/** … and this long, ms. Longer than a busy machine or a collection of garbage takes: being wrong costs double work. */
const PATIENCE_MS = 300;
/** Results closer together came in one message. */
const ONE_MESSAGE_MS = 1;

interface Worker {
  /** Versions of the states that it has. */
  known: Map<string, number>;
  /** Units under way, by their place in the round. */
  underWay: Set<number>;
  /** When the units under way were sent, or its last result came. */
  since: number;
  /** The round ended without it: it gets no more until it answers. */
  lags: boolean;
}

/** The round under way, and who waits for it. */
interface Current {
  round: Round;
  /** Ms of silence before each message with results: with the way there and back, as a straggler's is. */
  silences: number[];
  resolve(results: Result[]): void;
  reject(error: Error): void;
}

/**
 * Dispatches a round's units to workers and gathers one result for each. What a unit gives depends on nothing here, so a
 * lost unit is simply given to another, a slow one is raced by an idle worker, and a second result for it is dropped.
 */
export class UnitDispatcher implements Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #workers = new Map<string, Worker>();
  readonly #states = new Map<string, State>();
  readonly #holders: Holders = new Map();
  /** The worker of each shard. */
  #owners: (string | null)[];
  #versions = 0;
  #rounds = 0;
  #current: Current | null = null;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#owners = Array(options.shards).fill(null);
  }

  publish(name: string, tensors: Tensors): void {
    this.#states.set(name, { version: ++this.#versions, tensors });
  }

  round(spec: RoundSpec): Promise<Result[]> {
    if (this.#current) throw new Error('a round is already under way');
    if (!spec.units.length) return Promise.resolve([]);
    this.#assignShards();
    return new Promise((resolve, reject) => {
      const states = new Map(spec.uses.map((name) => [name, this.#states.get(name)!]));
      const round = new Round(++this.#rounds, spec, states, this.#options.now());
      this.#current = { round, silences: [], resolve, reject };
      this.#dispatch();
    });
  }

  abort(error: Error): void {
    this.#end()?.reject(error);
  }

  /** Ms since the round under way began; 0 without one. */
  elapsed(): number {
    return this.#current ? this.#options.now() - this.#current.round.begun : 0;
  }

  workers(): string[] {
    return [...this.#workers.keys()];
  }

  join(worker: string): void {
    this.leave(worker);
    this.#holders.delete(worker);
    const since = this.#options.now();
    this.#workers.set(worker, { known: new Map(), underWay: new Set(), since, lags: false });
    // Mid-round, only shards that nobody has change hands: the samples of the others are where they are.
    if (!this.#current || this.#owners.some((owner) => owner === null)) this.#assignShards();
    this.#dispatch();
  }

  /** Returns the tasks that it had under way. */
  leave(worker: string): string[] {
    const gone = this.#workers.get(worker);
    if (!gone) return [];
    this.#workers.delete(worker);
    this.#assignShards();
    const round = this.#current?.round;
    if (!round) return [];
    const before = round.waiting.size;
    for (const place of gone.underWay) if (round.isMissing(place)) round.waiting.add(place);
    for (const { underWay } of this.#workers.values())
      for (const place of underWay) round.waiting.delete(place);
    const left = round.waiting.size - before;
    if (left > 0) this.#options.reassigned?.(left);
    this.#dispatch();
    return gone.underWay.size ? round.spec.tasks.map(({ task }) => task) : [];
  }

  /** What a worker says that its tasks gave on these units. */
  result(
    worker: string,
    { round: id, units }: { round: number; units: WorkUnit[] },
    tensors: Tensors,
  ): Verdict {
    const current = this.#current;
    const sender = this.#workers.get(worker);
    if (!current || id !== current.round.id) {
      if (id > this.#rounds) return 'not asked for';
      if (sender) sender.lags = false;
      return 'late';
    }
    const { round } = current;
    const tasks = round.spec.tasks.map((_, i) => unprefixed(tensors, i));
    const places = round.placesOf(units);
    const verdict = round.judge(worker, places, tasks);
    if (verdict === 'not asked for' || verdict === 'wrong shape') return verdict;
    if (sender) {
      const now = this.#options.now();
      if (now - sender.since >= ONE_MESSAGE_MS) current.silences.push(now - sender.since);
      sender.since = now;
      sender.lags = false;
      for (const place of places) sender.underWay.delete(place);
    }
    if (verdict === 'late') return verdict;
    round.take(places, tasks);
    if (round.isComplete()) {
      this.#end();
      this.#options.roundEnded?.(this.#options.now() - round.begun);
      current.resolve(round.results());
    } else if (round.spec.streams) this.#dispatch();
    return verdict;
  }

  /** A task has failed at this worker. */
  failure(worker: string, { round, mistake, message }: Pick<Failure, 'round' | 'mistake' | 'message'>): void {
    const current = this.#current?.round;
    if (round !== current?.id || !current.wasGivenUnits(worker)) return;
    const text = setIn(message);
    this.abort(mistake ? new UserError(text) : new Error(`worker ${worker}: ${text}`));
  }

  /** Time has passed: gives the units of stragglers to idle workers too. Returns how many. */
  race(): number {
    const current = this.#current;
    if (!current || current.round.waiting.size || !current.silences.length) return 0;
    const { round, silences } = current;
    const idle = this.#answering().filter((worker) => !this.#workers.get(worker)!.underWay.size);
    const late = this.#lateUnits(round, silences);
    if (!idle.length || !late.length) return 0;
    const each = Math.ceil(late.length / idle.length);
    idle.forEach((worker, i) => {
      const places = late.slice(i * each, (i + 1) * each);
      if (places.length) this.#sendUnits(round, worker, places);
    });
    return late.length;
  }

  /** Units without a result that stragglers have. */
  #lateUnits(round: Round, silences: number[]): number[] {
    const median = [...silences].sort((a, b) => a - b)[silences.length >> 1];
    const patience = Math.max(PATIENCE_MS, STRAGGLING * median);
    const now = this.#options.now();
    const late = new Set<number>();
    for (const { underWay, since } of this.#workers.values())
      if (underWay.size && now - since > patience)
        for (const place of underWay) if (round.isMissing(place)) late.add(place);
    return [...late];
  }

  /** Workers that answer; all, if none does. */
  #answering(): string[] {
    const all = this.workers();
    const quick = all.filter((worker) => !this.#workers.get(worker)!.lags);
    return quick.length ? quick : all;
  }

  #assignShards(): void {
    this.#owners = assignShards(this.#owners, this.#answering(), this.#holders);
  }

  /** Gives every worker with room what is waiting and its own to do. */
  #dispatch(): void {
    const round = this.#current?.round;
    if (!round || !this.#workers.size) return;
    const { units, streams } = round.spec;
    const given = new Map<string, number[]>();
    const hasRoom = (worker: string) =>
      !streams || this.#workers.get(worker)!.underWay.size + (given.get(worker)?.length ?? 0) < WINDOW;
    const give = (worker: string, place: number) => {
      round.waiting.delete(place);
      given.set(worker, [...(given.get(worker) ?? []), place]);
    };
    for (const place of round.waiting) {
      const owner = this.#owners[units[place].shard]!;
      if (hasRoom(owner)) give(owner, place);
    }
    if (streams) {
      for (const worker of this.#answering())
        for (const place of round.waiting) if (hasRoom(worker)) give(worker, place);
    }
    for (const [worker, places] of given) this.#sendUnits(round, worker, places);
  }

  #sendUnits(round: Round, name: string, places: number[]): void {
    const worker = this.#workers.get(name)!;
    const { spec, states } = round;
    const uses = [...states].map(([name, { version }]) => ({ name, version }));
    const missing = uses.filter(({ name, version }) => worker.known.get(name) !== version);
    for (const { name, version } of missing) worker.known.set(name, version);
    if (!worker.underWay.size) worker.since = this.#options.now();
    for (const place of places) worker.underWay.add(place);
    round.give(name, places);
    const units = places.map((place) => spec.units[place]);
    if (!spec.streams) this.#holds(name, units);
    this.#options.send(
      name,
      { round: round.id, tasks: spec.tasks, units, sum: spec.sum ?? false, uses, states: missing },
      prefixed(missing.map(({ name }) => [name, states.get(name)!.tensors])),
    );
  }

  /** From now on this worker has the rows of these units in memory. */
  #holds(worker: string, units: WorkUnit[]): void {
    const held = this.#holders.get(worker) ?? new Set();
    for (const { shard } of units) held.add(shard);
    this.#holders.set(worker, held);
  }

  #end(): Current | null {
    const current = this.#current;
    this.#current = null;
    for (const worker of this.#workers.values()) {
      worker.lags ||= worker.underWay.size > 0;
      worker.underWay.clear();
    }
    return current;
  }
}
