import { indentContinuation, oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { byPrefix } from '../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, LARGE_RESULT, type WorkUnit } from '../../proto/messages.ts';
import { byteLengthOf, type Tensors } from '../../proto/tensors.ts';
import { type Counts, createUsage, noCounts, type ResultsMessage } from './accounting.ts';
import { createDispatcher, type DispatcherOptions } from './dispatcher.ts';
import { createRegistry, type Member, type RegistryOptions, type ServedRows } from './registry.ts';
import type { ResultVerdict, UnitFailure } from './round.ts';

/** Registry, dispatcher and fetches of rows put together behind one function for messages. Sockets and clock are passed in, so that tests can simulate any network. */

export type FetchMessage = Extract<FromWorker, { type: 'fetch' }>;
type FailureMessage = Extract<FromWorker, { type: 'failure' }>;

/** A unit failed at every worker, for reasons of their machines: the text names one of them. */
export class FailedEverywhere extends UserError {}

/** Why a worker gets no units for now. */
const RESTS =
  'rounds are faster without this worker: its machine, or the network to it, costs more time than it saves';
/** Workers that a line of the log names. */
const MOST_NAMED = 3;
/** Characters of a failure that the log and the event show. */
const MOST_REASON = 300;

/** Observes the progress of rounds. */
export interface RoundListener {
  /** A worker's results were accepted. `tasks`: seconds of each task, over all units of the message. */
  results(label: string, header: ResultsMessage, tasks: [string, number][]): void;
  /** A round is complete, after this many ms. */
  roundEnded(duration: number): void;
}

const COUNTER_OF: Record<Exclude<ResultVerdict, 'accepted'>, keyof Counts> = {
  late: 'resultsLate',
  'not asked for': 'resultsNotAskedFor',
  'wrong shape': 'resultsWrongShape',
};

/** The first line of a failure. */
const reasonOf = (message: string) => oneLine(message.split('\n', 1)[0].slice(0, MOST_REASON));

export interface SchedulerOptions extends Omit<RegistryOptions, 'dispatcher' | 'counts'> {
  send(peer: string, message: FromCoordinator, tensors?: Tensors): void;
  /** Responds to a worker's request for rows. */
  fetch?(peer: string, header: FetchMessage): void;
  /** What the coordinator itself finds wrong with the rows of a unit that a worker complains about; null: nothing. */
  verify?(unit: WorkUnit, hashes: Uint8Array | undefined): Promise<Error | null>;
  roundListener?: RoundListener;
  tasks: DispatcherOptions['tasks'] & { names: readonly string[] };
}

/** Silence after which the log names a worker that the round waits for, and the least time between two such lines, ms. */
const [NAMED_AFTER_MS, NAMED_EVERY_MS] = [5000, 30_000];

/** The parts that bring the units of a run to its workers and the results back. */
export type Scheduler = ReturnType<typeof createScheduler>;

/** Connects the parts to one another. Sockets and clock are passed in, so that tests can simulate any network. */
export function createScheduler(options: SchedulerOptions) {
  const { layout, heartbeatTimeout, send, fetch = () => {}, now, roundListener, log } = options;
  const { verify = async () => null } = options;
  let { term } = options;
  const counts = noCounts();
  const usage = createUsage(layout.rows, options.tasks.names);
  const dispatcher = createDispatcher({
    layout,
    tasks: options.tasks,
    now,
    send: (worker, assignment, tensors) =>
      send(registry.member(worker).peer, { type: 'round', term, ...assignment }, tensors),
    roundEnded: (duration) => roundListener?.roundEnded(duration),
    reassigned(units) {
      counts.unitsReassigned += units;
    },
    rests(workers) {
      const named = namesOf(workers);
      log(
        workers.length === 1
          ? `worker ${named} gets no units for now: ${RESTS}`
          : `workers ${named} get no units for now: rounds are faster without them`,
      );
    },
  });
  const registry = createRegistry({ ...options, dispatcher: { ...dispatcher, leave }, counts });
  const credits = createCredits((worker) => send(registry.member(worker).peer, { type: 'send' }), now);
  function leave(worker: string): string[] {
    credits.forget(worker);
    return dispatcher.leave(worker);
  }
  /** Workers whose complaint about the data is being verified, or waits for that. */
  const complaining = new Set<Member>();
  /** The last of these verifications: they read the file, so there is one at a time. */
  let verified: Promise<unknown> = Promise.resolve();

  function handle(
    member: Member,
    header: Exclude<FromWorker, { type: 'hello' | 'bye' }>,
    tensors: Tensors,
  ): void {
    if (header.type === 'ping')
      send(member.peer, { type: 'pong', ...(dispatcher.rests(member.worker) && { rests: RESTS }) });
    else if (header.type === 'fetch') fetch(member.peer, header);
    else if (header.type === 'sees') registry.sees(member, header.problem);
    else if (header.type === 'workers') registry.resize(member, header.workers);
    else if (header.type === 'ready') announced(member, header);
    else if (header.term !== term) counts.resultsOfAnotherTerm++;
    else if (header.type === 'failure') onFailure(member, header);
    else collect(member, header, tensors);
  }

  /** Also those of another term have to be sent before a worker has others. */
  function announced({ worker }: Member, { bytes, first }: Extract<FromWorker, { type: 'ready' }>): void {
    dispatcher.ready(worker, true);
    credits.ready({ worker, bytes, first });
  }

  /** A worker that fails leaves. What it says about the data counts if this process sees it too. */
  function onFailure(member: Member, header: FailureMessage): void {
    const { mistake, local } = header;
    if (!mistake) {
      dismiss(member, header, local ? 'local' : 'task');
      return;
    }
    if (complaining.has(member)) return;
    complaining.add(member);
    const { joins } = member;
    verified = verified
      .then(() => verifyComplaint(member, header, joins))
      .finally(() => complaining.delete(member));
  }

  /** `joins`: of the member when it complained. */
  async function verifyComplaint(member: Member, header: FailureMessage, joins: number): Promise<void> {
    const { unit, message } = header;
    if (member.joins !== joins || !dispatcher.isAwaited(member.worker, header)) return;
    const problem = await verify(unit, dispatcher.state('hashes')?.blocks.data as Uint8Array | undefined);
    if (!dispatcher.isAwaited(member.worker, header)) return;
    if (problem) dispatcher.abort(problem);
    else if (member.joins !== joins) return;
    else if (!registry.withholdFile(member, reasonOf(message))) dismiss(member, header, 'data');
  }

  /** Sends a worker away. Ends the round if its unit has failed everywhere. */
  function dismiss(member: Member, header: FailureMessage, cause: UnitFailure['cause']): void {
    const { worker, description } = member;
    const isHopeless = dispatcher.isAwaited(worker, header) && dispatcher.failed(worker, header, cause);
    registry.dismiss(member, reasonOf(header.message));
    if (!isHopeless) return;
    const text = indentContinuation(header.message);
    dispatcher.abort(
      cause === 'task'
        ? new Error(`worker ${worker}: ${text}`)
        : new FailedEverywhere(`no worker can go on: worker ${worker} on ${description.host}: ${text}`),
    );
  }

  function collect(member: Member, header: ResultsMessage, tensors: Tensors): void {
    const { round, done, memory, gpuMemory = null } = header;
    // Before the results: the last one ends the round.
    const elapsed = dispatcher.elapsed();
    const parts = byPrefix(tensors);
    if (byteLengthOf(tensors) >= LARGE_RESULT) credits.received(member.worker);
    let accepted = 0;
    let isWrong = false;
    for (const [i, units] of done.entries()) {
      const verdict = dispatcher.result(member.worker, { round, units }, parts.get(String(i)) ?? {});
      if (verdict === 'accepted') accepted++;
      else counts[COUNTER_OF[verdict]]++;
      isWrong ||= verdict === 'wrong shape';
    }
    if (accepted) {
      registry.reportMemory(member, memory, gpuMemory);
      registry.recordContribution(member);
      const tasks = usage.add(member.worker, header, elapsed);
      roundListener?.results(member.label, header, tasks);
    }
    if (isWrong) registry.sendAway(member.worker);
  }

  /** Such as `w1 on node7, w2 on node7, w3 on node8 and 29 more`. */
  function namesOf(workers: string[]): string {
    const named = workers.slice(0, MOST_NAMED).map(registry.describe).join(', ');
    return workers.length > MOST_NAMED ? `${named} and ${workers.length - MOST_NAMED} more` : named;
  }

  let namedAt = Number.NEGATIVE_INFINITY;
  function nameAwaited(): void {
    if (now() - namedAt < NAMED_EVERY_MS) return;
    const awaited = dispatcher.awaited(NAMED_AFTER_MS);
    if (!awaited.length) return;
    namedAt = now();
    const [{ silence, tasks }] = awaited;
    log(
      `waiting for ${namesOf(awaited.map(({ worker }) => worker))}: no result of ${tasks[0]} for ${Math.round(silence / 1000)} s`,
    );
  }
  let lastTick = now();
  return {
    dispatcher,
    registry,
    usage,
    counts,
    /** Handles a message from the connection `peer`, already checked against its schema. */
    receive(peer: string, header: FromWorker, tensors: Tensors): void {
      if (header.type === 'hello') {
        registry.hello(peer, header);
        const worker = registry.memberAt(peer)?.worker;
        // It says again what it has.
        if (worker !== undefined) credits.forget(worker);
        return;
      }
      const member = registry.memberAt(peer);
      if (!member) send(peer, { type: 'who' });
      else if (header.type === 'bye') registry.bye(member);
      else if (registry.heardFrom(member)) handle(member, header, tensors);
    },
    /** From now on the run has these rows, in as many shards. Only between two rounds. */
    serve(rows: ServedRows): void {
      term = rows.term;
      credits.clear();
      registry.serve(rows);
    },
    /**
     * A worker did not read the coordinator's rows, for this reason: from now on it gets them from there. One that does so already has
     * faulty memory, and is sent away.
     */
    misread(worker: string, reason: string): void {
      if (!registry.withholdFile(registry.member(worker), reason)) registry.sendAway(worker, reason);
    },
    /** To be called regularly: drops silent workers and races stragglers. */
    tick(): void {
      // If this process itself was suspended, messages are still waiting to be read: do not call workers silent yet.
      const wasSuspended = now() - lastTick > heartbeatTimeout / 2;
      lastTick = now();
      if (wasSuspended) return;
      registry.dropSilent();
      for (const worker of credits.expired(heartbeatTimeout)) dispatcher.ready(worker, false);
      counts.unitsRaced += dispatcher.race();
      nameAwaited();
    },
  };
}

/** How many bytes of large results may be on their way here at a time, of all workers together. */

/** Bytes on their way here, unless a single result has more. */
const MOST_BYTES = 1 << 26;

interface Waiting {
  worker: string;
  bytes: number;
  /** The first shard that they are about. */
  first: number;
}

/**
 * Asks for large results while there is room: a thousand that come at once would need memory for all of them. Those of the first shards
 * come first, so that neighbours in the tree of sums are added up soon. `now`: ms.
 */
export function createCredits(ask: (worker: string) => void, now: () => number, most = MOST_BYTES) {
  const waiting: Waiting[] = [];
  const asked: (Waiting & { at: number })[] = [];
  let bytes = 0;

  function grant(): void {
    while (waiting.length && (!asked.length || bytes + waiting[0].bytes <= most)) {
      const next = waiting.shift()!;
      asked.push({ ...next, at: now() });
      bytes += next.bytes;
      ask(next.worker);
    }
  }

  function remove(index: number): void {
    const [{ bytes: own }] = asked.splice(index, 1);
    bytes -= own;
  }

  return {
    /** A worker has such results. */
    ready(result: Waiting): void {
      const place = waiting.findIndex(({ first }) => first > result.first);
      waiting.splice(place < 0 ? waiting.length : place, 0, result);
      grant();
    },
    /** The results that a worker was asked for first have come. */
    received(worker: string): void {
      const index = asked.findIndex((one) => one.worker === worker);
      if (index < 0) return;
      remove(index);
      grant();
    },
    /** A worker has left, or is connected anew: what it had is void. */
    forget(worker: string): void {
      for (let i = waiting.length - 1; i >= 0; i--) if (waiting[i].worker === worker) waiting.splice(i, 1);
      for (let i = asked.length - 1; i >= 0; i--) if (asked[i].worker === worker) remove(i);
      grant();
    },
    /** Nothing of what was ready counts any more. */
    clear(): void {
      waiting.length = asked.length = bytes = 0;
    },
    /** Workers that were asked longer than `patience` ms ago and have not answered: others need not wait for them. */
    expired(patience: number): string[] {
      const late = asked.filter(({ at }) => now() - at > patience).map(({ worker }) => worker);
      for (let i = asked.length - 1; i >= 0; i--) if (now() - asked[i].at > patience) remove(i);
      grant();
      return late;
    },
  };
}
