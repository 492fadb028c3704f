import type { Layout } from '../../model/layout.ts';
import { prefixed, unprefixed } from '../../proto/codec.ts';
import type { FromCoordinator, FromWorker, WorkUnit } from '../../proto/messages.ts';
import { resultCheck, statesOf } from '../../proto/tasks.ts';
import type { Tensors } from '../../proto/tensors.ts';
import { assignShards, type CachedShards, LATE_FACTOR, MIN_LATE_MS, Pace } from './balance.ts';
import {
  createRound,
  type PublishedState,
  type Result,
  type ResultVerdict,
  type Round,
  type RoundSpec,
  type UnitFailure,
} from './round.ts';

type Failure = Pick<Extract<FromWorker, { type: 'failure' }>, 'round' | 'unit'>;

/** How training has its rounds computed, independent of the workers. */
export interface RoundDispatcher {
  /** Publishes a new version of a state; workers receive it with the first round that reads it. */
  publish(name: string, tensors: Tensors): void;
  /** Resolves with results that cover each unit once, in the order of the units. Rejects if a task fails. */
  round(spec: RoundSpec): Promise<Result[]>;
}

export interface Dispatcher extends RoundDispatcher {
  /** Rejects the current round. */
  abort(error: Error): void;
}

/** A worker's part of a round, as sent in a `round` message. */
export type Assignment = Omit<Extract<FromCoordinator, { type: 'round' }>, 'type' | 'term'>;

/** The dispatcher uses neither sockets nor a clock (ms, monotonic): both are passed in. */
export interface DispatcherOptions {
  layout: Layout;
  /** What tasks read and return: proto/tasks.ts, unless a test has tasks of its own. */
  rules?: { statesOf: typeof statesOf; resultCheck: typeof resultCheck };
  send(worker: string, assignment: Assignment, tensors: Tensors): void;
  now(): number;
  /** A round is complete, after this many ms. */
  roundEnded?(duration: number): void;
  /** This many units of a worker that left are waiting for another worker. */
  reassigned?(units: number): void;
  /** Rounds are faster without this worker: it gets no units for a while. */
  rests?(worker: string): void;
}

/** Streaming units in flight per worker: enough to keep it busy, while the rest can go to other workers. */
const STREAM_WINDOW = 2;
/** Share of the time without work that idle workers may spend on units of others. */
const MOST_RACED = 0.5;
/** Silence, times that of a straggler, after which even most of all workers are raced. */
const STUCK_FACTOR = 10;
/** Results closer together than this arrived in one message. */
const SAME_MESSAGE_MS = 1;

interface WorkerProgress {
  /** Version of each state that the worker has. */
  stateVersions: Map<string, number>;
  /** Units that it is computing, by their index in the round. */
  inFlight: Set<number>;
  /** When its units were sent or its last result arrived, whichever is later. */
  silentSince: number;
  /** A round ended before it had finished: it gets no more units until a result arrives. */
  lagging: boolean;
  /** That round, and its silence in it. */
  owed: { kind: string; round: number; since: number } | null;
}

interface CurrentRound {
  round: Round;
  /** Ms of silence before each message with results. Includes the network round trip, as a straggler's silence does. */
  silences: number[];
  resolve(results: Result[]): void;
  reject(error: Error): void;
}

/**
 * Dispatches a round's units to workers and collects one result for each. A unit's result does not depend on who computes
 * it, so a lost unit is sent to another worker, a slow one is also sent to an idle worker, and duplicate results are dropped.
 */
