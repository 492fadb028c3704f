import type { Layout } from '../../model/layout.ts';
import { prefixed, unprefixed } from '../../proto/codec.ts';
import type { FromCoordinator, FromWorker, WorkUnit } from '../../proto/messages.ts';
import type { TaskTable } from '../../proto/tasks.ts';
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

/**
 * Which worker computes which unit of a round: assigns, assigns again after a loss, and sends states that a worker lacks. Sockets and clock are passed in; what a task computes it does not know.
 */

type Failure = Pick<Extract<FromWorker, { type: 'failure' }>, 'round' | 'unit'>;

/** How training has its rounds computed, independent of the workers. */
export interface RoundDispatcher {
  /** Publishes a new version of a state; workers receive it with the first round that reads it. */
  publish(name: string, tensors: Tensors): void;
  /** Resolves with results that cover each unit once, in the order of the units. Rejects if a unit keeps failing. */
  round(spec: RoundSpec): Promise<Result[]>;
}

export interface Dispatcher extends RoundDispatcher {
  /** Rejects the current round. */
  abort(error: Error): void;
  /** The published version of a state. */
  state(name: string): Tensors | undefined;
}

/** A worker's part of a round, as sent in a `round` message. */
export type Assignment = Omit<Extract<FromCoordinator, { type: 'round' }>, 'type' | 'term'>;

