// Helpers of the end-to-end tests: folders, small data, process groups of the built tool, runs and their hashes.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { readNpy, writeNpy } from '../../data/npy.ts';
import type * as Library from '../../index.ts';
import * as processes from '../bench/processes.ts';
import {
  addressOf,
  type CliArgs,
  killGroup,
  type ProcessResult,
  type RunningProcess,
  until,
} from '../bench/processes.ts';
import { K } from './data.ts';
import { called } from './in-process.ts';
import { epochOf, resultHashes } from './run-files.ts';

export {
  addressOf,
  eventsOf,
  freePort,
  ofType,
  type ProcessResult,
  type RunningProcess,
  sha256,
  until,
} from '../bench/processes.ts';
export { D, easyData, embeddedData, K, MANY, type TestData, thinData } from './data.ts';
export { checkpointsOf, epochOf, pageUrlOf, ROW_FILES, resultHashes } from './run-files.ts';

/** A time limit in seconds, scaled up if the machine is busy. */
export const patience = (seconds: number) => seconds * Math.max(1, loadavg()[0] / availableParallelism());

/** A folder for one test file, removed afterwards. Also sets the cache and data folders of dpmesh. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-e2e-'));
  process.env.DPMESH_CACHE = join(folder, 'cache');
  // Backends installed on this machine must not affect the results.
  process.env.XDG_DATA_HOME = join(folder, 'data');
  delete process.env.DPMESH_TFJS;
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

export interface TestStartOptions extends processes.StartOptions {
  /** Seconds that processes may outlive the run: the workers of a killed coordinator need some, others none. */
  grace?: number;
}

/** Starts the built tool, with a timeout of one minute by default. */
export const start = (args: CliArgs, options: TestStartOptions = {}): RunningProcess =>
  processes.spawnDpmesh(args, { timeout: 60_000, ...options });

/** Commands that start nothing. */
const STARTS_NOTHING = [
  ...['predict', 'export', 'cut', 'resolutions', 'evaluate', 'plot', 'name', 'rename', 'synth', 'keygen'],
];
/** Commands that train by workers, which may be in this process too. */
const TRAINS = ['train', 'update', 'resume', 'finish', 'follow'];

/** Runs a command in this process, where it needs none of its own: what it prints, writes and exits with is the same. */
export async function dpmesh(args: CliArgs, options: TestStartOptions = {}): Promise<ProcessResult> {
  const { cwd, timeout, ...others } = options;
  const [command] = args.map(String);
  const trains = TRAINS.includes(command);
  if (Object.keys(others).length || !(trains || STARTS_NOTHING.includes(command)))
    return spawned(args, options);
  return called(args, cwd, trains);
}

/** Runs the built tool, and its workers, in processes. Fails if any is left afterwards. */
export async function spawned(args: CliArgs, options: TestStartOptions = {}): Promise<ProcessResult> {
  const { grace, ...others } = options;
  const running = start(args, others);
  const ended = await running.ended;
  await assertNoneLeft(running.pid, grace);
  return ended;
}

/** The live processes of a group. In /proc/PID/stat, state and group follow the name. */
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

/** Fails if a process of the group is alive after `grace` seconds, and kills the group. */
export async function assertNoneLeft(pid: number, grace = 0): Promise<void> {
  const until = performance.now() + 1000 * grace;
  let alive = members(pid);
  while (alive.length && performance.now() < until) {
    await sleep(50);
    alive = members(pid);
  }
  if (alive.length) killGroup(pid);
  assert.deepEqual(alive, [], 'processes still alive');
}

/** Options for small easy data: fewer epochs between splits and merges, and small batches. */
export const QUICK = ['--split-merge-every', '3', '--batch-size', '16'];
/** For the easy data, with their clusters from the start, a fifth of the time of the above: where the test is of what comes after training. */
export const known = (clusters = K) => ['--init-k', clusters, '--max-epochs', 2];
/** Runs until it is stopped. */
export const ENDLESS = ['--no-early-stop', '--max-epochs', 1_000_000];

/** Flags, with that for one worker if they do not say how many: each takes half a second of a core to start. */
export const byOne = (flags: CliArgs): CliArgs =>
  ['--workers', '--gpus', '--config'].some((flag) => flags.includes(flag))
    ? flags
    : [...flags, '--workers', 1];

/** Without a report, which report.test.ts tests. */
export const trainArgs = (data: string, out: string, ...more: CliArgs) => [
  ...['train', '--data', data, '--out', out, '--json', '--no-report'],
  ...byOne(more),
];

/** Parses stdout, which must be one line with a JSON object, of a successful process. */
export function jsonOf({
  stdout,
  stderr,
  code,
}: Pick<ProcessResult, 'stdout' | 'stderr' | 'code'> & Partial<ProcessResult>) {
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^\{.*\}\n$/, stdout);
  return JSON.parse(stdout);
}

/**
 * Fails unless a command ended with exit code 2 and, beside progress and warnings, one line that says all of this: no stack
 * trace, no second one.
 */
