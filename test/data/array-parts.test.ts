// Several .npy files as one data set: in a folder, or by a pattern.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { firstBlockHash } from '../../data/blocks.ts';
import { isImageFolder, openSource } from '../../data/open.ts';
import { layoutOf } from '../../model/layout.ts';
import { openVisible } from '../../worker/blocks.ts';
import { elements, npyFile, refuses, scratchFolder } from './files.ts';

const { folder, put } = scratchFolder();
const DIM = 3;
/** Rows whose numbers go on from part to part. */
let next = 0;
const part = (rows: number) => {
  const values = Array.from({ length: rows * DIM }, () => next++);
  return npyFile('<f4', [rows, DIM], elements('f4', values));
};
const SIZES = [4, 1, 7, 2];
for (const [i, rows] of SIZES.entries()) put(`parts/part-${i}.npy`, part(rows));
put('parts/_SUCCESS', '');
const ROWS = SIZES.reduce((a, b) => a + b);
const paths = [join(folder, 'parts'), join(folder, 'parts', '*.npy')];

test('rows follow each other in the order of the names', async () => {
  for (const path of paths) {
    const source = await openSource(path);
    assert.deepEqual([source.rows, source.dim, source.dtype], [ROWS, DIM, 'float32']);
    await fc.assert(
      fc.asyncProperty(fc.nat(ROWS - 1), fc.nat(ROWS), fc.boolean(), async (start, most, isGiven) => {
        const count = Math.min(most, ROWS - start);
        const into = isGiven ? new Float32Array(count * DIM) : undefined;
        const rows = await source.read(start, count, into);
        assert.deepEqual(
          rows,
          Float32Array.from({ length: count * DIM }, (_, i) => start * DIM + i),
        );
      }),
    );
    assert.deepEqual(await source.stored(5), Float64Array.of(15, 16, 17));
    await assert.rejects(source.read(ROWS - 1, 2), RangeError);
    await source.assertSameFile!();
    source.close();
  }
  assert.equal(isImageFolder(paths[0]), false);
});

test('workers read them, unless one is elsewhere than in their roots', async () => {
  const layout = layoutOf(ROWS, DIM, 1, 0n);
  const source = await openSource(paths[0]);
  const file = { path: paths[0], firstBlock: await firstBlockHash(source, layout) };
  source.close();
  for (const path of paths) {
    const own = await openVisible([folder], { ...file, path }, layout, assert.fail);
    assert.deepEqual(await own!.read(ROWS - 1, 1), Float32Array.of(39, 40, 41));
    own!.close();
    assert.equal(await openVisible([join(folder, 'other')], { ...file, path }, layout, () => {}), null);
  }
});

test('a part with other rows, or one that changes, is named', async () => {
  put('mixed/a.npy', part(2));
  put('mixed/b.npy', npyFile('<f4', [2, 2], elements('f4', [1, 2, 3, 4])));
  await refuses(() => openSource(join(folder, 'mixed')), 'b.npy: float32 [2]', 'a.npy: float32 [3]');
  put('mixed/b.npy', npyFile('<f8', [1, DIM], elements('f8', [1, 2, 3])));
  await refuses(() => openSource(join(folder, 'mixed')), 'b.npy: float64 [3]');
  put('changing/a.npy', part(2));
  put('changing/b.npy', part(2));
  const source = await openSource(join(folder, 'changing'));
  put('changing/b.npy', part(3));
  await refuses(async () => source.assertSameFile!(), 'b.npy changed while it was being read');
  source.close();
  await refuses(() => openSource(join(folder, 'nothing', '*.npy')), 'is a pattern of no file');
});