/** The dispatcher uses neither sockets nor a clock (ms, monotonic): both are passed in. */
export interface DispatcherOptions {
  layout: Layout;
  /** What tasks read and return. */
  tasks: Pick<TaskTable, 'statesOf' | 'resultCheck'>;
  send(worker: string, assignment: Assignment, tensors: Tensors): void;
  now(): number;
  /** A round is complete, after this many ms. */
  roundEnded?(duration: number): void;
  /** This many units of a worker that left are waiting for another worker. */
  reassigned?(units: number): void;
  /** Rounds are faster without these workers: they get no units for a while. */
  rests?(workers: string[]): void;
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
  /** Of a relay, the number of its workers. */
  size: number;
  /** Version of each state that the worker has. */
  stateVersions: Map<string, number>;
  /** Units that it is computing, by their index in the round. */
  inFlight: Set<number>;
  /** When its units were sent or its last result arrived, whichever is later. */
  silentSince: number;
  /** It has results that wait to be asked for, since then; null: none. */
  readySince: number | null;
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

export type UnitDispatcher = ReturnType<typeof createDispatcher>;

/**
 * Dispatches a round's units to workers and collects one result for each. A unit's result does not depend on who computes
 * it, so a lost unit is sent to another worker, a slow one is also sent to an idle worker, and duplicate results are dropped.
 */
export function createDispatcher(options: DispatcherOptions) {
  const progress = new Map<string, WorkerProgress>();
  const published = new Map<string, PublishedState>();
  const cached: CachedShards = new Map();
  const pace = new Pace();
  let { layout } = options;
  /** The worker that owns each shard, as of the last round that had it. */
  const owners = new Map<number, string | null>();
  let [versions, rounds] = [0, 0];
  /** Worker-milliseconds in which workers had no units though a round went on, and those that racing has cost. */
  const idleTime = { time: 0, raced: 0, at: 0 };
  let ongoing: CurrentRound | null = null;

  const sizeOf = (worker: string) => progress.get(worker)!.size;

  /** Ms without a result; none while results wait to be asked for. */
  const silenceOf = ({ silentSince, readySince }: WorkerProgress) =>
    readySince === null ? options.now() - silentSince : -1;

  function workers(): string[] {
    return [...progress.keys()];
  }

  /** Returns the names of the tasks that it was computing. */
  function leave(worker: string): string[] {
    const departed = progress.get(worker);
    if (!departed) return [];
    progress.delete(worker);
    pace.forget(worker);
    const round = ongoing?.round;
    if (!round) return [];
    assignAll();
    const before = round.waiting.size;
    for (const index of departed.inFlight) if (round.isMissing(index)) round.waiting.add(index);
    for (const { inFlight } of progress.values()) for (const index of inFlight) round.waiting.delete(index);
    const added = round.waiting.size - before;
    if (added > 0) options.reassigned?.(added);
    dispatch();
    return departed.inFlight.size ? round.spec.tasks.map(({ task }) => task) : [];
  }

  /** Are more than half of the workers late, though not by so much that they must be stuck? Then the machine is busy: more work would not help. */
  function areMostLate(limit: number): boolean {
    const now = options.now();
    const all = [...progress.values()];
    const late = all.filter((one) => one.inFlight.size && silenceOf(one) > limit);
    const stuck = late.filter(({ silentSince }) => now - silentSince > STUCK_FACTOR * limit);
    return late.length > all.length / 2 && !stuck.length;
  }

  /** Units without a result, held by workers that have been silent for longer than `limit`. */
  function unitsHeld(round: Round, limit: number): number[] {
    const held = new Set<number>();
    for (const one of progress.values())
      if (one.inFlight.size && silenceOf(one) > limit)
        for (const index of one.inFlight) if (round.isMissing(index)) held.add(index);
    return [...held];
  }

  /**
   * Units of others for a worker that has been idle for longer than it would need itself: those of workers that are as silent;
   * of others the second half, as they may be computing the first.
   */
  function unitsFor(worker: string, round: Round): number[] {
    const now = options.now();
    const patience = pace.patience(worker, kindOf(round));
    const idleSince = Math.max(round.startedAt, progress.get(worker)!.silentSince);
    if (now - idleSince <= patience) return [];
    const silent = unitsHeld(round, patience);
    if (silent.length) return silent;
    const held = unitsHeld(round, 0).sort((a, b) => a - b);
    return held.slice(held.length >> 1);
  }

  /** Workers that are neither lagging nor very slow; all of them if every one is. */
  function responsive(): string[] {
    const all = workers();
    const now = options.now();
    const responsive = all.filter((worker) => !progress.get(worker)!.lagging && !pace.rests(worker, now));
    return responsive.length ? responsive : all;
  }

  /** Assigns the shards of the round: a relay has some of all, which it deals out among its workers. */
  function assignAll(): void {
    if (!ongoing) return;
    const all = ongoing.round.units.map(({ shard }) => shard).filter((shard) => shard < layout.shards);
    const shards = [...new Set(all)].sort((a, b) => a - b);
    const place = new Map(shards.map((shard, i) => [shard, i]));
    // A shard stays with an owner that has read its rows. Else it may move: a worker that has consecutive shards adds them up itself.
    const kept = shards.map((shard) => {
      const owner = owners.get(shard);
      return owner && cached.get(owner)?.has(shard) ? owner : null;
    });
    const held = [...cached].map(
      ([worker, own]) => [worker, new Set([...own].flatMap((shard) => place.get(shard) ?? []))] as const,
    );
    const assigned = assignShards(kept, responsive(), new Map(held), sizeOf);
    for (const [i, owner] of assigned.entries()) owners.set(shards[i], owner);
  }

  /** Sends waiting units to the owners of their shards; streaming units to any worker with room, owners first. `to`: the only one that can have room. */
  function dispatch(to?: string): void {
    const round = ongoing?.round;
    if (!round || !progress.size) return;
    const { streams } = round.spec;
    const { units } = round;
    const batches = new Map<string, number[]>();
    const hasRoom = (worker: string) =>
      !streams ||
      progress.get(worker)!.inFlight.size + (batches.get(worker)?.length ?? 0) <
        STREAM_WINDOW * sizeOf(worker);
    const add = (worker: string, index: number) => {
      round.waiting.delete(index);
      batches.set(worker, [...(batches.get(worker) ?? []), index]);
    };
    /** A unit that failed at a worker goes to one where it has not, if there is one. */
    const mayTake = (worker: string, index: number) =>
      !round.hasFailed(worker, index) || workers().every((other) => round.hasFailed(other, index));
    for (const index of round.waiting) {
      const owner = owners.get(units[index].shard);
      // Of no shard: any worker takes it.
      if (owner == null || (to !== undefined && (owner !== to || !hasRoom(to)))) continue;
      const others = () => [...responsive(), ...workers()];
      const worker = mayTake(owner, index) ? owner : others().find((one) => mayTake(one, index))!;
      if (hasRoom(worker)) add(worker, index);
    }
    if (streams) {
      for (const worker of responsive().filter((one) => to === undefined || one === to))
        for (const index of round.waiting) {
          if (!hasRoom(worker)) break;
          if (mayTake(worker, index)) add(worker, index);
        }
    }
    for (const [worker, indices] of batches) sendUnits(round, worker, indices);
  }

  function sendUnits(round: Round, name: string, indices: number[]): void {
    const worker = progress.get(name)!;
    const { spec, states } = round;
    const uses = [...states].map(([name, { version }]) => ({ name, version }));
    const missing = uses.filter(({ name, version }) => worker.stateVersions.get(name) !== version);
    for (const { name, version } of missing) worker.stateVersions.set(name, version);
    if (!worker.inFlight.size) worker.silentSince = options.now();
    for (const index of indices) worker.inFlight.add(index);
    round.assign(name, indices);
    const units = indices.map((index) => round.units[index]);
    // It keeps the rows of these units in memory from now on.
    if (!spec.streams)
      cached.set(name, new Set([...(cached.get(name) ?? []), ...units.map(({ shard }) => shard)]));
    options.send(
      name,
      {
        ...{ round: round.id, tasks: spec.tasks, units, sum: spec.sum ?? false },
        ...(spec.streams && { streams: true }),
        ...(spec.sampled && { sampled: units.map(({ shard }) => spec.sampled![shard]) }),
        ...{ uses, states: missing },
      },
      prefixed(missing.map(({ name }) => [name, states.get(name)!.tensors])),
    );
  }

  function end(): CurrentRound | null {
    const current = ongoing;
    ongoing = null;
    if (!current) return null;
    const { round } = current;
    for (const worker of progress.values()) {
      if (worker.inFlight.size) {
        worker.lagging = true;
        worker.owed = { kind: kindOf(round), round: round.id, since: worker.silentSince };
      }
      worker.inFlight.clear();
    }
    return current;
  }

  return {
    leave,
    workers,
    publish(name: string, tensors: Tensors): void {
      published.set(name, { version: ++versions, tensors });
    },
    round(spec: RoundSpec): Promise<Result[]> {
      if (ongoing) throw new Error('a round is already in progress');
      if (!spec.units.length) return Promise.resolve([]);
      return new Promise((resolve, reject) => {
        const names = new Set(spec.tasks.flatMap(options.tasks.statesOf));
        const states = new Map<string, PublishedState>();
        for (const name of names) {
          const state = published.get(name);
          if (!state) throw new Error(`state ${name} was never published`);
          states.set(name, state);
        }
        const check = options.tasks.resultCheck(layout, spec.tasks, (name) => states.get(name)!.tensors);
        const round = createRound(++rounds, spec, states, check, options.now());
        ongoing = { round, silences: [], resolve, reject };
        assignAll();
        dispatch();
      });
    },
    abort(error: Error): void {
      end()?.reject(error);
    },
    /** Adds units to the current round. False without one, or where it has one of them already. */
    extend(units: readonly WorkUnit[]): boolean {
      const round = ongoing?.round;
      if (!round || round.indicesOf([...units]).some((index) => index >= 0)) return false;
      round.extend(units);
      assignAll();
      dispatch();
      return true;
    },
    /** A worker has results that wait to be asked for, or will not send them. */
    ready(worker: string, isReady: boolean): void {
      const own = progress.get(worker);
      if (own) own.readySince = isReady ? (own.readySince ?? options.now()) : null;
    },
    /** A relay has another number of workers. */
    resize(worker: string, size: number): void {
      const own = progress.get(worker);
      if (own) own.size = size;
    },
    /** Ms since the current round started; 0 without one. */
    elapsed(): number {
      return ongoing ? options.now() - ongoing.round.startedAt : 0;
    },
    /** From now on there are these shards, which nobody has. Only between two rounds. */
    serve(next: Layout): void {
      layout = next;
      owners.clear();
    },
    join(worker: string, size = 1): void {
      leave(worker);
      cached.delete(worker);
      progress.set(worker, {
        size,
        stateVersions: new Map(),
        inFlight: new Set(),
        silentSince: options.now(),
        readySince: null,
        lagging: false,
        owed: null,
      });
      // Only where there was nobody: moving a shard means loading its sample again. Between rounds, the next one does so.
      if (progress.size === 1) assignAll();
      dispatch();
    },
    /** Handles the tasks' result for these units, as reported by a worker. */
    result(
      worker: string,
      { round: id, units }: { round: number; units: WorkUnit[] },
      tensors: Tensors,
    ): ResultVerdict {
      const current = ongoing;
      const sender = progress.get(worker);
      if (!current || id !== current.round.id) {
        if (id > rounds) return 'not asked for';
        if (sender?.owed) {
          const { kind, round, since } = sender.owed;
          pace.answered(worker, kind, round, options.now() - since);
        }
        if (sender) Object.assign(sender, { lagging: false, owed: null });
        if (current?.round.spec.streams) dispatch(worker);
        return 'late';
      }
      const { round } = current;
      const tasks = round.spec.tasks.map((_, i) => unprefixed(tensors, i));
      const indices = round.indicesOf(units);
      const verdict = round.judge(worker, indices, tasks);
      if (verdict === 'not asked for' || verdict === 'wrong shape') return verdict;
      if (sender) {
        const now = options.now();
        const silence = (sender.readySince ?? now) - sender.silentSince;
        if (silence >= SAME_MESSAGE_MS) current.silences.push(silence);
        pace.answered(worker, kindOf(round), id, silence, indices.length);
        Object.assign(sender, { silentSince: now, readySince: null, lagging: false, owed: null });
        for (const index of indices) sender.inFlight.delete(index);
      }
      if (verdict === 'late') return verdict;
      round.accept(worker, indices, tasks);
      if (round.isComplete()) {
        const now = options.now();
        const duration = now - round.startedAt;
        const late = workers().filter((name) => progress.get(name)!.inFlight.size);
        const { length: units } = round.units;
        const resting = pace.roundEnded(kindOf(round), id, late, { duration, units }, now);
        end();
        if (resting.length) options.rests?.(resting);
        options.roundEnded?.(duration);
        current.resolve(round.results());
      } else if (round.spec.streams) dispatch(worker);
      return 'accepted';
    },
    /** Is this a unit of the current round that this worker was assigned and whose result is missing? */
    isAwaited(worker: string, { round: id, unit }: Failure): boolean {
      const round = ongoing?.round;
      if (id !== round?.id) return false;
      const [index] = round.indicesOf([unit]);
      return round.hasAssigned(worker, index) && round.isMissing(index);
    },
    /**
     * A unit has failed at a worker, which leaves: other workers get its units. Returns whether there is no use in that, as the
     * unit has failed at all of them.
     */
    failed(worker: string, { unit }: Failure, cause: UnitFailure['cause']): boolean {
      const { round } = ongoing!;
      const [index] = round.indicesOf([unit]);
      const others = workers().filter((other) => other !== worker);
      return round.fail(index, { worker, cause }, others);
    },
    /** The published version of a state. */
    state(name: string): Tensors | undefined {
      return published.get(name)?.tensors;
    },
    /** Called regularly: sends the units of stragglers to idle workers too. Returns how many. */
    race(): number {
      const current = ongoing;
      if (!current || current.round.waiting.size) return 0;
      const { round, silences } = current;
      const idle = responsive().filter((worker) => !progress.get(worker)!.inFlight.size);
      const now = options.now();
      idleTime.time += idle.length * (now - Math.max(idleTime.at, round.startedAt));
      idleTime.at = now;
      if (!idle.length) return 0;
      const limit = silences.length ? limitOf(silences) : Infinity;
      if (areMostLate(limit)) return 0;
      const late = unitsHeld(round, limit);
      const each = Math.ceil(late.length / idle.length);
      const kind = kindOf(round);
      let raced = 0;
      for (const [i, worker] of idle.entries()) {
        const shared = late.slice(i * each, (i + 1) * each);
        const theirs = shared.length ? shared : unitsFor(worker, round);
        const indices = theirs.filter((index) => !round.hasFailed(worker, index));
        const cost = pace.unitTime(worker, kind);
        const most = cost ? Math.floor((MOST_RACED * idleTime.time - idleTime.raced) / cost) : indices.length;
        const sent = indices.slice(0, Math.max(0, most));
        if (sent.length) sendUnits(round, worker, sent);
        idleTime.raced += cost * sent.length;
        raced += sent.length;
      }
      return raced;
    },
    /** Is this worker left out for now, because rounds are faster without it? */
    rests(worker: string): boolean {
      return pace.rests(worker, options.now());
    },
    /** What the current round waits for: workers with its units that have been silent for longer than `limit` and than usual. */
    awaited(limit: number): { worker: string; silence: number; tasks: string[] }[] {
      const round = ongoing?.round;
      if (!round) return [];
      const tasks = round.spec.tasks.map(({ task }) => task);
      return [...progress].flatMap(([worker, one]) => {
        const { inFlight } = one;
        const silence = silenceOf(one);
        const isLate = silence > Math.max(limit, pace.lateAfter(worker, kindOf(round)));
        const isAwaited = isLate && [...inFlight].some((index) => round.isMissing(index));
        return isAwaited ? [{ worker, silence, tasks }] : [];
      });
    },
  };
}

/** Rounds of the same tasks take about the same time, but for those that say how long a part they do: those of about as much do. */
const kindOf = ({ spec }: Round) =>
  spec.tasks
    .map((task) =>
      typeof task.length === 'number' ? `${task.task}/${Math.round(Math.log2(task.length))}` : task.task,
    )
    .join('+');

/** The silence after which a worker is a straggler, from the silences before each answer of the round. */
function limitOf(silences: number[]): number {
  const median = [...silences].sort((a, b) => a - b)[silences.length >> 1];
  return Math.max(MIN_LATE_MS, LATE_FACTOR * median);
}
