// What the end-to-end tests share: folders, small data, the built tool in whole process groups, a run and its bytes.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as processes from '../../bench/processes.ts';
import { type Args, addressOf, type Ended, killGroup, type Running, until } from '../../bench/processes.ts';
import { bytesOfRun, epochOf } from '../../bench/run-files.ts';
import { readNpy } from '../../data/npy.ts';

export { addressOf, type Ended, freePort, pageOf, type Running, until } from '../../bench/processes.ts';
export { bytesOfRun, checkpointsOf, epochOf, eventsOf, ofType, sha256 } from '../../bench/run-files.ts';
export { D, type Data, easyData, K } from './data.ts';

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

export interface Options extends processes.StartOptions {
  /** A killed coordinator's workers need a moment; all else leaves nothing from the start. */
  grace?: number;
}

/** Starts the built tool, for a minute at most unless told otherwise. */
export const start = (args: Args, options: Options = {}): Running =>
  processes.start(args, { timeout: 60_000, ...options });

/** Runs the built tool to its end, after which no process of it may be left. */
export async function dpmesh(args: Args, options: Options = {}): Promise<Ended> {
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
  assert.deepEqual(alive, [], 'processes that are still alive');
}

/** Enough for easy data: half the epochs between changes, and batches that few rows can fill. */
export const QUICK = ['--split-merge-every', '3', '--batch-size', '16'];
/** Until somebody ends it. */
export const ENDLESS = ['--no-early-stop', '--max-epochs', 1_000_000];

/** Without pictures: those have tests of their own (report.test.ts). */
export const trainArgs = (data: string, out: string, ...more: Args) => [
  ...['train', '--data', data, '--out', out, '--json', '--no-report'],
  ...more,
];

/** The one JSON object on the last line; stdout has nothing else. */
export function jsonOf({ stdout, stderr, code }: Ended) {
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^\{.*\}\n$/, stdout);
  return JSON.parse(stdout);
}

/** The bytes of a whole run of one worker that nothing disturbs. */
export async function undisturbed(data: string, out: string, ...flags: Args): Promise<string[]> {
  jsonOf(await dpmesh(trainArgs(data, out, '--workers', 1, ...flags)));
  return bytesOfRun(out);
}

/** A run of two workers, unless told otherwise, that has come to this epoch. */
export async function underWay(epoch: number, data: string, out: string, ...flags: Args): Promise<Running> {
  const running = start(trainArgs(data, out, '--workers', 2, ...flags));
  await until(`epoch ${epoch}`, () => epochOf(out) >= epoch, running);
  return running;
}

/** A coordinator alone, on any free port unless told otherwise, and where it listens. */
export async function startCoordinator(data: string, out: string, ...flags: Args) {
  const bind = ['--bind', 'tcp://127.0.0.1:*'];
  const running = start(['coordinator', '--data', data, '--out', out, '--json', ...bind, ...flags]);
  return { run: out, running, address: await addressOf(running) };
}

/** `dpmesh synth`: the files of rows and labels of a mixture of this shape. */
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

export const labelsOf = (run: string) => readNpy(join(run, 'labels.npy'));
