// Runs that are measured: data, the built command line run to its end, and how figures are said.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Summary } from '../view/summary.ts';
import { type Args, ROOT, type StartOptions, start } from './processes.ts';

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

interface Watching extends Pick<StartOptions, 'main' | 'env'> {
  /** Called ten times a second with the coordinator's pid. */
  watch?: (pid: number) => void;
  minutes?: number;
}

/** Runs the built command line to its end; `wall` is that of the whole process, in seconds. Throws if it fails. */
export async function dpmesh(args: Args, { watch, minutes = 5, ...options }: Watching = {}) {
  const { pid, ended } = start(args, { ...options, timeout: minutes * 60_000 });
  const timer = watch && setInterval(watch, 100, pid);
  const { code, signal, stdout, stderr, seconds } = await ended;
  clearInterval(timer);
  if (code !== 0)
    throw new Error(`dpmesh ${args[0]} ended with ${signal ?? code}: ${stderr.trim().split('\n').at(-1)}`);
  return { stdout, wall: seconds };
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
  flags: Args = [],
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
      ...flags,
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
  const flags = Object.entries(shape).flatMap(([name, value]) => [`--${name}`, value]);
  const { stdout } = await dpmesh(['synth', '--out', data, '--labels', labels, ...flags, '--json'], {
    minutes,
  });
  return { data, labels, bestNmi: JSON.parse(stdout).bestNmi };
}

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
