import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atOnce } from '../../../model/graph/map.ts';
import { placesOnMap } from '../../../model/graph/map-net.ts';
import { mapNetOf } from '../../../model/graph/map-training.ts';
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

  test('categories do not tear apart what numbers hold together', () => {
    const [each, count] = [100, 4];
    const rng = generator(3n, 'categories');
    const centres = [0, 1, 2, 3].map((b) => [0, 1, 2].map((d) => (b === d ? 2 : 0)));
    const numbers = blobs(centres, each, 0.5);
    // Three categories of four values, which say nothing of blobs: standardized columns of what a tenth to two fifths of the rows have.
    const shares = [0.1, 0.2, 0.3, 0.4];
    const rows: number[] = [];
    for (let i = 0; i < each * count; i++) {
      rows.push(...numbers.subarray(3 * i, 3 * i + 3));
      for (let category = 0; category < 3; category++) {
        const at = rng.uniform();
        const value = at < 0.1 ? 0 : at < 0.3 ? 1 : at < 0.6 ? 2 : 3;
        rows.push(...shares.map((p, v) => (Number(v === value) - p) / Math.sqrt(p * (1 - p))));
      }
    }
    const same = kept(mapOf(Float32Array.from(rows), 15), count);
    assert.ok(same > 0.9, `${same}`);
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

describe('the net of a map', () => {
  const rng = generator(7n, 'clusters');
  const centres = Array.from({ length: 8 }, () => Array.from({ length: 40 }, () => 6 * rng.normal()));
  const all = blobs(centres, 90);
  const learned = all.slice(0, 320 * 40);
  const others = all.slice(320 * 40);

  test('places rows that it has not seen beside those of their kind, also by a sketch of many columns', () => {
    const net = atOnce(mapNetOf(learned, 40));
    assert.deepEqual([net.units.length / net.shift.length, net.shift.length], [320, 32]);
    assert.ok(kept(placesOnMap(net, others), 8) > 0.99);
    const wide = (rows: Float32Array) => {
      const out = new Float32Array((rows.length / 40) * 600);
      for (let i = 0; i < rows.length; i++) out[Math.floor(i / 40) * 600 + 15 * (i % 40)] = rows[i];
      return out;
    };
    const sketched = atOnce(mapNetOf(wide(learned), 600));
    assert.ok(kept(placesOnMap(sketched, wide(others)), 8) > 0.99);
  });

  test('after another transform has learned the places that rows had', () => {
    const before = atOnce(mapNetOf(learned, 40));
    const places = placesOnMap(before, learned);
    const scaled = (rows: Float32Array) => rows.map((value) => 2 * value - 3);
    const after = atOnce(mapNetOf(scaled(learned), 40, places));
    const [old, now] = [placesOnMap(before, others), placesOnMap(after, scaled(others))];
    const off = Array.from(old, (value, i) => Math.abs(value - now[i])).sort((a, b) => a - b);
    assert.ok(off[off.length >> 1] < 0.3, `${off[off.length >> 1]}`);
  });

  test('of one and two columns has these as coordinates', () => {
    const one = atOnce(mapNetOf(Float32Array.of(3, 1, 2), 1));
    assert.deepEqual([...placesOnMap(one, Float32Array.of(7, -2))], [7, 0, -2, 0]);
    const two = atOnce(mapNetOf(Float32Array.of(3, 1, 2, 2), 2));
    assert.deepEqual([...placesOnMap(two, Float32Array.of(7, -2))], [7, -2]);
  });

  test('gives finite places to rows far from all, and of samples with few, equal or far rows', () => {
    const far = learned.slice(0, 40 * 40);
    far.fill(1e15, 0, 3);
    const samples = [far, new Float32Array(400).fill(2), learned.slice(0, 40), learned.slice(0, 200)];
    const rows = Float32Array.of(
      ...learned.slice(0, 400),
      ...new Float32Array(40).fill(1e18),
      ...new Float32Array(40),
    );
    for (const sample of samples)
      assert.ok(placesOnMap(atOnce(mapNetOf(sample, 40)), rows).every(Number.isFinite));
  });
});
