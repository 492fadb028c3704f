import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { block, blockCount, layoutOf, shardBlocks } from '../../model/layout.ts';
import { forAll } from './support.ts';

const SEED = 7n;
const rowsOf = (blocks: { start: number; count: number }[]) =>
  blocks.reduce((sum, { count }) => sum + count, 0);
/** Numbers of rows and shards, with at least one row per shard. */
const sizes = fc
  .integer({ min: 1, max: 40 })
  .chain((shards) => fc.tuple(fc.integer({ min: shards, max: 200_000 }), fc.constant(shards)));

describe('rows per block', () => {
  // clamp(2^⌊log2(N/(512·S))⌋, 16, 1024)
  const cases: [rows: number, shards: number, blockRows: number][] = [
    [100_000_000, 8, 1024],
    [512 * 8 * 1024 - 1, 8, 512],
    [512 * 8 * 32 - 1, 8, 16],
    [70_000, 8, 16],
    [9_000, 8, 16],
    // Fewer where a shard would be empty otherwise.
    [100, 8, 12],
    [128, 8, 16],
    [127, 8, 15],
    [8, 8, 1],
    [1, 1, 1],
  ];
  for (const [rows, shards, blockRows] of cases)
    test(`${rows} rows in ${shards} shards: ${blockRows}`, () => {
      const layout = layoutOf(rows, 3, shards, SEED);
      assert.deepEqual(layout, { rows, dim: 3, shards, blockRows, seed: '7' });
    });
});

describe('blocks', () => {
  test('cover the rows in file order; the last one may be shorter', () => {
    forAll([sizes], 30, ([rows, shards]) => {
      const layout = layoutOf(rows, 3, shards, SEED);
      let next = 0;
      for (let index = 0; index < blockCount(layout); index++) {
        const { start, count, ...rest } = block(layout, index);
        assert.deepEqual(rest, { index });
        assert.equal(start, next);
        assert.ok(count > 0 && count <= layout.blockRows);
        if (index < blockCount(layout) - 1) assert.equal(count, layout.blockRows);
        next += count;
      }
      assert.equal(next, rows);
    });
  });
});

describe('shards', () => {
  test('every row is in exactly one shard; all have blocks, in file order, and their counts differ by at most one', () => {
    forAll([sizes, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })], 40, ([rows, shards], seed) => {
      const layout = layoutOf(rows, 3, shards, seed);
      const dealt = shardBlocks(layout);
      assert.equal(dealt.length, shards);
      const lengths = dealt.map((blocks) => blocks.length);
      assert.ok(Math.min(...lengths) >= 1);
      assert.ok(Math.max(...lengths) - Math.min(...lengths) <= 1);
      const seen = new Set<number>();
      for (const blocks of dealt) {
        blocks.forEach((entry, i) => {
          assert.deepEqual(entry, block(layout, entry.index));
          if (i) assert.ok(entry.index > blocks[i - 1].index);
          seen.add(entry.index);
        });
      }
      assert.equal(seen.size, blockCount(layout));
      assert.equal(rowsOf(dealt.flat()), rows);
    });
  });

  test('the assignment depends on the seed alone', () => {
    const dealt = (seed: bigint) => shardBlocks(layoutOf(5_000, 3, 4, seed));
    assert.deepEqual(dealt(1n), dealt(1n));
    assert.notDeepEqual(dealt(1n), dealt(2n));
    // The number of columns does not matter.
    assert.deepEqual(shardBlocks(layoutOf(5_000, 99, 4, 1n)), dealt(1n));
    // All 64 bits matter, and are preserved in messages.
    assert.notDeepEqual(dealt(1n), dealt(1n + (1n << 63n)));
    const layout = layoutOf(5_000, 3, 4, 2n ** 64n - 1n);
    assert.deepEqual(shardBlocks(JSON.parse(JSON.stringify(layout))), shardBlocks(layout));
  });
});
