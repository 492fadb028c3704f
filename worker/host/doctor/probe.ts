import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { childArguments } from '../../../base/package.ts';
import type { Probes } from './probe-process.ts';

/** The value of a probe, or why there is none; and the stderr of its process. */
export type ProbeResult<T> = ({ value: T } | { problem: string; timedOut?: true }) & { stderr: string };

const CRASHES: Partial<Record<NodeJS.Signals, string>> = {
  SIGILL: 'it uses an instruction that this processor does not support',
  SIGSEGV: 'memory fault in native code',
  SIGBUS: 'memory fault in native code',
  SIGABRT: 'native code aborted',
  SIGKILL: 'killed by the system, probably out of memory',
};

/** Runs a probe in a child process, so that it may crash or hang. `limit`: ms. */
export function probe<Name extends keyof Probes>(
  name: Name,
  argument: string,
  limit: number,
  env: Record<string, string> = {},
): Promise<ProbeResult<Awaited<ReturnType<Probes[Name]>>>> {
  // The same extension as this file: .ts under tsx, else .js.
  const entry = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './probe-process.ts' : './probe-process.js', import.meta.url),
  );
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...childArguments(), entry, name, argument], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    let [out, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr = (stderr + text).slice(0, 1 << 18);
    });
    let timedOut: true | undefined;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, limit);
    const end = (answer: { value: never } | { problem: string; timedOut?: true }) => {
      clearTimeout(timer);
      resolve({ ...answer, stderr });
    };
    child.once('error', (error) => end({ problem: error.message }));
    child.once('close', (code, signal) => {
      // Native code may crash at exit, after the answer.
      const answer = /^\{.*\}$/m.exec(out)?.[0];
      if (answer) end(JSON.parse(answer));
      else if (timedOut) end({ problem: `no answer within ${(limit / 1000).toFixed(1)} s`, timedOut });
      else if (signal) end({ problem: `it crashed with ${signal}: ${CRASHES[signal] ?? 'unknown reason'}` });
      else end({ problem: lastLine(stderr) || `its process exited with ${code}` });
    });
  });
}

const lastLine = (stderr: string) =>
  stderr
    .split('\n')
    .findLast((line) => /^\S*Error\b/.test(line))
    ?.trim() ?? '';
