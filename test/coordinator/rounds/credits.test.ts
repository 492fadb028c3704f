import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCredits } from '../../../coordinator/rounds/scheduler.ts';

/** Room for 100 bytes; the clock stands until it is moved. */
function setUp() {
  const asked: string[] = [];
  const clock = { now: 0 };
  const credits = createCredits(
    (worker) => void asked.push(worker),
    () => clock.now,
    100,
  );
  const ready = (worker: string, bytes: number, first = 0) => credits.ready({ worker, bytes, first });
  return { credits, asked, clock, ready };
}

describe('credits', () => {
  test('results are asked for as long as there is room, those of the first shards first', () => {
    const { credits, asked, ready } = setUp();
    ready('a', 60, 0);
    ready('d', 60, 12);
    ready('b', 60, 4);
    ready('c', 40, 8);
    assert.deepEqual(asked, ['a']);
    credits.received('d');
    assert.deepEqual(asked, ['a'], 'of one that was not asked');
    credits.received('a');
    assert.deepEqual(asked, ['a', 'b', 'c']);
    credits.received('c');
    assert.deepEqual(asked, ['a', 'b', 'c']);
    credits.received('b');
    assert.deepEqual(asked, ['a', 'b', 'c', 'd']);
  });

  test('one that is larger than the room comes alone', () => {
    const { credits, asked, ready } = setUp();
    ready('a', 1000);
    ready('b', 1);
    assert.deepEqual(asked, ['a']);
    credits.received('a');
    assert.deepEqual(asked, ['a', 'b']);
  });

  test('one that leaves, or does not answer, leaves its room to others', () => {
    const { credits, asked, clock, ready } = setUp();
    ready('a', 100);
    ready('b', 100);
    ready('c', 100);
    ready('b', 50);
    credits.forget('b');
    credits.forget('a');
    assert.deepEqual(asked, ['a', 'c']);
    ready('d', 100);
    clock.now = 10;
    assert.deepEqual(credits.expired(10), []);
    clock.now = 11;
    assert.deepEqual(credits.expired(10), ['c']);
    assert.deepEqual(asked, ['a', 'c', 'd']);
    credits.clear();
    ready('e', 100);
    assert.deepEqual(asked, ['a', 'c', 'd', 'e']);
  });
});
