import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { priority } from '../../../model/random.ts';
import { weightAfter, withNewRows } from '../../../model/stream/sample.ts';
import type { StreamSample } from '../../../model/stream/stream.ts';

const EMPTY: StreamSample = { keys: new Float64Array(), most: 100 };

/** A sample of updates of these sizes, the rows of each with a seed of their own: where its rows come from, and their keys. */
function streamOf(sizes: number[], halfLife: number | null, most = 100) {
  let sample: StreamSample = { ...EMPTY, most };
  let rows: string[] = [];
  for (const [update, size] of sizes.entries()) {
    const drawn = withNewRows(sample, size, priority(String(update)), halfLife);
    rows = [...drawn.kept.map((i) => rows[i]), ...drawn.joining.map((row) => `${update}:${row}`)];
    sample = { keys: drawn.keys, most };
  }
  return { rows, keys: sample.keys };
}

describe('the sample of a stream', () => {
  test('has all rows while there are few, and then the most that it may have, in the order in which they came', () => {
    const few = streamOf([60, 30], null);
    assert.equal(few.rows.length, 90);
    assert.deepEqual(few.rows.slice(58, 62), ['0:58', '0:59', '1:0', '1:1']);
    const many = streamOf([60, 3000, 500], null);
    assert.equal(many.rows.length, 100);
    const order = many.rows.map((row) => {
      const [update, number] = row.split(':').map(Number);
      return 1e6 * update + number;
    });
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  });

  test('are the rows of the least keys of all, whatever the updates in between', () => {
    const sizes = [400, 300, 500];
    const { rows, keys } = streamOf(sizes, 250);
    const all = sizes.flatMap((size, update) => {
      const priorityOf = priority(String(update));
      const later = sizes.slice(update + 1).reduce((a, b) => a + b, 0);
      return Array.from({ length: size }, (_, row) => ({
        name: `${update}:${row}`,
        key: priorityOf(row) * 2 ** ((later + size - 1 - row) / 250),
      }));
    });
    const least = all
      .filter(({ key }) => key < 1)
      .sort((a, b) => a.key - b.key)
      .slice(0, 100);
    assert.deepEqual(new Set(rows), new Set(least.map(({ name }) => name)));
    assert.ok(keys.every((key) => key < 1));
  });

  test('each row is in it with a chance that is its weight', () => {
    const [halfLife, size] = [1000, 20_000];
    const { rows } = streamOf([size], halfLife, 1e6);
    const recent = rows.filter((row) => Number(row.split(':')[1]) >= size - halfLife).length;
    // ∫ 2^(−a/h) from 0 to h is h/(2·ln 2), half of the whole.
    const expected = halfLife / (2 * Math.LN2);
    assert.ok(Math.abs(recent - expected) < 4 * Math.sqrt(expected), `${recent}, not ${expected}`);
    assert.ok(Math.abs(rows.length - 2 * expected) < 4 * Math.sqrt(2 * expected), `${rows.length} rows`);
  });

  test('weighs as its rows do', () => {
    const weight = (ages: number[]) => ages.reduce((sum, age) => sum + 2 ** (-age / 50), 0);
    const after = weightAfter(weight([0, 1, 2]), 120, 50);
    assert.ok(Math.abs(after.before - weight([120, 121, 122])) < 1e-9);
    assert.ok(Math.abs(after.rows - weight(Array.from({ length: 120 }, (_, age) => age))) < 1e-9);
    assert.deepEqual(weightAfter(30, 12, null), { before: 30, rows: 12 });
  });

  test('a half-life that ends leaves the rows that there are', () => {
    const faded = streamOf([5000], 100);
    const after = withNewRows({ keys: faded.keys, most: 200 }, 10, priority('1'), null);
    assert.equal(after.kept.length, faded.rows.length);
    assert.equal(after.joining.length, 10);
  });
});
