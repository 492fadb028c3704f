import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateLimit, createTokenBucket } from '../../../coordinator/rounds/accounting.ts';

test('a peer reaches the limit with its 20th message in ten seconds; others are unaffected', () => {
  let clock = 0;
  const limit = createRateLimit(() => clock);
  for (let i = 0; i < 19; i++) limit.add('a');
  assert.ok(!limit.exceeded('a'));
  limit.add('a');
  assert.ok(limit.exceeded('a') && !limit.exceeded('b'));
  clock = 10_000;
  assert.ok(limit.exceeded('a'));
  clock = 10_001;
  assert.ok(!limit.exceeded('a'));
});

test('beyond the number of peers that are remembered, the oldest are forgotten', () => {
  const limit = createRateLimit(() => 0);
  for (let i = 0; i < 20; i++) limit.add('first');
  for (let i = 0; i < 4095; i++) limit.add(`p${i}`);
  assert.ok(limit.exceeded('first'));
  limit.add('one more');
  assert.ok(!limit.exceeded('first'));
});

test('a token bucket gives out its capacity, then what it is refilled with', () => {
  let clock = 0;
  const bucket = createTokenBucket(3, 2, () => clock);
  const take = (times: number) => Array.from({ length: times }, () => bucket());
  assert.deepEqual(take(4), [true, true, true, false]);
  clock = 499;
  assert.deepEqual(take(1), [false]);
  clock = 500;
  assert.deepEqual(take(2), [true, false]);
  clock = 1e6;
  assert.deepEqual(take(4), [true, true, true, false], 'never more than its capacity');
});
