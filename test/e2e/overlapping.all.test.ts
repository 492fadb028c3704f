import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { ariOfLabels } from '../../model/scores.ts';
import { dpmesh, eventsOf, jsonOf, resumed, scratch, sha256, startAndReach, trainArgs } from './support.ts';

const D = 5;
/** Sizes by a power law: their halves by Lloyd's algorithm, or by a hyperplane, have no evidence. */
const SIZES = [1200, 600, 400, 300, 240, 200, 170, 150];

/** Clusters that overlap with their neighbours, of unlike extent. */
function overlapping(folder: string): { data: string; classes: Int32Array } {
  const rng = generator(8n, 'overlapping');
  const centres = SIZES.map(() => Array.from({ length: D }, () => 2 * rng.normal()));
  const extents = SIZES.map(() => Array.from({ length: D }, () => Math.exp(0.4 * rng.normal())));
  const classes = Int32Array.from(SIZES.flatMap((size, c) => Array(size).fill(c)));
  const x = [...classes].flatMap((c) => centres[c].map((at, j) => at + extents[c][j] * rng.normal()));
  const data = join(folder, 'overlapping.npy');
  writeNpy(data, '<f4', [classes.length, D], x);
  return { data, classes };
}

test('clusters that overlap are found, by any number of workers and after a kill, and predicted', async () => {
  const folder = scratch();
  const { data, classes } = overlapping(folder);
  const [one, three, dies] = ['one', 'three', 'dies'].map((name) => join(folder, name));
  for (const [out, workers] of [
    [one, 1],
    [three, 3],
  ] as const) {
    assert.equal(jsonOf(await dpmesh(trainArgs(data, out, '--workers', workers))).k, SIZES.length);
  }
  const labels = readNpy(join(one, 'labels.npy')).data as Int32Array;
  const agreement = ariOfLabels(Int32Array.from(labels), classes);
  assert.ok(agreement > 0.85, `${agreement}`);
  // Some epochs after the first split into parts that overlap.
  const epoch = eventsOf(one).find((event) => event.type === 'split' && event.reason === 'its parts overlap');
  assert.ok(epoch?.type === 'split');
  const running = await startAndReach(epoch.epoch + 5, data, dies, '--checkpoint-every', 0.1);
  await running.killAll();
  await resumed(dies);
  const predicted = join(folder, 'predicted.npy');
  await dpmesh(['predict', '--run', one, '--data', data, '--out', predicted]);
  const hashes = [predicted, ...[one, three, dies].map((run) => join(run, 'labels.npy'))].map(sha256);
  assert.equal(new Set(hashes).size, 1);
});
