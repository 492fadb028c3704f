import type { FromCoordinator, WorkUnit } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import { type Counts, noCounts } from './counts.ts';
import { type DispatcherOptions, UnitDispatcher } from './dispatcher.ts';
import { Registry, type RegistryOptions, type ServedRows } from './registry.ts';
import { type FetchMessage, RESTS, type RoundListener, Router } from './router.ts';
import { Usage } from './usage.ts';

export interface SchedulerOptions extends Omit<RegistryOptions, 'dispatcher' | 'counts'> {
  send(peer: string, message: FromCoordinator, tensors?: Tensors): void;
  /** Responds to a worker's request for rows. */
  fetch?(peer: string, header: FetchMessage): void;
  /** What the coordinator itself finds wrong with the rows of a unit; null: nothing. */
  verify?(unit: WorkUnit, hashes: Uint8Array | undefined): Promise<Error | null>;
  roundListener?: RoundListener;
  rules?: DispatcherOptions['rules'];
}

/** Silence after which the log names a worker that the round waits for, and the least time between two such lines, ms. */
const [NAMED_AFTER_MS, NAMED_EVERY_MS] = [5000, 30_000];

/** The parts that bring the units of a run to its workers and the results back. */
export interface Scheduler {
  dispatcher: UnitDispatcher;
  registry: Registry;
  router: Router;
  usage: Usage;
  counts: Counts;
  /** From now on the run has these rows, in as many shards. Only between two rounds. */
  serve(rows: ServedRows): void;
  /**
   * A worker did not read the coordinator's rows, for this reason: from now on it gets them from there. One that does so already has
   * faulty memory, and is sent away.
   */
  misread(worker: string, reason: string): void;
  /** To be called regularly: drops silent workers and races stragglers. */
  tick(): void;
}

/** Connects the parts to one another. Sockets and clock are passed in, so that tests can simulate any network. */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const { layout, heartbeatTimeout, send, fetch = () => {}, now, roundListener, log } = options;
  const { verify = async () => null } = options;
  let { term } = options;
  const counts = noCounts();
  const usage = new Usage(layout.rows);
  const dispatcher = new UnitDispatcher({
    layout,
    rules: options.rules,
    now,
    send: (worker, assignment, tensors) =>
      send(registry.peerOf(worker), { type: 'round', term, ...assignment }, tensors),
    roundEnded: (duration) => roundListener?.roundEnded(duration),
    reassigned(units) {
      counts.unitsReassigned += units;
    },
    rests(worker) {
      log(`worker ${registry.describe(worker)} gets no units for now: ${RESTS}`);
    },
  });
  const registry = new Registry({ ...options, dispatcher, counts });
  const router = new Router({
    ...{ term, registry, dispatcher, usage, counts, send, fetch, verify, roundListener },
  });
  let namedAt = Number.NEGATIVE_INFINITY;
  function nameAwaited(): void {
    if (now() - namedAt < NAMED_EVERY_MS) return;
    const awaited = dispatcher.awaited(NAMED_AFTER_MS);
    if (!awaited.length) return;
    namedAt = now();
    const names = awaited.slice(0, 3).map(({ worker }) => registry.describe(worker));
    const more = awaited.length > 3 ? ` and ${awaited.length - 3} more` : '';
    const [{ silence, tasks }] = awaited;
    log(
      `waiting for ${names.join(', ')}${more}: no result of ${tasks[0]} for ${Math.round(silence / 1000)} s`,
    );
  }
  let lastTick = now();
  return {
    dispatcher,
    registry,
    router,
    usage,
    counts,
    serve(rows) {
      term = rows.term;
      router.serve(term);
      registry.serve(rows);
    },
    misread(worker, reason) {
      if (!registry.withholdFile(registry.member(worker), reason)) registry.sendAway(worker, reason);
    },
    tick() {
      // If this process itself was suspended, messages are still waiting to be read: do not call workers silent yet.
      const wasSuspended = now() - lastTick > heartbeatTimeout / 2;
      lastTick = now();
      if (wasSuspended) return;
      registry.dropSilent();
      counts.unitsRaced += dispatcher.race();
      nameAwaited();
    },
  };
}
