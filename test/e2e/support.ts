// What the end-to-end tests share: the built tool as a process group, folders, small data, a run's events.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { CHUNK, drawChunk, type Mixture } from '../../data/synth.ts';
import type { Event } from '../../view/events.ts';

/** Children are killed after this, ms. */
const TIMEOUT = 60_000;
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A time limit in seconds, longer where others use the machine too. */
export const patience = (seconds: number) => seconds * Math.max(1, loadavg()[0] / availableParallelism());

/** A folder for one test file, gone afterwards; files that dpmesh keeps go there as well. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-e2e-'));
  process.env.DPMESH_CACHE = join(folder, 'cache');
  // What is set up on this machine must not change which bits these runs have.
  process.env.XDG_DATA_HOME = join(folder, 'data');
  delete process.env.DPMESH_TFJS;
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

export interface Options {
  timeout?: number;
  cwd?: string;
  /** On top of this process's. */
  env?: Record<string, string | undefined>;
  /** A killed coordinator's workers need a moment; all else leaves nothing from the start. */
  grace?: number;
}

export interface Running {
  pid: number;
  /** What it has said until now. */
  stderr(): string;
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

const groups = new Set<number>();
const killGroup = (pid: number) => {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
};
process.on('exit', () => groups.forEach(killGroup));

/** Starts the built tool as the leader of a process group of its own, to which its workers will belong. */
export function start(args: readonly (string | number)[], options: Options = {}): Running {
  const begun = performance.now();
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...args.map(String)], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid!;
  groups.add(pid);
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const timer = setTimeout(killGroup, options.timeout ?? TIMEOUT, pid);
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, seconds: (performance.now() - begun) / 1000 });
    });
  });
  return { pid, stderr: () => stderr, ended, kill: (signal) => void child.kill(signal) };
}

/** Runs the built tool to its end, after which no process of it may be left. */
export async function dpmesh(args: readonly (string | number)[], options: Options = {}): Promise<Ended> {
  const running = start(args, options);
  const ended = await running.ended;
  await leftovers(running.pid, options.grace);
  return ended;
}

/** Processes of a group that are alive, by what the system says of each: state and group follow its name. */
function members(group: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'latin1')
          .replace(/^.*\) /s, '')
          .split(' ');
        return Number(pgrp) === group && state !== 'Z' && state !== 'X';
      } catch {
        return false;
      }
    });
}

/** Fails if any process of the run is still alive, `grace` seconds after it should not be; kills those that are. */
export async function leftovers(pid: number, grace = 0): Promise<void> {
  const until = performance.now() + 1000 * grace;
  let alive = members(pid);
  while (alive.length && performance.now() < until) {
    await sleep(50);
    alive = members(pid);
  }
  if (alive.length) killGroup(pid);
  groups.delete(pid);
  assert.deepEqual(alive, [], 'processes that are still alive');
}

/** Resolves when `check` gives something; rejects if that takes too long, or `running` ends before. */
export async function until<T>(
  what: string,
  check: () => T | null | undefined | false,
  running?: Running,
): Promise<T> {
  let over: Ended | null = null;
  running?.ended.then((ended) => {
    over = ended;
  });
  for (const begun = performance.now(); performance.now() - begun < TIMEOUT; await sleep(10)) {
    const found = check();
    if (found) return found;
    if (over) throw new Error(`the run ended before ${what}: ${JSON.stringify(over)}`);
  }
  throw new Error(`waited in vain for ${what}`);
}

export type Timed = Event & { time: string };
type Of<T extends Event['type']> = Extract<Timed, { type: T }>;

/** A run's events until now; a line that is being written does not count. */
export function eventsOf(run: string): Timed[] {
  let text: string;
  try {
    text = readFileSync(join(run, 'events.jsonl'), 'utf8');
  } catch {
    return [];
  }
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

export const ofType = <T extends Event['type']>(events: Timed[], type: T) =>
  events.filter((event): event is Of<T> => event.type === type);

/** The last epoch that a run has reported. */
export const epochOf = (run: string) => ofType(eventsOf(run), 'epoch').at(-1)?.epoch ?? 0;

export const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
/** The bytes that may not depend on who computes. */
export const bytesOfRun = (run: string) =>
  ['labels.npy', 'model/weights.bin', 'model/model.json', 'mixture/means.npy'].map((name) =>
    sha(join(run, name)),
  );
export const labelsOf = (run: string) => readNpy(join(run, 'labels.npy'));

/** The one JSON object on the last line; stdout has nothing else. */
export function jsonOf({ stdout, stderr, code }: Ended) {
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^\{.*\}\n$/, stdout);
  return JSON.parse(stdout);
}

/** Six Gaussians that nobody could mistake, of unlike shapes. */
const MEANS = [
  [0, 0, 0],
  [12, 1, -2],
  [-3, 14, 4],
  [2, -4, 15],
  [-14, -9, 3],
  [9, -12, -11],
];
export const K = MEANS.length;
export const D = 3;

const mixture: Mixture = {
  clusters: K,
  dim: D,
  weights: Float64Array.of(0.1, 0.15, 0.15, 0.2, 0.2, 0.2),
  means: Float64Array.from(MEANS.flat()),
  factors: Float64Array.from(
    MEANS.flatMap((_, k) => [1 + 0.1 * k, 0, 0, 0.3, 1, 0, -0.2, 0.1, 1.2 - 0.1 * k]),
  ),
};

export interface Data {
  data: string;
  labels: string;
  rows: Float32Array;
  classes: Int32Array;
}

/** Writes `count` rows of the six Gaussians; `change` may alter the rows before. */
export function easyData(
  folder: string,
  name: string,
  count: number,
  change: (row: number[]) => number[] = (row) => row,
): Data {
  const x: number[] = [];
  const y: number[] = [];
  let dim = D;
  for (let first = 0; first < count; first += CHUNK) {
    const drawn = drawChunk(mixture, 1n, first / CHUNK, Math.min(CHUNK, count - first));
    for (const [i, label] of drawn.labels.entries()) {
      const row = change([...drawn.x.subarray(i * D, (i + 1) * D)]);
      dim = row.length;
      x.push(...row);
      y.push(label);
    }
  }
  const [data, labels] = [join(folder, `${name}.npy`), join(folder, `${name}-y.npy`)];
  writeNpy(data, '<f4', [count, dim], x);
  writeNpy(labels, '<i4', [count], y);
  return { data, labels, rows: Float32Array.from(x), classes: Int32Array.from(y) };
}

/** Enough for easy data: half the epochs between changes, and batches that few rows can fill. */
export const QUICK = ['--split-merge-every', '3', '--batch-size', '16'];

/** Without pictures: those have tests of their own (report.test.ts). */
export const trainArgs = (data: string, out: string, ...more: (string | number)[]) => [
  'train',
  '--data',
  data,
  '--out',
  out,
  '--json',
  '--no-report',
  ...more,
];

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
