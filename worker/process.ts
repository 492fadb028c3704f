import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { printable } from '../data/printable.ts';
import { UserError } from '../data/user-error.ts';
import type { Bound } from '../proto/http.ts';
import type { WorkerKey } from '../proto/keys.ts';
import { loadBackend } from './backends/load.ts';
import { createMeter, openWorkerHttp } from './http.ts';
import { startWorker } from './worker.ts';

/**
 * What a worker process is told. When `train` starts it: the key as JSON in the first line of its stdin, as other users
 * of the machine see arguments, all else as JSON in its first argument.
 */
export interface ProcessOptions {
  connect: string;
  key?: WorkerKey;
  backend: string;
  dataRoot: string;
  /** Seconds without a word from the coordinator after which it gives up. */
  reconnectFor: number;
  name: string;
  quiet: boolean;
  /** Its own port for metrics, and the version of dpmesh that stands there. */
  http?: Bound & { version: string };
  /** Started by `train`: ends with it, and leaves Ctrl-C to it. */
  child?: boolean;
}

/** Runs a worker in this process until the coordinator or a signal stops it. */
export async function serve(options: ProcessOptions): Promise<void> {
  if (!existsSync(options.dataRoot)) throw new UserError(`--data-root ${options.dataRoot} does not exist`);
  const log = (line: string) => void (options.quiet || console.error(printable(`worker: ${line}`)));
  const backend = await loadBackend(options.backend);
  const meter = options.http && createMeter();
  const http =
    meter && (await openWorkerHttp(options.http!, { meter, backend, name: options.name, ...options.http! }));
  if (http) console.error(`worker: metrics at ${http.url}metrics`);
  const worker = startWorker({
    meter,
    connect: options.connect,
    key: options.key,
    backend,
    backendName: options.backend,
    name: options.name,
    dataRoot: options.dataRoot,
    reconnectFor: options.reconnectFor * 1000,
    log,
  });
  if (options.child) {
    process.on('SIGINT', () => {});
  } else process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', worker.leave);
  if (!options.quiet) log(`connecting to ${options.connect}, backend ${backend.identity}`);
  await worker.done.finally(() => http?.close());
  if (options.child) process.exit(0);
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
    console.error(error instanceof UserError ? printable(`worker: ${error.message}`) : error);
    process.exit(1);
  });
}
