import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { UserError } from '../base/user-error.ts';
import type { RunConfig } from '../coordinator/config.ts';
import type { LocalWorkers } from '../worker/host/local-workers.ts';
import { backendFor, workersFor } from './launch.ts';
import { type TerminalSession, terminalSession } from './session.ts';

/** A session with workers of its own on this machine. They make ready while it looks at what it was given. */
export async function sessionWithWorkers(
  config: RunConfig,
  options: Omit<TerminalSession, 'bind' | 'keys' | 'start'>,
  args: Record<string, unknown>,
): Promise<void> {
  const { stop, ...workers } = await workersOf(config, args);
  await terminalSession(config, { ...options, ...workers }).finally(stop);
}

/** Starts the workers that the flags ask for. */
export async function workersOf(config: RunConfig, args: Record<string, unknown>): Promise<LocalWorkers> {
  const specs = await specsOf(config, args);
  const count = specs.length;
  if (count > config.shards)
    console.error(
      `dpmesh: warning: ${count} workers are more than the ${config.shards} shards they share; ${count - config.shards} will be idle (see --shards)`,
    );
  const choice = await backendFor(specs, args);
  const { NOT_SET_UP } = await import('../worker/compute/backends/choose.ts');
  const { localWorkers } = await import('../worker/host/local-workers.ts');
  const workers = localWorkers({
    ...choice,
    specs,
    dataRoot: dirname(resolve(config.data)),
    log: console.error,
  });
  return {
    ...workers,
    start(coordinator) {
      // The plain case needs no words; run.json has them.
      if (args.backend === 'auto' && choice.why !== NOT_SET_UP)
        console.error(`backend ${choice.backend}: ${choice.why}`);
      return workers.start(coordinator);
    },
  };
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
