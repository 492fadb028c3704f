import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { createDataCheck } from '../../coordinator/data-check.ts';
import { BlockChanged, blockHash, HASH_BYTES } from '../../data/blocks.ts';
import type { Source } from '../../data/source.ts';
import { block, blockCount, layoutOf, shardBlocks } from '../../model/layout.ts';

/** Rows whose first number is their index. */
function setUp(rows: number, dim: number, isThorough = false) {
  const reads: [number, number][] = [];
  const changed = new Set<number>();
  const source: Source = {
    ...{ rows, dim, dtype: 'float32' },
    async read(start, count) {
      reads.push([start, count]);
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
    ...{ source, layout, path: 'rows.npy', isThorough },
    workers: {
      misread: (worker, reason) => void misread.push([worker, reason]),
      describe: (worker) => `${worker} on far`,
    },
  });
  /** The true hashes, but for these blocks. */
  const hashes = async (stale: number[] = []) => {
    const out = new Uint8Array(blockCount(layout) * HASH_BYTES);
    for (let i = 0; i < blockCount(layout); i++) {
      const { start, count } = block(layout, i);
      out.set(blockHash(await source.read(start, count)), i * HASH_BYTES);
    }
    for (const index of stale) out[index * HASH_BYTES] ^= 1;
    reads.length = 0;
    return out;
  };
  const shardOf = (index: number) =>
    shardBlocks(layout).findIndex((blocks) => blocks.some((own) => own.index === index));
  return { check, hashes, misread, changed, reads, layout, shardOf, blocks: blockCount(layout) };
}
const rowsRead = (reads: [number, number][]) => reads.reduce((sum, [, count]) => sum + count, 0);

describe('a small file', () => {
  test('is compared at once, and read once', async () => {
    const { check, hashes, reads, misread } = setUp(3000, 4);
    const found = await hashes();
    check.begin();
    assert.deepEqual(await check.staleShards(found, ['a', 'b', 'a', 'b']), []);
    await check.watch(found);
    await check.finish();
    assert.deepEqual([misread, rowsRead(reads)], [[], 3000]);
  });

  test('that a worker has another copy of: all of its shards are read again, from the coordinator', async () => {
    const { check, hashes, misread, shardOf, layout } = setUp(3000, 4);
    const index = 7;
    const by = ['a', 'a', 'a', 'a'];
    const other = (shardOf(index) + 1) % 4;
    by[shardOf(index)] = by[other] = 'b';
    const stale = await check.staleShards(await hashes([index]), by);
    assert.deepEqual(stale, [shardOf(index), other].sort());
    const { start, count } = block(layout, index);
    const where = `block 7 (rows ${start} to ${start + count - 1}, counted from 0)`;
    assert.deepEqual(misread, [['b', `${where} differs from that of rows.npy at the coordinator`]]);
    // What it has then read is the coordinator's.
    assert.deepEqual(await check.staleShards(await hashes(), by), []);
  });

  test('that changes meanwhile ends the run', async () => {
    const { check, hashes, layout, changed, misread } = setUp(3000, 4);
    check.begin();
    await check.staleShards(await hashes(), ['a', 'a', 'a', 'a']);
    changed.add(block(layout, 7).start);
    await assert.rejects(
      check.staleShards(await hashes(), ['a', 'a', 'a', 'a']),
      /^UserError: rows.npy has changed in block 7 \(rows /,
    );
    assert.deepEqual(misread, []);
  });
});

describe('a large file', () => {
  const [rows, dim] = [20_000, 1024];

  test('is sampled at once, and read once in all', async () => {
    const { check, hashes, reads, blocks } = setUp(rows, dim);
    const found = await hashes();
    assert.deepEqual(await check.staleShards(found, ['a', 'a', 'a', 'a']), []);
    const sampled = rowsRead(reads);
    assert.ok(
      sampled > 0 && sampled <= Math.ceil(Math.sqrt(blocks)) * Math.ceil(rows / blocks),
      `${sampled}`,
    );
    const watching = check.watch(found);
    await check.finish();
    await watching;
    assert.equal(rowsRead(reads), rows);
  });

  test('in which the sample missed a difference: the run ends, and the worker is named', async () => {
    const { check, hashes, shardOf, blocks, layout } = setUp(rows, dim);
    let index = -1;
    // A block that is not in the sample.
    for (let i = 0, stale = [0]; stale.length; i++) {
      index = i;
      stale = await check.staleShards(
        await hashes([i]),
        [0, 1, 2, 3].map((s) => `${s}-${i}`),
      );
    }
    assert.ok(index < blocks);
    const watching = check.watch(await hashes([index]));
    await assert.rejects(check.finish(), (error) => {
      assert.ok(error instanceof UserError);
      const who = `worker ${shardOf(index)}-${index} on far read other data in block ${index} \\(rows`;
      assert.match(
        error.message,
        new RegExp(`^${who}.* than rows.npy has here: replace its copy of the file, and start a new run$`),
      );
      return true;
    });
    await assert.rejects(watching);
    // The same, if a sound worker meets the hash of the other one first.
    const differs = new BlockChanged(block(layout, index));
    assert.match(check.explain(differs).message, /^worker .* read other data/);
    assert.equal(check.explain(new UserError('rows.npy is truncated')).message, 'rows.npy is truncated');
  });

  test('is compared at once if that is asked for', async () => {
    const { check, hashes, shardOf, blocks, layout } = setUp(rows, dim, true);
    const by = ['a', 'b', 'c', 'd'];
    const index = blocks - 1;
    assert.deepEqual(await check.staleShards(await hashes([index]), by), [shardOf(index)]);
    assert.deepEqual(await check.staleShards(await hashes(), by), []);
    const differs = new BlockChanged(block(layout, index));
    assert.equal(check.explain(differs), differs);
    await check.watch(await hashes());
  });

  test('of an earlier session has changed since', async () => {
    const { check, hashes } = setUp(rows, dim);
    await assert.rejects(
      check.watch(await hashes([3])),
      /^UserError: rows.npy: block 3 .* has changed since/,
    );
  });

  test('is not read any more when the session ends', async () => {
    const { check, hashes, reads } = setUp(rows, dim);
    const found = await hashes();
    check.stop();
    await check.watch(found);
    assert.deepEqual(reads, []);
  });
});
