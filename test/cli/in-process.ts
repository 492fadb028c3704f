// Runs the built command line in this process: what it prints and its exit code, without the start of a process.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
  seconds: number;
}

const program = import(pathToFileURL(resolve('dist/bundled/program.js')).href) as Promise<
  typeof import('../../cli/program.ts')
>;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs a command in the folder `cwd`. Only one at a time: what is written meanwhile is taken for its output. */
export async function called(args: readonly (string | number)[], cwd = process.cwd()): Promise<Ended> {
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
  try {
    await main(args.map(String));
    const code = Number(process.exitCode ?? 0);
    return { code, stdout, stderr, seconds: (performance.now() - begun) / 1000 };
  } finally {
    process.exitCode = undefined;
    process.chdir(home);
    Object.assign(console, { log, error });
    process.stderr.write = write;
    for (const [signal, listeners] of before)
      for (const listener of process.listeners(signal))
        if (!listeners.includes(listener)) process.off(signal, listener);
  }
}