export class UnitDispatcher implements Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #workers = new Map<string, WorkerProgress>();
  readonly #states = new Map<string, PublishedState>();
  readonly #cached: CachedShards = new Map();
  /** The worker that owns each shard. */
  #owners: (string | null)[];
  #layout: Layout;
  readonly #pace = new Pace();
  #versions = 0;
  #rounds = 0;
  /** Worker-milliseconds in which workers had no units though a round went on, and those that racing has cost. */
  readonly #idle = { time: 0, raced: 0, at: 0 };
  #current: CurrentRound | null = null;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#layout = options.layout;
    this.#owners = Array(options.layout.shards).fill(null);
  }

  publish(name: string, tensors: Tensors): void {
    this.#states.set(name, { version: ++this.#versions, tensors });
  }

  round(spec: RoundSpec): Promise<Result[]> {
    if (this.#current) throw new Error('a round is already in progress');
    if (!spec.units.length) return Promise.resolve([]);
    this.#assignShards();
    return new Promise((resolve, reject) => {
      const rules = this.#options.rules ?? { statesOf, resultCheck };
      const names = new Set(spec.tasks.flatMap(rules.statesOf));
      const states = new Map<string, PublishedState>();
      for (const name of names) {
        const state = this.#states.get(name);
        if (!state) throw new Error(`state ${name} was never published`);
        states.set(name, state);
      }
      const check = rules.resultCheck(this.#layout, spec.tasks, (name) => states.get(name)!.tensors);
      const round = createRound(++this.#rounds, spec, states, check, this.#options.now());
      this.#current = { round, silences: [], resolve, reject };
      this.#dispatch();
    });
  }

  abort(error: Error): void {
    this.#end()?.reject(error);
  }

  /** Ms since the current round started; 0 without one. */
  elapsed(): number {
    return this.#current ? this.#options.now() - this.#current.round.startedAt : 0;
  }

  workers(): string[] {
    return [...this.#workers.keys()];
  }

  /** From now on there are these shards, which nobody has. Only between two rounds. */
  serve(layout: Layout): void {
    this.#layout = layout;
    this.#owners = Array(layout.shards).fill(null);
  }

  join(worker: string): void {
    this.leave(worker);
    this.#cached.delete(worker);
    this.#workers.set(worker, {
      stateVersions: new Map(),
      inFlight: new Set(),
      silentSince: this.#options.now(),
      lagging: false,
      owed: null,
    });
    // During a round, reassign only if a shard has no owner: moving a shard means loading its sample again.
    if (!this.#current || this.#owners.some((owner) => owner === null)) this.#assignShards();
    this.#dispatch();
  }

  /** Returns the names of the tasks that it was computing. */
  leave(worker: string): string[] {
    const departed = this.#workers.get(worker);
    if (!departed) return [];
    this.#workers.delete(worker);
    this.#pace.forget(worker);
    this.#assignShards();
    const round = this.#current?.round;
    if (!round) return [];
    const before = round.waiting.size;
    for (const index of departed.inFlight) if (round.isMissing(index)) round.waiting.add(index);
    for (const { inFlight } of this.#workers.values())
      for (const index of inFlight) round.waiting.delete(index);
    const added = round.waiting.size - before;
    if (added > 0) this.#options.reassigned?.(added);
    this.#dispatch();
    return departed.inFlight.size ? round.spec.tasks.map(({ task }) => task) : [];
  }

  /** Handles the tasks' result for these units, as reported by a worker. */
  result(
    worker: string,
    { round: id, units }: { round: number; units: WorkUnit[] },
    tensors: Tensors,
  ): ResultVerdict {
    const current = this.#current;
    const sender = this.#workers.get(worker);
    if (!current || id !== current.round.id) {
      if (id > this.#rounds) return 'not asked for';
      if (sender?.owed) {
        const { kind, round, since } = sender.owed;
        this.#pace.answered(worker, kind, round, this.#options.now() - since);
      }
      if (sender) Object.assign(sender, { lagging: false, owed: null });
      return 'late';
    }
    const { round } = current;
    const tasks = round.spec.tasks.map((_, i) => unprefixed(tensors, i));
    const indices = round.indicesOf(units);
    const verdict = round.judge(worker, indices, tasks);
    if (verdict === 'not asked for' || verdict === 'wrong shape') return verdict;
    if (sender) {
      const now = this.#options.now();
      const silence = now - sender.silentSince;
      if (silence >= SAME_MESSAGE_MS) current.silences.push(silence);
      this.#pace.answered(worker, kindOf(round), id, silence, indices.length);
      Object.assign(sender, { silentSince: now, lagging: false, owed: null });
      for (const index of indices) sender.inFlight.delete(index);
    }
    if (verdict === 'late') return verdict;
    round.accept(worker, indices, tasks);
    if (round.isComplete()) {
      const now = this.#options.now();
      const duration = now - round.startedAt;
      const late = this.workers().filter((name) => this.#workers.get(name)!.inFlight.size);
      const { length: units } = round.spec.units;
      const resting = this.#pace.roundEnded(kindOf(round), id, late, { duration, units }, now);
      this.#end();
      for (const name of resting) this.#options.rests?.(name);
      this.#options.roundEnded?.(duration);
      current.resolve(round.results());
    } else if (round.spec.streams) this.#dispatch();
    return 'accepted';
  }

  /** Is this a unit of the current round that this worker was assigned and whose result is missing? */
  isAwaited(worker: string, { round: id, unit }: Failure): boolean {
    const round = this.#current?.round;
    if (id !== round?.id) return false;
    const [index] = round.indicesOf([unit]);
    return round.hasAssigned(worker, index) && round.isMissing(index);
  }

  /**
   * A unit has failed at a worker, which leaves: other workers get its units. Returns whether there is no use in that, as the
   * unit has failed at all of them.
   */
  failed(worker: string, { unit }: Failure, cause: UnitFailure['cause']): boolean {
    const { round } = this.#current!;
    const [index] = round.indicesOf([unit]);
    const others = this.workers().filter((other) => other !== worker);
    return round.fail(index, { worker, cause }, others);
  }

  /** The published version of a state. */
  state(name: string): Tensors | undefined {
    return this.#states.get(name)?.tensors;
  }

  /** Called regularly: sends the units of stragglers to idle workers too. Returns how many. */
  race(): number {
    const current = this.#current;
    if (!current || current.round.waiting.size) return 0;
    const { round, silences } = current;
    const idle = this.#responsive().filter((worker) => !this.#workers.get(worker)!.inFlight.size);
    const now = this.#options.now();
    this.#idle.time += idle.length * (now - Math.max(this.#idle.at, round.startedAt));
    this.#idle.at = now;
    if (!idle.length) return 0;
    const limit = silences.length ? limitOf(silences) : Infinity;
    if (this.#areMostLate(limit)) return 0;
    const late = this.#unitsHeld(round, limit);
    const each = Math.ceil(late.length / idle.length);
    const kind = kindOf(round);
    let raced = 0;
    for (const [i, worker] of idle.entries()) {
      const shared = late.slice(i * each, (i + 1) * each);
      const theirs = shared.length ? shared : this.#unitsFor(worker, round);
      const indices = theirs.filter((index) => !round.hasFailed(worker, index));
      const cost = this.#pace.unitTime(worker, kind);
      const most = cost
        ? Math.floor((MOST_RACED * this.#idle.time - this.#idle.raced) / cost)
        : indices.length;
      const sent = indices.slice(0, Math.max(0, most));
      if (sent.length) this.#sendUnits(round, worker, sent);
      this.#idle.raced += cost * sent.length;
      raced += sent.length;
    }
    return raced;
  }

  /** Are more than half of the workers late, though not by so much that they must be stuck? Then the machine is busy: more work would not help. */
  #areMostLate(limit: number): boolean {
    const now = this.#options.now();
    const all = [...this.#workers.values()];
    const late = all.filter(({ inFlight, silentSince }) => inFlight.size && now - silentSince > limit);
    const stuck = late.filter(({ silentSince }) => now - silentSince > STUCK_FACTOR * limit);
    return late.length > all.length / 2 && !stuck.length;
  }

  /** Is this worker left out for now, because rounds are faster without it? */
  rests(worker: string): boolean {
    return this.#pace.rests(worker, this.#options.now());
  }

  /** Units without a result, held by workers that have been silent for longer than `limit`. */
  #unitsHeld(round: Round, limit: number): number[] {
    const now = this.#options.now();
    const held = new Set<number>();
    for (const { inFlight, silentSince } of this.#workers.values())
      if (inFlight.size && now - silentSince > limit)
        for (const index of inFlight) if (round.isMissing(index)) held.add(index);
    return [...held];
  }

  /**
   * Units of others for a worker that has been idle for longer than it would need itself: those of workers that are as silent;
   * of others the second half, as they may be computing the first.
   */
  #unitsFor(worker: string, round: Round): number[] {
    const now = this.#options.now();
    const patience = this.#pace.patience(worker, kindOf(round));
    const idleSince = Math.max(round.startedAt, this.#workers.get(worker)!.silentSince);
    if (now - idleSince <= patience) return [];
    const silent = this.#unitsHeld(round, patience);
    if (silent.length) return silent;
    const held = this.#unitsHeld(round, 0).sort((a, b) => a - b);
    return held.slice(held.length >> 1);
  }

  /** What the current round waits for: workers with its units that have been silent for longer than `limit` and than usual. */
  awaited(limit: number): { worker: string; silence: number; tasks: string[] }[] {
    const round = this.#current?.round;
    if (!round) return [];
    const tasks = round.spec.tasks.map(({ task }) => task);
    return [...this.#workers].flatMap(([worker, { inFlight, silentSince }]) => {
      const silence = this.#options.now() - silentSince;
      const isLate = silence > Math.max(limit, this.#pace.lateAfter(worker, kindOf(round)));
      const isAwaited = isLate && [...inFlight].some((index) => round.isMissing(index));
      return isAwaited ? [{ worker, silence, tasks }] : [];
    });
  }

  /** Workers that are neither lagging nor very slow; all of them if every one is. */
  #responsive(): string[] {
    const all = this.workers();
    const now = this.#options.now();
    const responsive = all.filter(
      (worker) => !this.#workers.get(worker)!.lagging && !this.#pace.rests(worker, now),
    );
    return responsive.length ? responsive : all;
  }

  #assignShards(): void {
    this.#owners = assignShards(this.#owners, this.#responsive(), this.#cached);
  }

  /** Sends waiting units to the owners of their shards; streaming units to any worker with room, owners first. */
  #dispatch(): void {
    const round = this.#current?.round;
    if (!round || !this.#workers.size) return;
    const { units, streams } = round.spec;
    const batches = new Map<string, number[]>();
    const hasRoom = (worker: string) =>
      !streams ||
      this.#workers.get(worker)!.inFlight.size + (batches.get(worker)?.length ?? 0) < STREAM_WINDOW;
    const add = (worker: string, index: number) => {
      round.waiting.delete(index);
      batches.set(worker, [...(batches.get(worker) ?? []), index]);
    };
    /** A unit that failed at a worker goes to one where it has not, if there is one. */
    const mayTake = (worker: string, index: number) =>
      !round.hasFailed(worker, index) || this.workers().every((other) => round.hasFailed(other, index));
    for (const index of round.waiting) {
      const owner = this.#owners[units[index].shard]!;
      const others = () => [...this.#responsive(), ...this.workers()];
      const worker = mayTake(owner, index) ? owner : others().find((one) => mayTake(one, index))!;
      if (hasRoom(worker)) add(worker, index);
    }
    if (streams) {
      for (const worker of this.#responsive())
        for (const index of round.waiting) if (hasRoom(worker) && mayTake(worker, index)) add(worker, index);
    }
    for (const [worker, indices] of batches) this.#sendUnits(round, worker, indices);
  }

  #sendUnits(round: Round, name: string, indices: number[]): void {
    const worker = this.#workers.get(name)!;
    const { spec, states } = round;
    const uses = [...states].map(([name, { version }]) => ({ name, version }));
    const missing = uses.filter(({ name, version }) => worker.stateVersions.get(name) !== version);
    for (const { name, version } of missing) worker.stateVersions.set(name, version);
    if (!worker.inFlight.size) worker.silentSince = this.#options.now();
    for (const index of indices) worker.inFlight.add(index);
    round.assign(name, indices);
    const units = indices.map((index) => spec.units[index]);
    // It keeps the rows of these units in memory from now on.
    if (!spec.streams)
      this.#cached.set(
        name,
        new Set([...(this.#cached.get(name) ?? []), ...units.map(({ shard }) => shard)]),
      );
    this.#options.send(
      name,
      { round: round.id, tasks: spec.tasks, units, sum: spec.sum ?? false, uses, states: missing },
      prefixed(missing.map(({ name }) => [name, states.get(name)!.tensors])),
    );
  }

  #end(): CurrentRound | null {
    const current = this.#current;
    this.#current = null;
    if (!current) return null;
    const { round } = current;
    for (const worker of this.#workers.values()) {
      if (worker.inFlight.size) {
        worker.lagging = true;
        worker.owed = { kind: kindOf(round), round: round.id, since: worker.silentSince };
      }
      worker.inFlight.clear();
    }
    return current;
  }
}

/** Rounds of the same tasks take about the same time, but for the training of an encoder: those of about as many rows do. */
const kindOf = ({ spec }: Round) =>
  spec.tasks
    .map((task) => ('length' in task ? `${task.task}/${Math.round(Math.log2(task.length))}` : task.task))
    .join('+');

/** The silence after which a worker is a straggler, from the silences before each answer of the round. */
function limitOf(silences: number[]): number {
  const median = [...silences].sort((a, b) => a - b)[silences.length >> 1];
  return Math.max(MIN_LATE_MS, LATE_FACTOR * median);
}
