import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assignShards } from '../../../coordinator/scheduler/balance.ts';

describe('assignShards', () => {
  const names = fc.uniqueArray(fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e', 'f'), { minLength: 1 });
  const owners = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'gone', null), {
    minLength: 1,
    maxLength: 12,
  });
  const counts = (assigned: (string | null)[], workers: string[]) =>
    workers.map((worker) => assigned.filter((owner) => owner === worker).length);

  test('is even, and moves as few shards as any even assignment can', () => {
    fc.assert(
      fc.property(owners, names, (before, workers) => {
        const after = assignShards(before, workers);
        assert.ok(after.every((owner) => workers.includes(owner!)));
        const owned = counts(after, workers);
        assert.ok(Math.max(...owned) - Math.min(...owned) <= 1, `${owned}`);
        // The most that can stay: each worker keeps ⌊S/W⌋, and S mod W of those with more keep one more.
        const [least, extra] = [Math.floor(before.length / workers.length), before.length % workers.length];
        const had = counts(before, workers);
        const more = Math.min(extra, had.filter((count) => count > least).length);
        const stay = had.reduce((sum, count) => sum + Math.min(count, least), 0) + more;
        assert.equal(before.filter((owner, i) => owner === after[i]).length, stay);
      }),
      { numRuns: 1000 },
    );
  });

  test('without workers no shard has an owner', () => {
    assert.deepEqual(assignShards(['a', null, 'b'], []), [null, null, null]);
  });
});
