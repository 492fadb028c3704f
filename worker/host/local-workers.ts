import { setTimeout as sleep } from 'node:timers/promises';
import { newKeyPair } from '../../proto/keys.ts';
import type { Coordinator, ProcessOptions } from '../process.ts';
import { supervise, type WorkerSpec } from './supervisor.ts';

/** By somebody else: a worker's own faults have other signals. */
const KILLS = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);
/** Until a run begins without those of its workers that have not joined. */
const PATIENCE_MS = 10_000;

export type LocalWorkersOptions = Pick<
  ProcessOptions,
  'backend' | 'why' | 'gpu' | 'requireGpu' | 'dataRoots'
> & {
  specs: WorkerSpec[];
  log: (line: string) => void;
};

/** What they need to know of the coordinator that they join. */
export interface JoinedCoordinator {
  address: string;
  /** Resolves when this many workers have joined. */
  joined(count: number): Promise<void>;
  /** A worker's process has ended. Had it done anything? */
  ended(pid: number, how: 'killed' | 'exited', reason: string): boolean;
  members(): { state: string }[];
}

/** Starts workers on this machine for a coordinator that is still to come, or not; they make ready meanwhile. */
export function startLocalWorkers({ specs, log, ...shared }: LocalWorkersOptions) {
  const count = specs.length;
  let coordinator: JoinedCoordinator | null = null;
  let expected = count;
  let fewer = () => {};
  let reveal: (place: Coordinator) => void;
  const place = new Promise<Coordinator>((resolve) => {
    reveal = resolve;
  });
  const supervisor = supervise(
    specs,
    place,
    {
      ...shared,
      // The pipe to it tells a worker when the coordinator is gone.
      reconnectFor: 1e9,
      quiet: true,
      child: true,
    },
    {
      ended(pid, _, signal, reason) {
        const hasWorked = coordinator?.ended(pid, signal ? 'killed' : 'exited', reason);
        if (!signal || !KILLS.has(signal)) return 'failed';
        // A worker that was killed at work has done nothing wrong.
        return hasWorked ? 'sound' : 'killed';
      },
      said: (_, line) => log(line),
      restarts(name, how, delay) {
        if (delay) log(`dpmesh: worker ${name} ${how}; restarting it in ${(delay / 1000).toFixed(1)} s`);
      },
      gaveUp(name, error) {
        expected--;
        fewer();
        if (expected) log(`dpmesh: warning: gave up on worker ${name}: ${error.message}`);
      },
    },
  );
  const failed = supervisor.over.then(({ error }): never => {
    throw error;
  });
  failed.catch(() => {});
  // For this run only, and told to nobody but its workers: other users of the machine stay out.
  const [own, workers] = [newKeyPair(), newKeyPair()];
  return {
    /** Where the coordinator is to listen, and whom it is to let in: these workers alone. */
    bind: 'tcp://127.0.0.1:*',
    keys: { secret: own.secret, allowed: new Map([[workers.public, 'local']]) },
    /** Tells them of the coordinator, now that it listens. */
    start(begun: JoinedCoordinator) {
      coordinator = begun;
      reveal({ places: [{ connect: begun.address, key: { ...workers, server: own.public } }] });
      const all = new Promise<void>((ready) => {
        fewer = () => void (expected && begun.joined(expected).then(ready));
        fewer();
      });
      const patience = new AbortController();
      all.then(() => patience.abort());
      const late = withoutLateComers(begun, count, patience.signal, log);
      return { failed, ready: Promise.race([all, late]), stop: () => supervisor.stop() };
    },
    /** To be called whether they were told of a coordinator or not. */
    stop(): Promise<void> {
      // They were not told where to go: there is nothing that they could finish.
      if (!coordinator) supervisor.kill();
      return supervisor.stop();
    },
  };
}

/** Resolves when some have joined and the others have had their time: one that does not get there holds up no run. */
async function withoutLateComers(
  { joined, members }: JoinedCoordinator,
  count: number,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<void> {
  const here = () => members().filter(({ state }) => state === 'up').length;
  await sleep(PATIENCE_MS, undefined, { ref: false, signal }).catch(() => {});
  if (signal.aborted) return;
  if (!here()) log('dpmesh: no worker has joined yet: waiting for the first one');
  await joined(1);
  if (here() < count)
    log(`dpmesh: begins with ${here()} of ${count} workers; the others join when they are ready`);
}
