import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atOnce } from '../../../model/graph/map.ts';
import { mapNetOf, placesOnMap } from '../../../model/graph/map-net.ts';
import { generator } from '../../../model/random.ts';

/** `each` rows around each of `centres`, in turn. */
function blobs(centres: number[][], each: number, sd = 1): Float32Array {
  const rng = generator(1n, 'blobs');
  const rows: number[] = [];
  for (let i = 0; i < each; i++)
    for (const centre of centres) rows.push(...centre.map((value) => value + sd * rng.normal()));
  return Float32Array.from(rows);
}

/** Where the net of these rows places them. */
const mapOf = (rows: Float32Array, dim: number) => placesOnMap(atOnce(mapNetOf(rows, dim)), rows);

/** The share of rows whose nearest one on the map is of the same blob. */
function kept(map: ArrayLike<number>, count: number): number {
  const n = map.length / 2;
  let same = 0;
  for (let i = 0; i < n; i++) {
    let [nearest, least] = [-1, Infinity];
    for (let j = 0; j < n; j++) {
      const far = Math.hypot(map[2 * i] - map[2 * j], map[2 * i + 1] - map[2 * j + 1]);
      if (j !== i && far < least) [nearest, least] = [j, far];
    }
    if (nearest % count === i % count) same++;
  }
  return same / n;
}

describe('the map of rows', () => {
  // Six blobs at the ends of three axes, each 20 standard deviations from the others: no plane separates them all.
  const six = [0, 1, 2].flatMap((axis) => [-14, 14].map((x) => [0, 1, 2].map((d) => (d === axis ? x : 0))));

  test('keeps apart what is apart in more dimensions', () => {
    const map = mapOf(blobs(six, 50), 3);
    assert.equal(map.length, 600);
    assert.ok(kept(map, 6) > 0.99);
    // No blob is in several pieces: its rows are nearer to its own centre than to any other.
    const centres = six.map((_, b) =>
      [0, 1].map((a) => {
        let sum = 0;
        for (let i = b; i < 300; i += 6) sum += map[2 * i + a];
        return sum / 50;
      }),
    );
    for (let i = 0; i < 300; i++) {
      const far = centres.map(([x, y]) => Math.hypot(map[2 * i] - x, map[2 * i + 1] - y));
      assert.equal(far.indexOf(Math.min(...far)), i % 6);
    }
  });

  test('of one, two, equal and huge rows is finite', () => {
    assert.deepEqual([...mapOf(Float32Array.of(1, 2, 3), 3)], [0, 0]);
    for (const rows of [
      Float32Array.of(1, 2, 3, 4, 5, 6),
      new Float32Array(300).fill(2),
      blobs(six, 20).map((value) => value * 1e15),
      Float32Array.from(blobs(six, 20), (value, i) => (i < 90 ? 1 : value)),
    ])
      assert.ok(mapOf(rows, 3).every(Number.isFinite));
  });
});
