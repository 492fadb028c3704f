import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Pace } from '../../../coordinator/scheduler/pace.ts';

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
  /** Rounds of 100 ms for which `slow` is the last, in which `fast` needs `needed` ms. Returns how many there are until it rests. */
  function roundsUntilRest(pace: Pace, needed: number): number {
    for (let round = 1; round < 1000; round++) {
      pace.answered('fast', 'k', round, needed);
      pace.answered('slow', 'k', round, 100);
      pace.roundEnded('k', round, ['slow'], 100, 100 * round);
      if (pace.rests('slow', 100 * round)) return round;
    }
    return Infinity;
  }

  test('rests when rounds have waited for it for two seconds, for ten times as long', () => {
    const pace = new Pace();
    const rounds = roundsUntilRest(pace, 10);
    assert.equal(rounds, 24, '90 ms each, but for the first');
    assert.ok(!pace.rests('fast', 0));
    assert.ok(pace.rests('slow', 2400 + 20_000));
    assert.ok(!pace.rests('slow', 2400 + 20_700));
  });

  test('does not if it is not slower by far, or was not the last in a round between', () => {
    assert.equal(roundsUntilRest(new Pace(), 25), Infinity);
    const pace = new Pace();
    for (let round = 1; round < 100; round++) {
      pace.answered('fast', 'k', round, 1);
      pace.answered('slow', 'k', round, 100);
      pace.roundEnded('k', round, [round % 20 ? 'slow' : 'fast'], 100, 100 * round);
    }
    assert.ok(!pace.rests('slow', 0));
  });

  test('does not if it has as many times more units, or took long to get ready in its first round', () => {
    const pace = new Pace();
    pace.answered('fast', 'k', 1, 100);
    pace.answered('slow', 'k', 1, 60_000);
    pace.roundEnded('k', 1, ['slow'], 60_000, 60_000);
    assert.ok(!pace.rests('slow', 60_000));
    for (let round = 2; round < 20; round++) {
      pace.answered('fast', 'k', round, 6_000);
      pace.answered('slow', 'k', round, 20_000, 3);
      pace.answered('slow', 'k', round, 7_000);
      pace.roundEnded('k', round, ['slow'], 27_000, 27_000 * round);
      assert.ok(!pace.rests('slow', 27_000 * round), `round ${round}`);
    }
  });

  test('does not without others that took part', () => {
    const pace = new Pace();
    for (let round = 1; round < 100; round++) {
      pace.answered('slow', 'k', round, 1000);
      pace.roundEnded('k', round, ['slow'], 1000, 1000 * round);
    }
    assert.ok(!pace.rests('slow', 0));
  });
});
