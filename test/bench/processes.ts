// Starts, waits for and kills processes of the built command line, for benchmarks, fault campaigns and end-to-end tests.
import { spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RunEvent, TimedEvent } from '../../run/events.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const MAIN = join(ROOT, 'dist/cli/main.js');

export type CliArgs = readonly (string | number)[];

export interface StartOptions {
  cwd?: string;
  /** In addition to the environment of this process. */
  env?: Record<string, string | undefined>;
  /** A command prefix to run it with, such as `ip netns exec NAME`. */
  within?: readonly string[];
  /** The main script of another build. */
  main?: string;
  /** Milliseconds after which it is killed, with its whole process group. */
  timeout?: number;
}

export interface ProcessResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

export interface RunningProcess {
  pid: number;
  /** Its output on stderr so far. */
  stderr(): string;
  ended: Promise<ProcessResult>;
  kill(signal: NodeJS.Signals): void;
  /** Sends SIGKILL to its process group; resolves when it has ended. */
  killAll(): Promise<void>;
}

const groups = new Set<number>();
// Separate process groups would outlive this process.
process.once('exit', () => groups.forEach(killGroup));

export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is empty.
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

/** Starts dpmesh as the leader of a new process group, to which its workers will belong. */
export function spawnDpmesh(args: CliArgs, options: StartOptions = {}): RunningProcess {
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
  const ended = new Promise<ProcessResult>((resolve) => {
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

/** Resolves to the first truthy result of `check`. Rejects after a minute, or if `running` ends first. */
export async function until<T>(
  what: string,
  check: () => T | null | undefined | false,
  running?: RunningProcess,
): Promise<T> {
  let over: ProcessResult | null = null;
  void running?.ended.then((ended) => {
    over = ended;
  });
  for (const begun = performance.now(); performance.now() - begun < 60_000; await sleep(5)) {
    const result = check();
    if (result) return result;
    if (over) throw new Error(`the process ended before ${what}: ${JSON.stringify(over)}`);
  }
  throw new Error(`timeout while waiting for ${what}`);
}

/** The address on which a coordinator listens for workers, once it has logged it. */
export const addressOf = (coordinator: RunningProcess) =>
  until('its address', () => /listening on (\S+);/.exec(coordinator.stderr())?.[1], coordinator);

/** Below the ephemeral ports, which the next outgoing connection of any program could take. */
const [LOWEST_PORT, PORTS] = [20_000, 12_000];

/** A local port that no process listens on. */
export async function freePort(): Promise<number> {
  const port = LOWEST_PORT + randomInt(PORTS);
  return (await isFree(port)) ? port : freePort();
}

/** Does no process listen on this local port? */
export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

// The files of a run.

type EventOfType<T extends RunEvent['type']> = Extract<TimedEvent, { type: T }>;

/** By path, as who waits for an event asks for them again and again. */
const read = new Map<string, { version: string; events: TimedEvent[] }>();

/** The events of a run so far, without an incomplete last line. */
export function eventsOf(run: string): TimedEvent[] {
  const path = join(run, 'events.jsonl');
  let version: string;
  let text: string;
  try {
    const { ino, size, mtimeMs } = statSync(path);
    version = `${ino} ${size} ${mtimeMs}`;
    const known = read.get(path);
    if (known?.version === version) return [...known.events];
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').slice(0, -1).filter(Boolean);
  const events: TimedEvent[] = lines.map((line) => JSON.parse(line));
  read.set(path, { version, events });
  return [...events];
}

export const ofType = <T extends RunEvent['type']>(events: TimedEvent[], type: T) =>
  events.filter((event): event is EventOfType<T> => event.type === type);

/** Pids of all workers that have joined the run. */
export const workerPids = (run: string) => ofType(eventsOf(run), 'worker').map(({ pid }) => pid);

export const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
