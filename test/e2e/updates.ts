// What tests of updates have in common: how these are called, what of them has to be the same, and kills.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  byOne,
  checkpointsOf,
  jsonOf,
  preloading,
  resultHashes,
  resumed,
  sha256,
  start,
  until,
} from './support.ts';

export const updateArgs = (run: string, data: string, out: string, ...more: (string | number)[]) => [
  ...['update', run, '--data', data, '--out', out, '--json', '--no-report', '--no-http'],
  ...byOne(more),
];

export const lineageOf = (run: string) => JSON.parse(readFileSync(join(run, 'lineage.json'), 'utf8'));

/** Hashes of what the next update depends on, and of the results. */
export const stateOf = (run: string): string[] => [
  ...resultHashes(run),
  ...['codes.npy', 'stream/sample.npy', 'stream/state.ckpt', 'lineage.json']
    .map((name) => join(run, name))
    .filter((file) => existsSync(file))
    .map(sha256),
];

/** The share of rows that have the label of most rows of their class. */
export function purity(labels: ArrayLike<number>, classes: ArrayLike<number>): number {
  const counts = new Map<string, number>();
  const most = new Map<number, number>();
  for (let i = 0; i < labels.length; i++) {
    const pair = `${labels[i]} ${classes[i]}`;
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
    most.set(classes[i], Math.max(most.get(classes[i]) ?? 0, counts.get(pair)!));
  }
  return [...most.values()].reduce((a, b) => a + b, 0) / labels.length;
}

/** Has a process that gives this file its name put a copy of another run in the place of `run` at once, which is moved to `<run>-before`. */
export const replacedOnce = (file: string, run: string, other: string, folder: string) => {
  const [named, place, before, by] = [file, run, `${run}-before`, other].map((path) => JSON.stringify(path));
  return {
    env: preloading(
      folder,
      'replaced',
      `const { renameSync } = fs;
fs.renameSync = (from, to) => {
  renameSync(from, to);
  if (to !== ${named}) return;
  renameSync(${place}, ${before});
  fs.cpSync(${by}, ${place}, { recursive: true });
};`,
    ),
  };
};

/** By what is in its directory. */
const MOMENTS = {
  'it begins': (run: string) => existsSync(join(run, 'run.json')),
  'rows are encoded': (run: string) => existsSync(join(run, 'codes.npy')),
  'its sample is drawn': (run: string) => existsSync(join(run, 'stream', 'drawn.ckpt')),
  'it has a checkpoint': (run: string) => checkpointsOf(run).length > 0,
  'rows are labelled': (run: string) => existsSync(join(run, 'labels.npy')),
};

/** Tests that an update that is killed at these moments, and resumed, is the same as an undisturbed one. */
export function testKills(
  moments: (keyof typeof MOMENTS)[],
  { run, data, out, undisturbed }: Record<'run' | 'data' | 'out' | 'undisturbed', string>,
): void {
  for (const moment of moments)
    test(`killed once ${moment}, and resumed`, async () => {
      rmSync(out, { recursive: true, force: true });
      const running = start(updateArgs(run, data, out, '--workers', 2, '--checkpoint-every', 0));
      await until(moment, () => MOMENTS[moment](out), running);
      await running.killAll();
      jsonOf(await resumed(out));
      assert.deepEqual(stateOf(out), stateOf(undisturbed));
      assert.deepEqual(readdirSync(join(out, 'stream')).sort(), ['sample.npy', 'state.ckpt']);
    });
}
