// What an encoder leaves of new rows, against what it has left of those before.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { alarmsOf } from '../../../model/stream/drift.ts';
import { pooled, residualDrift, residualOf } from '../../../model/stream/sample.ts';

const { normal } = generator(3n, 'residual');
/** Errors of so many rows, skewed as those of images are. */
const errors = (rows: number, size = 1) =>
  Float64Array.from({ length: rows }, () => size * Math.exp(0.4 * normal()));
const quiet = { rows: 1, nats: 0, likelihoodZ: 0, unlike: 0, unlikeZ: 0, moved: 0, movedZ: 0 };
const isAlarm = (before: Float64Array, now: Float64Array, gap = 0) =>
  alarmsOf({ ...quiet, ...residualDrift(residualOf(before, gap), residualOf(now, 0)) }).length > 0;
const share = (count: number, is: () => boolean) =>
  Array.from({ length: count }, is).filter(Boolean).length / count;

describe('what an encoder leaves', () => {
  test('of rows like those before is no alarm, however few they are', () => {
    for (const rows of [1, 5, 50, 500, 5000])
      assert.equal(
        share(200, () => isAlarm(errors(500), errors(rows))),
        0,
        `${rows} rows`,
      );
  });
  test('of rows of which it leaves a quarter more is one, and of a twentieth more is none', () => {
    assert.ok(share(100, () => isAlarm(errors(1000), errors(1000, 1.25))) > 0.95);
    assert.equal(
      share(100, () => isAlarm(errors(5000), errors(5000, 1.05))),
      0,
    );
  });
  test('is expected to be more by the gap, where it has learned from the rows before', () => {
    assert.equal(
      share(100, () => isAlarm(errors(1000), errors(1000, 1.2), 0.2)),
      0,
    );
    assert.ok(share(100, () => isAlarm(errors(1000), errors(1000, 1.5), 0.2)) > 0.95);
  });
  test('of all rows is that of both parts, by their weights', () => {
    const [a, b] = [errors(3000), errors(1000, 2)];
    const both = residualOf(Float64Array.of(...a, ...b), 0);
    const { rows, mean, variance, gap } = pooled(residualOf(a, 0.4), 3000, residualOf(b, 0), 1000);
    assert.equal(rows, 4000);
    for (const [found, expected] of [
      [mean, both.mean],
      [variance, both.variance],
      [gap, 0.3],
    ])
      assert.ok(Math.abs(found - expected) < 1e-9);
  });
  test('of rows that are rebuilt without any error is a number', () => {
    const none = residualOf(new Float64Array(5), 0);
    assert.deepEqual(residualDrift(none, none), { residual: 0, residualZ: 0 });
  });
});
