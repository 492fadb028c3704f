import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import type { RunConfig } from '../coordinator/config.ts';
import type { Server } from '../coordinator/scheduler/server.ts';
import type { SessionOptions } from '../coordinator/session.ts';
import type { Coordinator } from '../worker/process.ts';
import { backendFor, workersFor } from './launch.ts';

/** By somebody else: a worker's own faults have other signals. */
const KILLS = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);
/** Until a run begins without those of its workers that have not joined. */
const PATIENCE_MS = 10_000;

type Given = 'bind' | 'keys' | 'start';

/** A session with workers of its own on this machine. They make ready while it looks at what it was given. */
export async function sessionWithWorkers(
  config: RunConfig,
  options: Omit<SessionOptions, Given>,
  args: Record<string, unknown>,
): Promise<void> {
  const { stop, ...workers } = await localWorkers(config, args);
  const { session } = await import('../coordinator/session.ts');
  await session(config, { ...options, ...workers }).finally(stop);
}

/** Starts workers for a coordinator that is still to come, or not: `stop` is called in either case. */
export async function localWorkers(
  config: RunConfig,
  args: Record<string, unknown>,
): Promise<Pick<SessionOptions, Given> & { stop: () => Promise<void> }> {
  const specs = await specsOf(config, args);
  const count = specs.length;
  if (count > config.shards)
    console.error(
      `dpmesh: warning: ${count} workers are more than the ${config.shards} shards they share; ${count - config.shards} will be idle (see --shards)`,
    );
  const { backend, why, gpu, requireGpu } = await backendFor(specs, args);
  const { NOT_SET_UP } = await import('../worker/compute/backends/choose.ts');
  const { superviseWorkers } = await import('../worker/host/supervise.ts');
  let server: Server | null = null;
  let expected = count;
  let fewer = () => {};
  let reveal: (place: Coordinator) => void;
  const place = new Promise<Coordinator>((resolve) => {
    reveal = resolve;
  });
  const supervisor = superviseWorkers(
    specs,
    place,
    {
      ...{ backend, why, gpu, requireGpu },
      dataRoot: dirname(resolve(config.data)),
      // The pipe to it tells a worker when the coordinator is gone.
      reconnectFor: 1e9,
      quiet: true,
      child: true,
    },
    {
      ended(pid, _, signal, how) {
        const hasWorked = server?.ended(pid, how);
        if (!signal || !KILLS.has(signal)) return 'failed';
        // A worker that was killed at work has done nothing wrong.
        return hasWorked ? 'sound' : 'killed';
      },
      restarts(name, how, delay) {
        if (delay)
          console.error(
            `dpmesh: worker ${name} ${how}; it is started again in ${(delay / 1000).toFixed(1)} s`,
          );
      },
      gaveUp(name, error) {
        expected--;
        fewer();
        if (expected) console.error(`dpmesh: warning: gave up on worker ${name}: ${error.message}`);
      },
    },
  );
  const failed = supervisor.over.then(({ error }): never => {
    throw error;
  });
  failed.catch(() => {});
  const { newKeyPair } = await import('../proto/keys.ts');
  // For this run only, and told to nobody but its workers: other users of the machine stay out.
  const [own, workers] = [newKeyPair(), newKeyPair()];
  return {
    bind: 'tcp://127.0.0.1:*',
    keys: { secret: own.secret, allowed: new Map([[workers.public, 'local']]) },
    start(begun) {
      // The plain case needs no words; run.json has them.
      if (args.backend === 'auto' && why !== NOT_SET_UP) console.error(`backend ${backend}: ${why}`);
      server = begun;
      reveal({ connect: begun.address, key: { ...workers, server: own.public } });
      const all = new Promise<void>((ready) => {
        fewer = () => void (expected && begun.joined(expected).then(ready));
        fewer();
      });
      const patience = new AbortController();
      all.then(() => patience.abort());
      return { failed, ready: Promise.race([all, late(begun, count, patience)]), stop: supervisor.stop };
    },
    stop() {
      // They were not told where to go: there is nothing that they could finish.
      if (!server) supervisor.kill();
      return supervisor.stop();
    },
  };
}

/** Resolves when some have joined and the others have had their time: one that does not get there holds up no run. */
async function late({ joined, members }: Server, count: number, { signal }: AbortController): Promise<void> {
  const here = () => members().filter(({ state }) => state === 'up').length;
  await sleep(PATIENCE_MS, undefined, { ref: false, signal }).catch(() => {});
  if (signal.aborted) return;
  if (!here()) console.error('dpmesh: no worker has joined yet: waiting for the first one');
  await joined(1);
  if (here() < count)
    console.error(`dpmesh: begins with ${here()} of ${count} workers; the others join when they are ready`);
}

/** A worker on each of `--gpus`, or as many as `--workers`. */
async function specsOf(config: RunConfig, args: Record<string, unknown>) {
  const gpus = args.gpus === 'none' ? undefined : args.gpus;
  if (gpus !== undefined && args.workers !== undefined)
    throw new UserError('--gpus and --workers exclude each other: workers on each GPU are --per-gpu');
  if (gpus === undefined && args.perGpu !== 1)
    throw new UserError(`--per-gpu ${args.perGpu} needs --gpus: on which`);
  return gpus === undefined ? cores(config, args) : workersFor(args);
}

/** One worker a core, or as many as were asked for. */
function cores(config: RunConfig, args: Record<string, unknown>) {
  const count = (args.workers as number | undefined) ?? Math.min(availableParallelism(), config.shards);
  if (!(Number.isInteger(count) && count >= 1))
    throw new UserError(`--workers ${count} must be a whole number, at least 1`);
  return Array.from({ length: count }, (_, i) => ({ name: `local/${i}` }));
}
