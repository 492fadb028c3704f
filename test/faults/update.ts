// Kills updates at seeded moments, of which some are before anything is written, and goes on with each: by `resume`, or from the start.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { recordedHashes } from '../../run/run-files.ts';
import { dpmesh, embedding, tempPath } from '../bench/dpmesh.ts';
import { spawnDpmesh } from '../bench/processes.ts';
import { log, random, report, short } from './campaign.ts';

const kills = short ? 3 : 20;
const PARTS = 4;

const { data, shape } = readNpy(embedding('mnist').data);
const [rows, columns] = [Math.floor(shape[0] / 10), shape[1]];
const parts = Array.from({ length: PARTS }, (_, i) => {
  const path = tempPath(`part-${i}.npy`);
  writeNpy(
    path,
    '<f4',
    [rows, columns],
    Float32Array.from(data.subarray(i * rows * columns, (i + 1) * rows * columns)),
  );
  return path;
});
const first = tempPath('first');
await dpmesh(['train', parts[0], '--out', first, '--workers', 2]);
const update = (run: string, i: number, out: string) =>
  ['update', run, '--data', parts[i], '--out', out, '--half-life', 20_000, '--checkpoint-every', 0] as const;
const filesOf = (run: string) => JSON.stringify(Object.entries(recordedHashes(run)).sort());

let [quiet, killed] = [first, first];
let [done, same, early] = [0, 0, 0];
for (let i = 1; i < PARTS; i++) {
  const [undisturbed, out] = [tempPath(`quiet-${i}`), tempPath(`killed-${i}`)];
  const begun = performance.now();
  await dpmesh([...update(quiet, i, undisturbed), '--workers', 2]);
  const length = performance.now() - begun;
  const go = () => {
    const isBegun = existsSync(join(out, 'run.json'));
    if (!isBegun) early++;
    const workers = ['--workers', 1 + random.below(3)];
    return spawnDpmesh([
      ...(isBegun ? ['resume', out, '--checkpoint-every', 0] : update(killed, i, out)),
      ...workers,
    ]);
  };
  for (let left = Math.ceil((i * kills) / (PARTS - 1)) - done; left > 0; left--) {
    const running = go();
    const delay = random.uniform() * length;
    await Promise.race([sleep(delay), running.ended]);
    await running.killAll();
    done++;
    log(`kill ${done}: update ${i}, after ${(delay / 1000).toFixed(1)} s`);
  }
  const ended = await go().ended;
  if (ended.code !== 0) log(ended.stderr);
  else if (filesOf(out) === filesOf(undisturbed)) same++;
  [quiet, killed] = [undisturbed, out];
}
report({
  name: 'update',
  what: `the same of ${PARTS - 1} updates in turn`,
  target: `${kills} kills, the same bytes of all files`,
  measured: `${done} kills, ${early} times begun anew, ${same === PARTS - 1 ? 'the same bytes' : `${PARTS - 1 - same} updates with DIFFERENT BYTES`}`,
  ok: same === PARTS - 1 && done === kills,
});
