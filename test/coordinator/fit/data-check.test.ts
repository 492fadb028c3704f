import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDataCheck, problemWith } from '../../../coordinator/fit/data-check.ts';
import { blockHash } from '../../../data/blocks.ts';
import type { Source } from '../../../data/source.ts';
import { block, blockCount, HASH_BYTES, layoutOf, shardBlocks } from '../../../model/layout.ts';

/** Rows whose first number is their index. */
function setUp(rows: number, dim: number) {
  let rowsRead = 0;
  const changed = new Set<number>();
  const source: Source = {
    ...{ rows, dim, dtype: 'float32' },
    async read(start, count) {
      rowsRead += count;
      const values = new Float32Array(count * dim);
      for (let i = 0; i < count; i++) values[i * dim] = changed.has(start + i) ? -1 : start + i;
      return values;
    },
    stored: () => assert.fail(),
    close() {},
  };
  const layout = layoutOf(rows, dim, 4, 3n);
  const misread: [string, string][] = [];
  const check = createDataCheck({
    ...{ source, layout, path: 'rows.npy' },
    misread: (worker, reason) => void misread.push([worker, reason]),
  });
  /** The true hashes, but for these blocks. */
  const hashes = async (stale: number[] = []) => {
    const out = new Uint8Array(blockCount(layout) * HASH_BYTES);
    for (let i = 0; i < blockCount(layout); i++) {
      const { start, count } = block(layout, i);
      out.set(blockHash(await source.read(start, count)), i * HASH_BYTES);
    }
    for (const index of stale) out[index * HASH_BYTES] ^= 1;
    rowsRead = 0;
    return out;
  };
  /** All shards, by the workers that have read them. */
  const units = (by: string[]) =>
    shardBlocks(layout).map((blocks, shard) => ({ shard, from: 0, to: blocks.length, by: by[shard] }));
  const shardOf = (index: number) =>
    shardBlocks(layout).findIndex((blocks) => blocks.some((own) => own.index === index));
  return { check, hashes, misread, changed, layout, shardOf, source, units, rowsRead: () => rowsRead };
}

for (const [rows, dim] of [
  [3000, 4],
  [20_000, 1024],
])
  test(`a file of ${rows} rows is compared as a whole, and read once`, async () => {
    const { check, hashes, rowsRead, misread, units } = setUp(rows, dim);
    const found = await hashes();
    check.begin();
    assert.deepEqual(await check.staleUnits(found, units(['a', 'b', 'a', 'b'])), []);
    assert.deepEqual([misread, rowsRead()], [[], rows]);
  });

test('of a worker that has another copy, all shards are read again, from the coordinator', async () => {
  const { check, hashes, misread, shardOf, layout, units } = setUp(3000, 4);
  const index = 7;
  const by = ['a', 'a', 'a', 'a'];
  const other = (shardOf(index) + 1) % 4;
  by[shardOf(index)] = by[other] = 'b';
  const stale = await check.staleUnits(await hashes([index]), units(by));
  assert.deepEqual(stale, [shardOf(index), other].sort());
  const { start, count } = block(layout, index);
  const where = `block 7 (rows ${start} to ${start + count - 1}, counted from 0)`;
  assert.deepEqual(misread, [['b', `${where} differs from that of rows.npy at the coordinator`]]);
  // What it has then read is the coordinator's.
  assert.deepEqual(await check.staleUnits(await hashes(), units(by)), []);
});

test('a file that changes meanwhile ends the run', async () => {
  const { check, hashes, layout, changed, misread, units } = setUp(3000, 4);
  const by = ['a', 'a', 'a', 'a'];
  await check.staleUnits(await hashes(), units(by));
  changed.add(block(layout, 7).start);
  await assert.rejects(
    check.staleUnits(await hashes(), units(by)),
    /^UserError: rows.npy has changed in block 7 \(rows /,
  );
  assert.deepEqual(misread, []);
});

test('a file is not read any more when the session ends', async () => {
  const { check, rowsRead } = setUp(20_000, 1024);
  check.stop();
  check.begin();
  assert.equal(rowsRead(), 0);
});

test('a unit is wrong where the coordinator finds so too', async () => {
  const { hashes, layout, changed, source } = setUp(3000, 4);
  const read = (blocks: number[]) => {
    const { start, count } = block(layout, blocks[0]);
    return source.read(start, count);
  };
  const found = await hashes();
  const unit = { shard: 1, from: 0, to: 2 };
  assert.equal(await problemWith(unit, layout, read, found), null);
  changed.add(shardBlocks(layout)[1][1].start);
  assert.match(String(await problemWith(unit, layout, read, found)), /has changed since the run began/);
});
