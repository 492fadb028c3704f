// Helpers for measured runs: data, running the built command line, and formatting numbers.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Summary } from '../../run/summary.ts';
import { type CliArgs, ROOT, type StartOptions, spawnDpmesh } from './processes.ts';

const DATA = join(ROOT, '../shared/data');

/** This machine lacks something that a row needs: the row is not measured, which is not a miss. */
export class NotAvailable extends Error {}

/** A temporary folder of this process, removed when it exits. */
export const scratch = mkdtempSync(join(tmpdir(), 'dpmesh-bench-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

let files = 0;
/** An unused path in `scratch`. */
export const tempPath = (name: string) => join(scratch, `${++files}-${name}`);

/** Paths of the rows and their labels. */
export interface DataFiles {
  data: string;
  labels: string;
}

/** Files in the shared data folder. Throws NotAvailable if the rows are missing. */
export function shared(rows: string, classes: string): DataFiles {
  const [data, labels] = [rows, classes].map((name) => join(DATA, name));
  if (!existsSync(data)) throw new NotAvailable(`${data} does not exist`);
  return { data, labels };
}

/** A UMAP embedding in the shared data folder. */
export const embedding = (name: 'usps' | 'mnist' | 'fashion') =>
  shared(`${name}_umap10.npy`, `${name}_labels.npy`);

interface MeasuredRunOptions extends Pick<StartOptions, 'main' | 'env'> {
  /** Called ten times per second with the pid of the coordinator. */
  watch?: (pid: number) => void;
  minutes?: number;
}

/** Runs the built command line. `wall` is the time of the whole process in seconds. Throws if it fails. */
export async function dpmesh(args: CliArgs, { watch, minutes = 5, ...options }: MeasuredRunOptions = {}) {
  const { pid, ended } = spawnDpmesh(args, { ...options, timeout: minutes * 60_000 });
  const timer = watch && setInterval(watch, 100, pid);
  const { code, signal, stdout, stderr, seconds } = await ended;
  clearInterval(timer);
  if (code !== 0)
    throw new Error(`dpmesh ${args[0]} exited with ${signal ?? code}: ${stderr.trim().split('\n').at(-1)}`);
  return { stdout, wall: seconds };
}

export interface TrainResult extends Summary {
  wall: number;
}

interface MeasuredTrainOptions extends Omit<MeasuredRunOptions, 'watch'> {
  watch?: (pid: number, dir: string) => void;
}

/** Runs `dpmesh train --json` on `data` into a new directory and reports the result on stderr. */
export async function train(
  { data, labels }: Pick<DataFiles, 'data'> & Partial<DataFiles>,
  flags: CliArgs = [],
  { watch, minutes, env }: MeasuredTrainOptions = {},
): Promise<TrainResult> {
  const dir = tempPath('run');
  const { stdout, wall } = await dpmesh(
    [
      'train',
      ...['--data', data],
      ...(labels ? ['--labels', labels] : []),
      ...['--out', dir, '--json'],
      // Backends installed on this machine must not affect the comparison.
      ...(flags.includes('--backend') ? [] : ['--backend', 'wasm']),
      ...flags,
    ],
    { watch: watch && ((pid) => watch(pid, dir)), minutes, env },
  );
  const summary: Summary = JSON.parse(stdout);
  const scores =
    summary.acc === null ? '' : `, NMI ${formatScore(summary.nmi)}, ACC ${formatScore(summary.acc)}`;
  note(
    `${basename(data)} ${flags.join(' ')}: K ${summary.k}${scores}, ${summary.workers} joined, ${summary.seconds.toFixed(2)} s (process ${wall.toFixed(2)} s)`,
  );
  return { ...summary, wall };
}

/** Runs `dpmesh synth`. `bestNmi` is the highest NMI that any clustering of these data can reach. */
export async function synth(clusters: number, points: number, dim: number, seed: number, minutes?: number) {
  const [data, labels] = [tempPath('x.npy'), tempPath('y.npy')];
  const shape = { clusters, points, dim, seed };
  const flags = Object.entries(shape).flatMap(([name, value]) => [`--${name}`, value]);
  const { stdout } = await dpmesh(['synth', '--out', data, '--labels', labels, ...flags, '--json'], {
    minutes,
  });
  return { data, labels, bestNmi: JSON.parse(stdout).bestNmi as number };
}

/** Logs progress within a row to stderr. */
export const note = (text: string) => console.error(`    ${text}`);

/** A score as .979. */
export const formatScore = (value: number | null) =>
  value === null ? '–' : value.toFixed(3).replace(/^(-?)0\./, '$1.');

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The results of `count` calls, made one after another. */
export async function repeat<T>(count: number, call: (i: number) => Promise<T>): Promise<T[]> {
  const out: T[] = [];
  for (let i = 0; i < count; i++) out.push(await call(i));
  return out;
}
