import type { FromCoordinator } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import { type Counts, noCounts } from './counts.ts';
import { UnitDispatcher } from './dispatcher.ts';
import { Registry, type RegistryOptions } from './registry.ts';
import { type Fetch, Router, type Watcher } from './router.ts';
import { Usage } from './usage.ts';

export interface SchedulerOptions extends Omit<RegistryOptions, 'dispatcher' | 'counts'> {
  send(peer: string, message: FromCoordinator, tensors?: Tensors): void;
  /** Answers a worker that asks for rows. */
  fetch?(peer: string, header: Fetch): void;
  watcher?: Watcher;
}

/** The parts that bring the units of a run to its workers, and results back. */
export interface Scheduler {
  dispatcher: UnitDispatcher;
  registry: Registry;
  router: Router;
  usage: Usage;
  counts: Counts;
  /** Time has passed: takes the silent for gone, races stragglers. */
  tick(): void;
}

/** Wires the parts to one another. No sockets and no clock: both are passed in, so that tests can play any network. */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const { layout, term, heartbeatTimeout, send, fetch = () => {}, now, watcher } = options;
  const counts = noCounts();
  const usage = new Usage(layout.rows);
  const dispatcher = new UnitDispatcher({
    shards: layout.shards,
    now,
    send: (worker, assignment, tensors) =>
      send(registry.peerOf(worker), { type: 'round', term, ...assignment }, tensors),
    roundEnded: (took) => watcher?.roundEnded(took),
    reassigned(units) {
      counts.unitsReassigned += units;
    },
  });
  const registry = new Registry({ ...options, dispatcher, counts });
  const router = new Router({ term, registry, dispatcher, usage, counts, send, fetch, watcher });
  let ticked = now();
  return {
    dispatcher,
    registry,
    router,
    usage,
    counts,
    tick() {
      // After this process has slept itself, messages wait to be read: nobody is silent yet.
      const slept = now() - ticked > heartbeatTimeout / 2;
      ticked = now();
      if (slept) return;
      registry.dropSilent();
      counts.unitsRaced += dispatcher.race();
    },
  };
}
