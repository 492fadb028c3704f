// Runs the built command line in this process: what it prints and its exit code, without the start of a process.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CliArgs, ProcessResult } from '../../bench/processes.ts';

const program = import(pathToFileURL(resolve('dist/bundled/program.js')).href) as Promise<
  typeof import('../../cli/program.ts')
>;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let last: Promise<unknown> = Promise.resolve();

/** Runs a command in the folder `cwd`, after those before it: what is written meanwhile is taken for its output. */
export function called(args: CliArgs, cwd?: string): Promise<ProcessResult> {
  const result = last.then(() => callNow(args, cwd));
  last = result.catch(() => {});
  return result;
}

async function callNow(args: CliArgs, cwd = process.cwd()): Promise<ProcessResult> {
  const { main } = await program;
  const home = process.cwd();
  const { log, error } = console;
  const { write } = process.stderr;
  const before = new Map(SIGNALS.map((signal) => [signal, process.listeners(signal)]));
  let [stdout, stderr] = ['', ''];
  console.log = (text: string) => {
    stdout += `${text}\n`;
  };
  console.error = (text: string) => {
    stderr += `${text}\n`;
  };
  process.stderr.write = (text: string | Uint8Array) => {
    stderr += text;
    return true;
  };
  process.chdir(cwd);
  const begun = performance.now();
  // That of a test that has failed is not the command's.
  const { exitCode } = process;
  process.exitCode = undefined;
  try {
    await main(args.map(String));
    const code = Number(process.exitCode ?? 0);
    return { code, signal: null, stdout, stderr, seconds: (performance.now() - begun) / 1000 };
  } finally {
    process.exitCode = exitCode;
    process.chdir(home);
    Object.assign(console, { log, error });
    process.stderr.write = write;
    for (const [signal, listeners] of before)
      for (const listener of process.listeners(signal))
        if (!listeners.includes(listener)) process.off(signal, listener);
  }
}
