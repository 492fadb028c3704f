// Runs the command line in this process: what it prints and its exit code, without the start of a process. What trains is the source, whose
// workers are in this process too; all else the built one.

import { AsyncLocalStorage } from 'node:async_hooks';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CliArgs, ProcessResult } from '../bench/processes.ts';

type Program = Pick<typeof import('../../cli/program.ts'), 'main'>;
const built = import(pathToFileURL(resolve('dist/bundled/program.js')).href) as Promise<Program>;
let source: Promise<Program> | null = null;

/** The source, with workers in this process. */
async function ofSource(): Promise<Program> {
  const [{ main }, { starting }, { workersHere }, drawing] = await Promise.all([
    import('../../cli/program.ts'),
    import('../../library/workers.ts'),
    import('../recipes/here.ts'),
    import('../../page/report/drawing.ts'),
  ]);
  drawing.program.args = [resolve('dist/bundled/report.js')];
  const { localWorkers } = starting;
  return {
    async main(args) {
      starting.localWorkers = workersHere;
      try {
        await main(args);
      } finally {
        starting.localWorkers = localWorkers;
      }
    },
  };
}
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let last: Promise<unknown> = Promise.resolve();

interface Output {
  stdout: string;
  stderr: string;
}
/** What a command prints, also what it left behind prints after its end: a worker's last line must not be another's error. */
const outputs = new AsyncLocalStorage<Output>();
const { log, error } = console;
console.log = (...text) => append('stdout', `${text}\n`) || log(...text);
console.error = (...text) => append('stderr', `${text}\n`) || error(...text);
const write = process.stderr.write.bind(process.stderr);
process.stderr.write = (text: string | Uint8Array, ...rest) =>
  append('stderr', text) || write(text, ...(rest as []));

/** False outside a command. */
function append(to: keyof Output, text: string | Uint8Array): boolean {
  const output = outputs.getStore();
  if (output) output[to] += text;
  return !!output;
}

/** Runs a command in the folder `cwd`, after those before it; `trains`: with workers in this process. */
export function called(args: CliArgs, cwd?: string, trains = false): Promise<ProcessResult> {
  const result = last.then(async () => callNow(await (trains ? (source ??= ofSource()) : built), args, cwd));
  last = result.catch(() => {});
  return result;
}

async function callNow({ main }: Program, args: CliArgs, cwd = process.cwd()): Promise<ProcessResult> {
  const home = process.cwd();
  const before = new Map(SIGNALS.map((signal) => [signal, process.listeners(signal)]));
  const output = { stdout: '', stderr: '' };
  process.chdir(cwd);
  const begun = performance.now();
  // That of a test that has failed is not the command's.
  const { exitCode } = process;
  process.exitCode = undefined;
  try {
    await outputs.run(output, () => main(args.map(String)));
    const code = Number(process.exitCode ?? 0);
    return { code, signal: null, ...output, seconds: (performance.now() - begun) / 1000 };
  } finally {
    process.exitCode = exitCode;
    process.chdir(home);
    for (const [signal, listeners] of before)
      for (const listener of process.listeners(signal))
        if (!listeners.includes(listener)) process.off(signal, listener);
  }
}
