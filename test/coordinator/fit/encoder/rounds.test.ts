import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { roundsOfEpoch } from '../../../../coordinator/fit/encoder/train-encoder.ts';

describe('the rounds of an encoder’s epoch', () => {
  const options = { encoderBatch: 64, encoderSteps: 128 };
  /** Local steps in each round of an epoch of so many. */
  const lengths = (all: number, before: number) => {
    const cuts = roundsOfEpoch(options, { rows: 8 * 64 * all, shards: 8 }, before);
    assert.equal(cuts[0], 0);
    assert.equal(cuts.at(-1), 1);
    return cuts.slice(1).map((cut, i) => Math.round((cut - cuts[i]) * all));
  };

  test('double at first, until they have the wanted length', () => {
    assert.deepEqual(lengths(137, 0), [4, 8, 16, 32, 77]);
    const long = lengths(1000, 0);
    assert.deepEqual(long.slice(0, 5), [4, 8, 16, 32, 64]);
    assert.ok(long.slice(5).every((length) => Math.abs(length - 128) < 10));
    assert.ok(Math.abs(long.reduce((a, b) => a + b) - 1000) <= 4);
  });

  test('go on doubling in the next epoch, where epochs are short', () => {
    assert.deepEqual(lengths(10, 0), [4, 6]);
    assert.deepEqual(lengths(10, 10), [10]);
    assert.deepEqual(lengths(40, 10), [14, 26]);
  });

  test('are equal, and of about the wanted length, from then on', () => {
    assert.deepEqual(lengths(137, 137), [137]);
    assert.deepEqual(lengths(300, 300), [150, 150]);
    assert.deepEqual(lengths(1280, 5000), Array(10).fill(128));
  });

  test('take all rows where there are fewer than a batch', () => {
    assert.deepEqual(roundsOfEpoch(options, { rows: 100, shards: 8 }, 0), [0, 1]);
  });
});
