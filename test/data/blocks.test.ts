import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { blockHash, firstBlockHash, readBlocks } from '../../data/blocks.ts';
import type { Source } from '../../data/source.ts';
import { block, type Layout } from '../../model/layout.ts';
import { refuses } from './files.ts';

const DIM = 3;
const layout: Layout = { rows: 22, dim: DIM, shards: 2, blockRows: 5, seed: '1' };
/** Each number is its own index in the file. */
const values = Float32Array.from({ length: 22 * DIM }, (_, i) => i);
const source: Source = {
  rows: 22,
  dim: DIM,
  dtype: 'float32',
  read: async (start, count) => {
    assert.ok(start + count <= 22);
    return values.slice(start * DIM, (start + count) * DIM);
  },
  stored: () => assert.fail('should not be called'),
  close() {},
};
const rowsOf = (index: number) => {
  const { start, count } = block(layout, index);
  return [...values.subarray(start * DIM, (start + count) * DIM)];
};

describe('block hash', () => {
  test('the first 16 bytes of SHA-256 over the little-endian float32 numbers', () => {
    const bytes = Buffer.alloc(12);
    [1, -2.5, 1e-3].forEach((value, i) => {
      bytes.writeFloatLE(value, 4 * i);
    });
    const expected = createHash('sha256').update(bytes).digest().subarray(0, 16);
    const hash = blockHash(Float32Array.of(1, -2.5, 1e-3));
    assert.equal(hash.length, 16);
    assert.deepEqual(Buffer.from(hash), expected);
  });

  test('of the first block: in hexadecimal', async () => {
    const expected = Buffer.from(blockHash(values.slice(0, 15))).toString('hex');
    assert.equal(await firstBlockHash(source, layout), expected);
  });
});

describe('reading blocks', () => {
  test('returns the blocks in the given order', async () => {
    for (const indices of [[0], [4], [3, 0, 4, 1], [2, 2], []]) {
      const rows = await readBlocks(source, layout, indices);
      assert.deepEqual([...rows], indices.flatMap(rowsOf));
    }
  });

  test('rejects numbers that are not block indices', async () => {
    for (const index of [5, -1, 0.5, Number.NaN, 2 ** 40])
      await refuses(() => readBlocks(source, layout, [index]), `there is no block ${index}`);
  });

  test('rejects too many bytes before reading anything; a single block may have any size', async () => {
    let read = 0;
    const wide = { ...layout, rows: 4096, dim: 20_000, blockRows: 1024 };
    const counting = { ...source, read: async () => new Float32Array(++read) };
    await refuses(() => readBlocks(counting, wide, [0, 1]), '4 MiB');
    assert.equal(read, 0);
    await readBlocks(counting, wide, [3]);
    assert.equal(read, 1);
  });
});
