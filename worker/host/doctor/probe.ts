import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Probes } from './probe-process.ts';

/** What a probe found, or why it found nothing; and what its process wrote to stderr. */
export type ProbeResult<T> = ({ found: T } | { problem: string; late?: true }) & { said: string };

const CRASHES: Partial<Record<NodeJS.Signals, string>> = {
  SIGILL: 'it uses an instruction that this processor does not have',
  SIGSEGV: 'a fault in native code',
  SIGBUS: 'a fault in native code',
  SIGABRT: 'native code gave up',
  SIGKILL: 'the system killed it: out of memory?',
};

/** Runs a probe in a process of its own: what crashes or hangs there is a line here. `limit`: ms. */
export function probe<Name extends keyof Probes>(
  name: Name,
  argument: string,
  limit: number,
  env: Record<string, string> = {},
): Promise<ProbeResult<Awaited<ReturnType<Probes[Name]>>>> {
  // As source under tsx, compiled otherwise: the same ending as this file.
  const entry = fileURLToPath(new URL(`./probe-process${import.meta.url.slice(-3)}`, import.meta.url));
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...process.execArgv, entry, name, argument], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    let [out, said] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(0, 1 << 18);
    });
    let late: true | undefined;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limit);
    child.once('error', (error) => {
      clearTimeout(timer);
      resolve({ problem: error.message, said });
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      // Native code may crash on its way out, when all has been said.
      const answer = /^\{.*\}$/m.exec(out)?.[0];
      if (answer) resolve({ ...JSON.parse(answer), said });
      else if (late) resolve({ problem: `no answer within ${(limit / 1000).toFixed(1)} s`, late, said });
      else if (signal) resolve({ problem: `it crashed with ${signal}: ${CRASHES[signal] ?? '?'}`, said });
      else resolve({ problem: lastLine(said) || `it ended with ${code}`, said });
    });
  });
}

const lastLine = (said: string) =>
  said
    .split('\n')
    .findLast((line) => /^\S*Error\b/.test(line))
    ?.trim() ?? '';
