import { existsSync } from 'node:fs';
import type { BindAddress } from '../base/address.ts';
import { backendOfIdentity } from '../base/identity.ts';
import { assertOpenFiles } from '../base/limits.ts';
import { indentContinuation } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { isRemote } from '../data/remote/address.ts';
import type { Backend } from './compute/backends/backend.ts';
import { assertGpu, CUDA, loadBackend } from './compute/backends/load.ts';
import { addressesOf, type CoordinatorAddress, IdentityMismatch } from './connection.ts';
import { Meter, type openWorkerHttp } from './http.ts';
import type { Computation } from './round.ts';
import { startWorker } from './worker.ts';

/** Where the coordinator is, and relays that stand for it. */
export interface Coordinator {
  places: readonly CoordinatorAddress[];
}

/**
 * What a worker process is told. When `train` or `launch` start it: its coordinator as JSON in the first line of its
 * stdin, as other users of the machine see arguments, all else as JSON in its first argument. A later line `leave` there
 * asks for what SIGTERM does: Windows has no such signal.
 */
export interface ProcessOptions extends Coordinator {
  backend: string;
  /** Why it was taken, for people. */
  why: string;
  /** Which adapter `webgpu` takes. */
  gpu: number;
  /** Rather end than compute without a GPU. */
  requireGpu: boolean;
  /** The backend was left to dpmesh: where the run has another, it takes that. */
  follows?: boolean;
  /** Folders, and prefixes of addresses. */
  dataRoots: readonly string[];
  /** Seconds without a word from the coordinator after which it gives up. */
  reconnectFor: number;
  /** The same before it was ever heard; null: never; `reconnectFor` by default. */
  giveUpAfter?: number | null;
  name: string;
  quiet: boolean;
  /** Its own port for metrics, and the version of dpmesh that stands there. */
  http?: BindAddress & { version: string };
  /** Started by `train` or `launch`: ends with it, and leaves Ctrl-C to it. */
  child?: boolean;
}

/** Files and sockets that a worker may have open. */
const OWN_FILES = 50;

/**
 * Runs a worker of these tasks in this process until the coordinator or a signal stops it. `loading`: its backend is under way.
 * `askedToLeave` resolves when the process that started this one wants it to end.
 */
export async function serve(
  options: ProcessOptions,
  computation: Computation,
  loading?: Promise<Backend>,
  askedToLeave?: Promise<void>,
): Promise<void> {
  for (const root of options.dataRoots)
    if (!isRemote(root) && !existsSync(root)) throw new UserError(`--data-root ${root} does not exist`);
  if (!options.child) assertOpenFiles(OWN_FILES, 'a worker');
  const log = (line: string) => void (options.quiet || console.error(indentContinuation(`worker: ${line}`)));
  const meter = options.http && new Meter();
  let worker: ReturnType<typeof startWorker> | null = null;
  process.on('SIGINT', () => void (options.child || process.exit(130)));
  let leaving = false;
  const leave = () => {
    leaving = true;
    if (worker) worker.leave();
    else process.exit(0);
  };
  process.once('SIGTERM', leave);
  void askedToLeave?.then(leave);
  const serveWith = async (
    backendName: string,
    chosen: string,
    loading = loadBackend(backendName, { gpu: options.gpu }),
  ) => {
    const backend = await loading;
    const blind = chosen.startsWith(CUDA) && !backend.device;
    const why = blind ? `${chosen}, but it sees no GPU: on the CPU (see dpmesh doctor)` : chosen;
    if (blind) console.error(`worker: warning: ${why}`);
    if (options.requireGpu) assertGpu(backend);
    const { places, name, dataRoots, giveUpAfter, http } = options;
    const port = http && (await openPort(http, { meter: meter!, backend, name, version: http.version }));
    log(`connecting to ${addressesOf(places)}, backend ${backend.identity} (${why})`);
    worker = startWorker({
      ...{ computation, places, backend, backendName, why, name, dataRoots, meter, log },
      reconnectFor: options.reconnectFor * 1000,
      giveUpAfter: giveUpAfter === undefined ? undefined : (giveUpAfter ?? Infinity) * 1000,
    });
    await worker.done.finally(() => port?.close());
  };
  try {
    await serveWith(options.backend, options.why, loading);
  } catch (error) {
    if (!(error instanceof IdentityMismatch) || !options.follows) throw error;
    const theirs = backendOfIdentity(error.identity);
    if (theirs === options.backend) throw error;
    // Who is asked to leave from now on has nothing to finish.
    if (leaving) process.exit(0);
    worker = null;
    await serveWith(theirs, 'the run’s');
  }
  // Dawn's threads would keep the process.
  if (options.child || options.backend === 'webgpu') process.exit(0);
}

async function openPort(...asked: Parameters<typeof openWorkerHttp>) {
  const port = await (await import('./http.ts')).openWorkerHttp(...asked);
  console.error(`worker: metrics at ${port.url}metrics`);
  return port;
}
