import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Summary } from '../coordinator/storage/results.ts';
import type { Event } from '../view/events.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const MAIN = join(ROOT, 'dist/cli/main.js');
const DATA = join(ROOT, '../shared/data');

/** What a row needs is not on this machine: it is not measured, which is no miss. */
export class Absent extends Error {}

/** A folder of this process's own, gone when it ends. */
export const scratch = mkdtempSync(join(tmpdir(), 'dpmesh-bench-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

let files = 0;
/** A path in `scratch` that nothing else uses. */
export const fresh = (name: string) => join(scratch, `${++files}-${name}`);

export interface Data {
  data: string;
  labels: string;
}

/** A UMAP embedding of the shared data folder, or Absent. */
export function embedding(name: 'usps' | 'mnist' | 'fashion'): Data {
  const found = { data: join(DATA, `${name}_umap10.npy`), labels: join(DATA, `${name}_labels.npy`) };
  if (!existsSync(found.data)) throw new Absent(`${found.data} is not here`);
  return found;
}

interface Watching {
  /** Called ten times a second with the coordinator's pid. */
  watch?: (pid: number) => void;
  minutes?: number;
  /** Another build's. */
  main?: string;
  /** On top of this process's environment. */
  env?: Record<string, string>;
}

/** Runs the built command line to its end; `wall` is that of the whole process, in seconds. Throws if it fails. */
export async function dpmesh(args: string[], { watch, minutes = 5, main = MAIN, env = {} }: Watching = {}) {
  const begun = performance.now();
  const child = spawn(process.execPath, [main, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: minutes * 60_000,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const timer = watch && setInterval(() => watch(child.pid!), 100);
  const ended = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  const wall = (performance.now() - begun) / 1000;
  clearInterval(timer);
  if (ended !== 0)
    throw new Error(`dpmesh ${args[0]} ended with ${ended}: ${stderr.trim().split('\n').at(-1)}`);
  return { stdout, wall };
}

export interface Trained extends Summary {
  wall: number;
}

interface Training extends Omit<Watching, 'watch'> {
  watch?: (pid: number, dir: string) => void;
}

/** `dpmesh train --json` on `data` into a directory of its own; says on stderr how it went. */
export async function train(
  { data, labels }: Pick<Data, 'data'> & Partial<Data>,
  flags: (string | number)[] = [],
  { watch, minutes }: Training = {},
): Promise<Trained> {
  const dir = fresh('run');
  const { stdout, wall } = await dpmesh(
    [
      'train',
      ...['--data', data],
      ...(labels ? ['--labels', labels] : []),
      ...['--out', dir, '--json'],
      // What is set up here must not change what is compared.
      ...(flags.includes('--backend') ? [] : ['--backend', 'wasm']),
      ...flags.map(String),
    ],
    { watch: watch && ((pid) => watch(pid, dir)), minutes },
  );
  const summary: Summary = JSON.parse(stdout);
  const scores = summary.acc === null ? '' : `, NMI ${score(summary.nmi)}, ACC ${score(summary.acc)}`;
  note(
    `${basename(data)} ${flags.join(' ')}: K ${summary.k}${scores}, ${summary.workers} joined, ${summary.seconds.toFixed(2)} s (process ${wall.toFixed(2)} s)`,
  );
  return { ...summary, wall };
}

export interface Synthetic extends Data {
  bestNmi: number;
}

/** `dpmesh synth`: data, labels and the best NMI that anything can reach on them. */
export async function synth(
  clusters: number,
  points: number,
  dim: number,
  seed: number,
  minutes?: number,
): Promise<Synthetic> {
  const [data, labels] = [fresh('x.npy'), fresh('y.npy')];
  const shape = { clusters, points, dim, seed };
  const flags = Object.entries(shape).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { stdout } = await dpmesh(['synth', '--out', data, '--labels', labels, ...flags, '--json'], {
    minutes,
  });
  return { data, labels, bestNmi: JSON.parse(stdout).bestNmi };
}

/** The events that a run has written so far. */
export function events(dir: string): (Event & { time: string })[] {
  const path = join(dir, 'events.jsonl');
  if (!existsSync(path)) return [];
  const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line));
}

/** Pids of all workers that the run has had. */
export const workerPids = (dir: string) =>
  events(dir).flatMap((event) => (event.type === 'worker' ? [event.pid] : []));

export const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** A line on stderr: what goes on inside a row. */
export const note = (text: string) => console.error(`    ${text}`);

/** .979, as scores are printed here. */
export const score = (value: number | null) =>
  value === null ? '–' : value.toFixed(3).replace(/^(-?)0\./, '$1.');

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** `count` results of `work`, one after the other. */
export async function repeat<T>(count: number, work: (i: number) => Promise<T>): Promise<T[]> {
  const out: T[] = [];
  for (let i = 0; i < count; i++) out.push(await work(i));
  return out;
}
