import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { UserError } from '../data/user-error.ts';
import type { WorkerKey } from '../proto/keys.ts';
import { loadBackend } from './backends/load.ts';
import { NO_ROOM, OutOfDeviceMemory } from './backends/out-of-memory.ts';
import { assertGpu } from './backends/prove.ts';
import { OtherIdentity, startWorker } from './worker.ts';

/**
 * What a worker process is told. When `train` starts it: the key as JSON in the first line of its stdin, as other users
 * of the machine see arguments, all else as JSON in its first argument.
 */
export interface ProcessOptions {
  connect: string;
  key?: WorkerKey;
  backend: string;
  /** Why it was taken, for people. */
  why: string;
  /** Which adapter `webgpu` takes. */
  gpu: number;
  /** Rather end than compute without a GPU. */
  requireGpu: boolean;
  /** The backend was left to dpmesh: where the run has another, it takes that. */
  follows?: boolean;
  dataRoot: string;
  /** Seconds without a word from the coordinator after which it gives up. */
  reconnectFor: number;
  name: string;
  quiet: boolean;
  /** Started by `train`: ends with it, and leaves Ctrl-C to it. */
  child?: boolean;
}

/** Runs a worker in this process until the coordinator or a signal stops it. */
export async function serve(options: ProcessOptions): Promise<void> {
  if (!existsSync(options.dataRoot)) throw new UserError(`--data-root ${options.dataRoot} does not exist`);
  const log = (line: string) => void (options.quiet || console.error(`worker: ${line}`));
  let worker: { done: Promise<void>; leave: () => void } | null = null;
  if (options.child) {
    process.on('SIGINT', () => {});
  } else process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => (worker ? worker.leave() : process.exit(0)));
  const serveWith = async (backendName: string, why: string) => {
    const backend = await loadBackend(backendName, { gpu: options.gpu });
    if (options.requireGpu) assertGpu(backend);
    log(`connecting to ${options.connect}, backend ${backend.identity} (${why})`);
    const { connect, key, name, dataRoot } = options;
    const reconnectFor = options.reconnectFor * 1000;
    worker = startWorker({ connect, key, backend, backendName, why, name, dataRoot, reconnectFor, log });
    await worker.done;
  };
  try {
    await serveWith(options.backend, options.why);
  } catch (error) {
    const theirs =
      error instanceof OtherIdentity && options.follows ? error.identity.split('/')[0] : options.backend;
    if (theirs === options.backend) throw error;
    await serveWith(theirs, 'the run’s');
  }
  // Dawn's threads would keep the process.
  if (options.child || options.backend === 'webgpu') process.exit(0);
}

/** The first line of stdin, which is read to its end from then on. */
function firstLine(): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    process.stdin.setEncoding('utf8').on('data', function more(part: string) {
      text += part;
      const end = text.indexOf('\n');
      if (end < 0) return;
      process.stdin.off('data', more).resume();
      resolve(text.slice(0, end));
    });
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // The pipe closes when `train` ends, however it ends.
  process.stdin.on('close', () => process.exit(0));
  const started = firstLine().then((key) => serve({ ...JSON.parse(process.argv[2]), key: JSON.parse(key) }));
  started.catch((error: Error) => {
    console.error(error instanceof UserError ? `worker: ${error.message}` : error);
    process.exit(error instanceof OutOfDeviceMemory ? NO_ROOM : 1);
  });
}
