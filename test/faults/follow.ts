// Kills follows at seeded moments, with and without --lazy, and starts each again until it is through.
import { mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { dpmesh, embedding, tempPath } from '../bench/dpmesh.ts';
import { sha256, spawnDpmesh } from '../bench/processes.ts';
import { log, random, report, short } from './campaign.ts';

const kills = short ? 3 : 20;
const PARTS = 6;

const { data, shape } = readNpy(embedding('mnist').data);
const [rows, columns] = [Math.floor(shape[0] / 10), shape[1]];
const rowsFrom = (first: number, count: number) =>
  Float32Array.from(data.subarray(first * columns, (first + count) * columns));
const [first, run, incoming] = ['first.npy', 'run', 'incoming'].map(tempPath);
writeNpy(first, '<f4', [4 * rows, columns], rowsFrom(0, 4 * rows));
await dpmesh(['train', first, '--out', run, '--workers', 2]);
mkdirSync(incoming);
const time = new Date(Date.now() - 60_000);
for (let i = 0; i < PARTS; i++) {
  const path = join(incoming, `${i}.npy`);
  writeNpy(path, '<f4', [rows, columns], rowsFrom((4 + i) * rows, rows));
  utimesSync(path, time, time);
}

const folder = `${run}-follow`;
/** The labels of all parts, and the newest run. */
const filesOf = (at: string) => {
  const newest = readdirSync(at)
    .filter((name) => name.startsWith('update-'))
    .sort()
    .at(-1)!;
  const labels = readdirSync(join(at, 'labels')).map((name) => join('labels', name));
  const state = ['labels.npy', 'lineage.json', 'stream/sample.npy', 'stream/state.ckpt'];
  return ['follow.json', ...labels, ...state.map((name) => join(newest, name))]
    .map((name) => `${name} ${sha256(join(at, name))}`)
    .join('\n');
};

let [done, same] = [0, 0];
const ways = [
  ['--batch-rows', 2 * rows],
  ['--batch-rows', 1, '--lazy', 0.3],
];
for (const [i, way] of ways.entries()) {
  const follow = (workers: number) =>
    ['follow', run, '--data', incoming, '--once', '--workers', workers, ...way] as const;
  const begun = performance.now();
  await dpmesh(follow(2));
  const length = (performance.now() - begun) / 3;
  const undisturbed = tempPath(`undisturbed-${i}`);
  renameSync(folder, undisturbed);
  for (let left = Math.ceil(((i + 1) * kills) / ways.length) - done; left > 0; left--) {
    const running = spawnDpmesh(follow(1 + random.below(3)));
    const delay = random.uniform() * length;
    await Promise.race([sleep(delay), running.ended]);
    await running.killAll();
    done++;
    log(`kill ${done}: ${way.join(' ')}, after ${(delay / 1000).toFixed(1)} s`);
  }
  const ended = await spawnDpmesh(follow(1 + random.below(3))).ended;
  if (ended.code !== 0) log(ended.stderr);
  else if (filesOf(folder) === filesOf(undisturbed)) same++;
  rmSync(folder, { recursive: true });
}
report({
  name: 'follow',
  what: `the same of follows of ${PARTS} parts, with and without --lazy`,
  target: `${kills} kills, the same bytes of labels and state`,
  measured: `${done} kills, ${same === ways.length ? 'the same bytes' : `${ways.length - same} follows with DIFFERENT BYTES`}`,
  ok: same === ways.length && done === kills,
});
