import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { ariOfLabels } from '../../model/scores.ts';
import { dpmesh, jsonOf, scratch, times, trainArgs } from './support.ts';

const folder = scratch();

/** Clusters in the first few columns, the others of noise: the same for any number of columns, but for the noise. */
function beside(count: number, columns: number, k: number, d: number, spread: number) {
  const rng = generator(3n, 'noise-columns', k);
  const centres = times(k, () => times(d, () => spread * rng.normal()));
  const classes = Int32Array.from({ length: count }, (_, i) => i % k);
  const own = times(count, (i) => centres[classes[i]].map((at) => at + rng.normal()));
  const noise = generator(4n, 'noise-columns', columns);
  const rows = own.flatMap((row) => [...row, ...times(columns - d, () => noise.normal())]);
  const data = join(folder, `${k}-of-${columns}.npy`);
  writeNpy(data, '<f4', [count, columns], rows);
  return { data, classes };
}

async function found({ data, classes }: ReturnType<typeof beside>) {
  const out = `${data}-run`;
  const { k, notes } = jsonOf(await dpmesh(trainArgs(data, out)));
  const labels = readNpy(join(out, 'labels.npy')).data as Int32Array;
  return { k, notes, ari: ariOfLabels(Int32Array.from(labels), classes) };
}

test('clusters beside columns of noise are the same in 31 and 33 columns, which are named', async () => {
  for (const columns of [31, 33]) {
    const { k, ari, notes } = await found(beside(1000, columns, 6, 5, 3));
    assert.equal(k, 6, `${columns} columns`);
    assert.ok(ari > 0.9, `${columns} columns: ${ari}`);
    const said = new RegExp(
      `^${columns - 5} of the ${columns} columns carry nothing.*\\(5 to ${columns - 1}, `,
    );
    assert.ok(
      notes.some((note: string) => said.test(note)),
      notes.join('\n'),
    );
  }
});

test('twelve small clusters, which share their covariance', async () => {
  const { k, ari } = await found(beside(1200, 31, 12, 20, 1.3));
  assert.equal(k, 12);
  assert.ok(ari > 0.95, `${ari}`);
});