export function refused({ code, stdout, stderr }: ProcessResult, ...says: (string | RegExp)[]): void {
  assert.equal(code, 2, stderr || stdout);
  const wrong = stderr.split('\n').filter((line) => /^dpmesh: (?!warning)|^ +at /.test(line));
  assert.equal(wrong.length, 1, stderr);
  for (const part of says)
    assert.ok(
      typeof part === 'string' ? wrong[0].includes(part) : part.test(wrong[0]),
      `"${wrong[0]}" lacks ${part}`,
    );
}

/** The built library. */
export const library = (): Promise<typeof Library> =>
  import(new URL('../../dist/index.js', import.meta.url).href);

export const times = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));

/** Writes rows as an array of float32, and returns its path. */
export function writeRows(path: string, rows: readonly ArrayLike<number>[]): string {
  writeNpy(
    path,
    '<f4',
    [rows.length, rows[0].length],
    rows.flatMap((row) => Array.from(row)),
  );
  return path;
}

type RunFile = ReturnType<typeof JSON.parse>;
export const runFileOf = (run: string): RunFile => JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));

/** A copy of a run, changed. */
export function changedCopy(run: string, to: string, change: (at: string) => void): string {
  rmSync(to, { recursive: true, force: true });
  cpSync(run, to, { recursive: true });
  change(to);
  return to;
}

export function changeRunFile(run: string, change: (file: RunFile) => void): void {
  const file = runFileOf(run);
  change(file);
  writeFileSync(join(run, 'run.json'), JSON.stringify(file));
}

/** Makes a finished run one whose results are not complete, and removes these of them. */
export function unfinish(run: string, ...names: string[]): void {
  for (const name of names) rmSync(join(run, name), { recursive: true });
  changeRunFile(run, (file) => {
    file.result = null;
    for (const name of ['files', 'order']) delete file[name];
  });
}

/** Environment with which a process of the tool runs this source first, with what `fs.` has changed for all modules. */
export function preloading(folder: string, name: string, source: string): { NODE_OPTIONS: string } {
  const file = join(folder, `${name}.mjs`);
  const lines = ["import fs from 'node:fs';", "import { syncBuiltinESMExports } from 'node:module';", source];
  writeFileSync(file, `${lines.join('\n')}\nsyncBuiltinESMExports();\n`);
  return { NODE_OPTIONS: `--import ${pathToFileURL(file).href}` };
}

/** Environment in which the file system has no links and no sync, as on some removable disks and network drives. */
export const plainDisk = (folder: string) =>
  preloading(
    folder,
    'plain-disk',
    `const codes = { link: 'EPERM', symlink: 'EPERM', fsync: 'EINVAL', fdatasync: 'EINVAL' };
for (const [syscall, code] of Object.entries(codes)) {
  const error = () => Object.assign(new Error(code), { code, syscall });
  fs[syscall] = (...args) => queueMicrotask(() => args.at(-1)(error()));
  fs[syscall + 'Sync'] = () => { throw error(); };
  if (fs.promises[syscall]) fs.promises[syscall] = async () => { throw error(); };
}`,
  );

/** Result hashes of an undisturbed run with one worker. */
export async function undisturbedHashes(data: string, out: string, ...flags: CliArgs): Promise<string[]> {
  jsonOf(await dpmesh(trainArgs(data, out, '--workers', 1, ...flags)));
  return resultHashes(out);
}

/** Starts a run, with two workers by default, and waits until it reaches this epoch. */
export async function startAndReach(
  epoch: number,
  data: string,
  out: string,
  ...flags: CliArgs
): Promise<RunningProcess> {
  const running = start(trainArgs(data, out, '--workers', 2, ...flags));
  await until(`epoch ${epoch}`, () => epochOf(out) >= epoch, running);
  return running;
}

/** Starts a coordinator without a report, by default on a free port. */
export async function startCoordinator(data: string, out: string, ...flags: CliArgs) {
  // Not an ephemeral port, which another program could take before the coordinator is started again.
  const bind = ['--bind', `tcp://127.0.0.1:${await processes.freePort()}`];
  const args = ['coordinator', '--data', data, '--out', out, '--json', '--no-report'];
  const running = start([...args, ...bind, ...flags]);
  return { run: out, running, address: await addressOf(running) };
}

/** Runs `dpmesh synth` for a mixture of this shape. */
export async function synth(
  folder: string,
  name: string,
  shape: Record<'clusters' | 'points' | 'dim' | 'seed', number>,
): Promise<{ data: string; labels: string }> {
  const [data, labels] = [join(folder, `${name}.npy`), join(folder, `${name}-y.npy`)];
  const flags = Object.entries(shape).flatMap(([flag, value]) => [`--${flag}`, value]);
  jsonOf(await dpmesh(['synth', '--out', data, '--labels', labels, ...flags, '--force', '--json']));
  return { data, labels };
}

/** Continues a run, which saves its state as often as it can. */
export const resumed = (run: string, ...flags: CliArgs): Promise<ProcessResult> =>
  dpmesh(['resume', run, '--json', '--no-report', '--no-http', '--checkpoint-every', 0, ...byOne(flags)]);

export const labelsOf = (run: string) => readNpy(join(run, 'labels.npy'));
