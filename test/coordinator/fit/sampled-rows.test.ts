import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampledCounts } from '../../../coordinator/fit/sample.ts';
import { layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { sampledRows } from '../../../tasks/compute/context.ts';

const layout = layoutOf(5000, 2, 4, 2n ** 63n + 5n);
const seed = BigInt(layout.seed);

test('the coordinator finds the sampled rows that workers find', async () => {
  for (const below of [0, 0.1, 0.9, 1]) {
    const found = shardBlocks(layout).map((blocks) => {
      let first = 0;
      return blocks.flatMap((block) => {
        const own = sampledRows(block, priority(seed), below).map((i) => first + i);
        first += block.count;
        return own;
      });
    });
    assert.deepEqual(
      await sampledCounts(layout, below),
      found.map(({ length }) => length),
    );
  }
});
