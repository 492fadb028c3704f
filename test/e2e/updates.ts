// What tests of updates have in common: how these are called, and what of them has to be the same.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { byOne, preloading, resultHashes, sha256 } from './support.ts';

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
