import { inspect } from 'node:util';
import { indentContinuation } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { COMPUTATION } from '../tasks/compute/table.ts';
import { loadBackend } from './compute/backends/load.ts';
import { type Coordinator, type ProcessOptions, serve } from './process.ts';
import { exitCodeOf } from './trouble.ts';

/** The program of a worker that `train` or `launch` starts: told as ProcessOptions says, and ends with it. */

const options: Omit<ProcessOptions, keyof Coordinator> = JSON.parse(process.argv[2]);
const loading = loadBackend(options.backend, { gpu: options.gpu });
loading.catch(() => {});
let leave = () => {};
const askedToLeave = new Promise<void>((resolve) => {
  leave = resolve;
});
const begin = (place: Coordinator) =>
  serve({ ...options, ...place }, COMPUTATION, loading, askedToLeave).catch((error: Error) => {
    const mistake = error instanceof UserError;
    console.error(indentContinuation(mistake ? `worker: error: ${error.message}` : inspect(error)));
    process.exit(exitCodeOf(error));
  });
let rest = '';
process.stdin.setEncoding('utf8').on('data', (text: string) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop()!;
  for (const line of lines) line === 'leave' ? leave() : void begin(JSON.parse(line));
});
// The pipe closes when the process that started this one ends, however it ends.
process.stdin.on('close', () => process.exit(0));
