import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { ariOfLabels } from '../../model/scores.ts';
import { dpmesh, jsonOf, scratch, sha256, trainArgs } from './support.ts';

/** Round clusters on a grid in the plane, so small beside all of it that a Gaussian prior learned from all rows takes them for noise. */
const [SIDE, ROWS, GAP] = [12, 40, 9];

function grid(folder: string): { data: string; classes: Int32Array } {
  const rng = generator(1n, 'grid');
  const classes = Int32Array.from({ length: SIDE * SIDE * ROWS }, () => rng.below(SIDE * SIDE));
  const x = [...classes].flatMap((c) =>
    [c % SIDE, Math.floor(c / SIDE)].map((at) => GAP * at + rng.normal()),
  );
  const data = join(folder, 'grid.npy');
  writeNpy(data, '<f4', [classes.length, 2], x);
  return { data, classes };
}

test('hundreds of small clusters in two columns are found from one, by any number of workers, and predicted', async () => {
  const folder = scratch();
  const { data, classes } = grid(folder);
  const hashes: string[] = [];
  for (const workers of [1, 3]) {
    const out = join(folder, `run-${workers}`);
    const { k } = jsonOf(await dpmesh(trainArgs(data, out, '--workers', workers)));
    assert.equal(k, SIDE * SIDE);
    const labels = readNpy(join(out, 'labels.npy')).data as Int32Array;
    assert.ok(ariOfLabels(Int32Array.from(labels), classes) > 0.99);
    hashes.push(sha256(join(out, 'labels.npy')));
    const predicted = join(folder, `predicted-${workers}.npy`);
    await dpmesh(['predict', '--run', out, '--data', data, '--out', predicted]);
    hashes.push(sha256(predicted));
  }
  assert.equal(new Set(hashes).size, 1);
});
