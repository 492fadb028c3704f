import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assignShards, Pace } from '../../../coordinator/rounds/balance.ts';

describe('the patience of an idle worker', () => {
  test('is two seconds for what it has never computed, else by its own times in the latest such round', () => {
    const pace = new Pace();
    assert.equal(pace.patience('a', 'moments'), 2000);
    pace.answered('a', 'moments', 1, 10);
    assert.equal(pace.patience('a', 'moments'), 300);
    pace.answered('a', 'moments', 1, 200);
    assert.equal(pace.patience('a', 'moments'), 600, 'three times the longest silence');
    for (let i = 0; i < 4; i++) pace.answered('a', 'moments', 1, 200);
    assert.equal(pace.patience('a', 'moments'), 1010, 'as long as its own part took');
    pace.answered('a', 'moments', 2, 150);
    assert.equal(pace.patience('a', 'moments'), 450, 'in the latest round');
    assert.equal(pace.patience('a', 'statistics'), 2000);
    assert.equal(pace.patience('b', 'moments'), 2000);
    pace.forget('a');
    assert.equal(pace.patience('a', 'moments'), 2000);
  });
});

describe('a slow worker', () => {
  const units = 8;
  /**
   * Rounds of 8 units, of which each of these workers has as many, in these ms. Returns the round in which some begin to rest, and which.
   */
  function roundsUntilRest(pace: Pace, times: Record<string, number>, kind = 'k'): [number, string[]] {
    const workers = Object.entries(times);
    const duration = Math.max(...workers.map(([, time]) => time));
    for (let round = 1; round < 1000; round++) {
      for (const [worker, time] of workers) pace.answered(worker, kind, round, time, units / workers.length);
      const resting = pace.roundEnded(kind, round, [], { duration, units }, duration * round);
      if (resting.length) return [round, resting];
    }
    return [Infinity, []];
  }

  test('rests when rounds were slower with it than without by a second, for ten times as long, then for longer', () => {
    const pace = new Pace();
    // Alone, the fast one would need 20 ms.
    assert.deepEqual(
      roundsUntilRest(pace, { fast: 10, slow: 100 }),
      [14, ['slow']],
      '80 ms each, but for the first',
    );
    assert.ok(!pace.rests('fast', 0));
    assert.ok(pace.rests('slow', 1400 + 10_000));
    assert.ok(!pace.rests('slow', 1400 + 10_500));
    assert.deepEqual(roundsUntilRest(pace, { fast: 10, slow: 100 }), [14, ['slow']]);
    assert.ok(pace.rests('slow', 1400 + 30_000));
  });

  test('does not if rounds are as fast with it, or were in between', () => {
    assert.equal(roundsUntilRest(new Pace(), { fast: 50, slow: 100 })[0], Infinity);
    assert.equal(roundsUntilRest(new Pace(), { a: 20, b: 20, c: 20, slow: 30 })[0], Infinity);
    const pace = new Pace();
    for (let round = 1; round < 100; round++) {
      pace.answered('fast', 'k', round, 1, 4);
      pace.answered('slow', 'k', round, round % 10 ? 100 : 1, 4);
      pace.roundEnded('k', round, [], { duration: round % 10 ? 100 : 1, units }, 100 * round);
    }
    assert.ok(!pace.rests('slow', 0));
  });

  test('two of them do not hide each other; one that has not answered at all counts', () => {
    const [, both] = roundsUntilRest(new Pace(), { fast: 10, slow: 300, slower: 310 });
    assert.deepEqual(both, ['slow', 'slower']);
    const pace = new Pace();
    pace.answered('frozen', 'k', 1, 10, 4);
    for (let round = 2; round < 5; round++) {
      pace.answered('fast', 'k', round, 10, 8);
      pace.roundEnded('k', round, ['frozen'], { duration: 600, units }, 600 * round);
    }
    assert.ok(pace.rests('frozen', 2000));
  });

  test('does not for its first round, for which it gets ready, nor without others', () => {
    const pace = new Pace();
    pace.answered('fast', 'k', 1, 100, 4);
    pace.answered('slow', 'k', 1, 60_000, 4);
    assert.deepEqual(pace.roundEnded('k', 1, [], { duration: 60_000, units }, 60_000), []);
    assert.equal(roundsUntilRest(new Pace(), { slow: 1000 })[0], Infinity);
  });
});

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

  test('gives relays as many as they have workers, one after the other', () => {
    const sizes: Record<string, number> = { relay: 4, one: 1, other: 2 };
    const found = assignShards(
      Array(14).fill(null),
      ['relay', 'one', 'other'],
      new Map(),
      (name) => sizes[name],
    );
    assert.deepEqual(found, [...Array(8).fill('relay'), ...Array(2).fill('one'), ...Array(4).fill('other')]);
    const moved = assignShards(found, ['relay', 'one'], new Map(), (name) => sizes[name]);
    assert.equal(
      moved.filter((owner, shard) => owner !== found[shard]).length,
      4,
      'only those without an owner',
    );
    assert.equal(moved.filter((owner) => owner === 'relay').length, 11);
  });

  test('a shard without an owner goes to one who has its rows', () => {
    const cached = new Map([['b', new Set([2])]]);
    assert.deepEqual(assignShards([null, null, null, null], ['a', 'b'], cached), ['a', 'a', 'b', 'b']);
    assert.deepEqual(assignShards(['a', 'a', 'a', 'a'], ['a', 'b'], cached), ['a', 'a', 'b', 'b']);
  });
});
