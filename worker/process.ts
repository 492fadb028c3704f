import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { UserError } from '../data/user-error.ts';
import { loadBackend } from './backends/load.ts';
import { startWorker } from './worker.ts';

/** What a worker process is told; as JSON in its first argument when `train` starts it. */
export interface ProcessOptions {
  connect: string;
  backend: string;
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
  const backend = await loadBackend(options.backend);
  const worker = startWorker({
    connect: options.connect,
    backend,
    backendName: options.backend,
    name: options.name,
    dataRoot: options.dataRoot,
    reconnectFor: options.reconnectFor * 1000,
    log,
  });
  if (options.child) {
    process.on('SIGINT', () => {});
    // The pipe closes when `train` ends, however it ends.
    process.stdin.on('close', () => process.exit(0)).resume();
  } else process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', worker.leave);
  if (!options.quiet) log(`connecting to ${options.connect}, backend ${backend.identity}`);
  await worker.done;
  if (options.child) process.exit(0);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  serve(JSON.parse(process.argv[2])).catch((error: Error) => {
    console.error(error instanceof UserError ? `worker: ${error.message}` : error);
    process.exit(1);
  });
}
