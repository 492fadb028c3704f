import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { UserError } from '../data/user-error.ts';
import type { WorkerKey } from '../proto/keys.ts';
import { loadBackend } from './backends/load.ts';
import { MISTAKE } from './supervise.ts';
import { startWorker } from './worker.ts';

/**
 * What a worker process is told. When `train` or `launch` start it: the key (or null) as JSON in the first line of its
 * stdin, as other users of the machine see arguments, all else as JSON in its first argument. A later line `leave` there
 * asks for what SIGTERM does: Windows has no such signal.
 */
export interface ProcessOptions {
  connect: string;
  key?: WorkerKey | null;
  backend: string;
  dataRoot: string;
  /** Seconds without a word from the coordinator after which it gives up. */
  reconnectFor: number;
  /** The same before it was ever heard; null: never; `reconnectFor` by default. */
  giveUpAfter?: number | null;
  name: string;
  quiet: boolean;
  /** Started by `train` or `launch`: ends with it, and leaves Ctrl-C to it. */
  child?: boolean;
}

/** Resolves when the process that started this one asks it to leave. */
let askedToLeave: Promise<void> = new Promise(() => {});

/** Runs a worker in this process until the coordinator or a signal stops it. */
export async function serve(options: ProcessOptions): Promise<void> {
  if (!existsSync(options.dataRoot)) throw new UserError(`--data-root ${options.dataRoot} does not exist`);
  const log = (line: string) => void (options.quiet || console.error(`worker: ${line}`));
  const backend = await loadBackend(options.backend);
  const worker = startWorker({
    connect: options.connect,
    key: options.key ?? undefined,
    backend,
    backendName: options.backend,
    name: options.name,
    dataRoot: options.dataRoot,
    reconnectFor: options.reconnectFor * 1000,
    giveUpAfter: options.giveUpAfter === undefined ? undefined : (options.giveUpAfter ?? Infinity) * 1000,
    log,
  });
  if (options.child) {
    process.on('SIGINT', () => {});
  } else process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', worker.leave);
  void askedToLeave.then(worker.leave);
  if (!options.quiet) log(`connecting to ${options.connect}, backend ${backend.identity}`);
  await worker.done;
  if (options.child) process.exit(0);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const lines = createInterface({ input: process.stdin });
  // The pipe closes when the process that started this one ends, however it ends.
  process.stdin.on('close', () => process.exit(0));
  lines.once('line', (key) => {
    askedToLeave = new Promise((resolve) => lines.on('line', (line) => line === 'leave' && resolve()));
    serve({ ...JSON.parse(process.argv[2]), key: JSON.parse(key) }).catch((error: Error) => {
      const mistake = error instanceof UserError;
      console.error(mistake ? `worker: ${error.message}` : error);
      process.exit(mistake ? MISTAKE : 1);
    });
  });
}
