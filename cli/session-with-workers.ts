import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { UserError } from '../base/user-error.ts';
import type { RunConfig } from '../coordinator/config.ts';
import type { LocalWorkers } from '../worker/host/local-workers.ts';
import { wholeNumber } from './flag.ts';
import { type TerminalSession, terminalSession } from './terminal-session.ts';
import { type BackendValues, backendFor, type GpuValues, workersFor } from './worker-flags.ts';

type Values = BackendValues & GpuValues & { workers?: number };

/** A session with workers of its own on this machine. They make ready while it looks at what it was given. */
export async function sessionWithWorkers(
  config: RunConfig,
  options: Omit<TerminalSession, 'bind' | 'keys' | 'start'>,
  values: Values,
): Promise<void> {
  const { stop, ...workers } = await workersOf(config, values);
  await terminalSession(config, { ...options, ...workers }).finally(stop);
}

/** Starts the workers that the flags ask for. */
async function workersOf(config: RunConfig, values: Values): Promise<LocalWorkers> {
  const specs = await specsOf(config, values);
  const count = specs.length;
  if (count > config.shards)
    console.error(
      `dpmesh: warning: ${count} workers are more than the ${config.shards} shards they share; ${count - config.shards} will be idle (see --shards)`,
    );
  const choice = await backendFor(specs, values);
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
      if (values.backend === 'auto' && choice.why !== NOT_SET_UP)
        console.error(`backend ${choice.backend}: ${choice.why}`);
      return workers.start(coordinator);
    },
  };
}

/** A worker on each of `--gpus`, or as many as `--workers`. */
async function specsOf(config: RunConfig, { workers, gpus, perGpu }: Values) {
  const onGpus = gpus !== undefined && gpus !== 'none';
  if (onGpus && workers !== undefined)
    throw new UserError('--gpus and --workers exclude each other: workers on each GPU are --per-gpu');
  if (!onGpus && perGpu !== 1) throw new UserError(`--per-gpu ${perGpu} needs --gpus: on which`);
  return onGpus ? workersFor({ gpus, perGpu }) : cores(config, workers);
}

/** One worker a core, or as many as were asked for. */
function cores({ shards }: RunConfig, asked?: number) {
  const count = wholeNumber('--workers', asked ?? Math.min(availableParallelism(), shards), 1);
  return Array.from({ length: count }, (_, i) => ({ name: `local/${i}` }));
}
