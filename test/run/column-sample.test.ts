import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { writeNpy } from '../../data/npy.ts';
import { columnSample } from '../../run/column-sample.ts';
import { namedVariables } from '../../run/named-columns.ts';

describe('columns that clusters are named by', () => {
  const namesOf = (names: string[] | null, categories = {}) =>
    namedVariables({ names, table: { categories } }).map(({ name, columns }) => [name, ...columns]);

  test('are those with names, categories as one', () => {
    const names = ['age', 'r=north', 'r=', 'size'];
    const found = namesOf(names, { r: ['south', 'north', ''] });
    assert.deepEqual(found, [
      ['age', 0],
      ['size', 3],
      ['r', 1, 2],
    ]);
    assert.deepEqual(namesOf(null), []);
  });

  test('are no numbers of lists, with brackets or without', () => {
    const many = Array.from({ length: 40 }, (_, i) => `emb_${i}`);
    assert.deepEqual(namesOf(['age', ...many, 'place[3]']), [['age', 0]]);
    assert.equal(namesOf(['age', ...many.slice(0, 20)]).length, 21);
  });
});

describe('rows that clusters are named by', () => {
  const run = mkdtempSync(join(tmpdir(), 'dpmesh-names-'));
  after(() => rmSync(run, { recursive: true }));
  mkdirSync(join(run, 'stream'));
  const rows = 3000;
  writeNpy(
    join(run, 'stream', 'sample.npy'),
    '<f4',
    [rows, 1],
    Array.from({ length: rows }, (_, i) => i),
  );
  const labels = Int32Array.from({ length: rows }, (_, i) => [7, 3, -1][i % 3]);
  // The later, the less.
  const keys = Float64Array.from({ length: rows }, (_, i) => 1 - i / rows);

  test('are those of each cluster that have the least keys, without new ones and outliers', async () => {
    const { values, clusters } = (await columnSample(run, { keys, labels, ids: [7, 3] }, [1000, 1000]))!;
    assert.equal(values.length, 1000);
    assert.deepEqual([values[0], values.at(-1)], [1500, 2998]);
    assert.ok(values.every((value, i) => [7, 3][clusters[i]] === labels[value]));
  });

  test('are none where there is no room for enough of each', async () => {
    const ids = Array.from({ length: 300_000 }, (_, i) => i);
    assert.equal(await columnSample(run, { keys, labels, ids }, ids), null);
  });
});
