// The built command line as processes: what benchmarks, fault campaigns and end-to-end tests start, wait for and end.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const MAIN = join(ROOT, 'dist/cli/main.js');

export type Args = readonly (string | number)[];

export interface StartOptions {
  cwd?: string;
  /** On top of this process's. */
  env?: Record<string, string | undefined>;
  /** A command that starts it, as `ip netns exec` does. */
  within?: readonly string[];
  /** Another build's. */
  main?: string;
  /** It is killed after this, with all that it has started, ms. */
  timeout?: number;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

export interface Running {
  pid: number;
  /** What it has said until now. */
  stderr(): string;
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** SIGKILL for it and all that it has started; resolves when it is gone. */
  killAll(): Promise<void>;
}

const groups = new Set<number>();
// Groups of their own outlive this process unless somebody ends them.
process.once('exit', () => groups.forEach(killGroup));

export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

function isEmpty(group: number): boolean {
  try {
    process.kill(-group, 0);
    return false;
  } catch {
    return true;
  }
}

/** Starts it as the leader of a process group of its own, to which its workers will belong. */
export function start(args: Args, options: StartOptions = {}): Running {
  const { cwd = ROOT, env, within = [], main = MAIN, timeout } = options;
  const begun = performance.now();
  const [program, ...rest] = [...within, process.execPath, main, ...args.map(String)];
  const child = spawn(program, rest, {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid!;
  groups.add(pid);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const timer = timeout && setTimeout(killGroup, timeout, pid);
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (isEmpty(pid)) groups.delete(pid);
      resolve({ code, signal, stdout, stderr, seconds: (performance.now() - begun) / 1000 });
    });
  });
  return {
    pid,
    stderr: () => stderr,
    ended,
    kill: (signal) => void child.kill(signal),
    async killAll() {
      killGroup(pid);
      await ended;
    },
  };
}

/** Resolves when `check` gives something; rejects if that takes a minute, or `running` ends before. */
export async function until<T>(
  what: string,
  check: () => T | null | undefined | false,
  running?: Running,
): Promise<T> {
  let over: Ended | null = null;
  void running?.ended.then((ended) => {
    over = ended;
  });
  for (const begun = performance.now(); performance.now() - begun < 60_000; await sleep(5)) {
    const found = check();
    if (found) return found;
    if (over) throw new Error(`it ended before ${what}: ${JSON.stringify(over)}`);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Where a coordinator can be reached by workers, as soon as it says so. */
export const addressOf = (coordinator: Running) =>
  until('its address', () => /listening on (\S+);/.exec(coordinator.stderr())?.[1], coordinator);

/** Where a run can be watched, as soon as it says so. */
export const pageOf = (run: Running) =>
  until('an address to watch', () => /watch it at (http:\S+\/)/.exec(run.stderr())?.[1], run);

/** Below the ports that systems hand out: what is free there is not taken by the next connection of anybody. */
const [LOWEST_PORT, PORTS] = [20_000, 12_000];

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const port = LOWEST_PORT + randomInt(PORTS);
  const server = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
  return isFree ? port : freePort();
}
