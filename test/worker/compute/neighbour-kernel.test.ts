import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { type Neighbours, neighbourKernel } from '../../../worker/compute/kernels/neighbour-kernel.ts';

const nearest = neighbourKernel();
const rng = generator(13n, 'neighbour kernel');
const normals = (n: number) => Float32Array.from({ length: n }, () => rng.normal());

/** All distances in float64, sorted by (distance, index). */
function bruteForce(
  points: Float32Array,
  queries: Float32Array,
  d: number,
  k: number,
  first: number,
): Neighbours {
  const [n, q] = [points.length / d, queries.length / d];
  const found: Neighbours = { index: new Int32Array(q * k), distance: new Float32Array(q * k) };
  for (let i = 0; i < q; i++) {
    const squared = Float64Array.from({ length: n }, (_, p) => {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += (points[p * d + j] - queries[i * d + j]) ** 2;
      return sum;
    });
    const others = Array.from(squared.keys()).filter((p) => first < 0 || p !== first + i);
    const order = others.sort((a, b) => squared[a] - squared[b] || a - b).slice(0, k);
    found.index.set(order, i * k);
    found.distance.set(
      order.map((p) => Math.sqrt(squared[p])),
      i * k,
    );
  }
  return found;
}

/** Sums over columns are in another order than those of the kernel: distances may differ in the last bit. */
function assertAgrees(
  points: Float32Array,
  queries: Float32Array,
  d: number,
  k: number,
  first: number,
): void {
  const [found, expected] = [nearest, bruteForce].map((search) => search(points, queries, d, k, first));
  assert.deepEqual(found.index, expected.index);
  assert.equal(found.distance.length, expected.distance.length);
  found.distance.forEach((distance, i) => {
    const error = Math.abs(distance - expected.distance[i]);
    assert.ok(error <= 2 ** -23 * expected.distance[i], `${i}: ${distance}, ${expected.distance[i]}`);
  });
}

describe('nearest neighbours are those of a brute force in float64', () => {
  for (const [n, q, d, k] of [
    [1, 1, 1, 1],
    [9, 3, 1, 8],
    [5000, 21, 1, 15],
    [8, 4, 3, 3],
    [1001, 30, 3, 30],
    [700, 61, 64, 30],
    [333, 10, 65, 15],
    [200, 7, 300, 5],
  ])
    test(`${k} of ${n} points, ${q} queries, ${d} columns`, () => {
      const points = normals(n * d);
      assertAgrees(points, normals(q * d), d, k, -1);
      if (n === 1) return;
      for (const first of [0, 2, n - q])
        assertAgrees(points, points.slice(first * d, (first + q) * d), d, k, first);
    });

  test('equal distances are in order of index, and those of duplicates are 0', () => {
    const [n, d] = [400, 3];
    // Sums of squares of small integers are exact: so are the ties.
    const points = Float32Array.from({ length: n * d }, () => rng.below(4));
    for (const k of [1, 15, n - 1])
      for (const first of [0, -1]) {
        const found = nearest(points, points, d, k, first);
        assert.deepEqual(found, bruteForce(points, points, d, k, first));
        assert.equal(found.distance[0], 0);
      }
    const same = nearest(new Float32Array(20).fill(7), Float32Array.of(7, 7), 2, 4, -1);
    assert.deepEqual(same, { index: Int32Array.of(0, 1, 2, 3), distance: new Float32Array(4) });
  });

  test('no queries have no neighbours', () => {
    const none = { index: new Int32Array(), distance: new Float32Array() };
    assert.deepEqual(nearest(normals(12), new Float32Array(), 3, 2, -1), none);
  });
});

describe('rounding in float32 does not decide', () => {
  const [n, q, d, k] = [600, 40, 64, 30];
  const normal = normals(n * d);

  test('points far from the origin', () => {
    for (const offset of [100, 1e5]) {
      const points = normal.map((value) => value + offset);
      assertAgrees(points, points.slice(0, q * d), d, k, 0);
    }
  });

  test('an outlier and near-duplicates', () => {
    const points = normal.slice();
    for (let i = 0; i < n; i += 2) points.set(points.subarray(0, d), i * d);
    for (let i = 0; i < n; i += 2) points[i * d] += i * 1e-6;
    points.fill(1e6, (n - 1) * d);
    assertAgrees(points, points, d, k, 0);
  });

  test('squares that overflow float32, or underflow', () => {
    for (const scale of [1e17, 1e18, 4e18, 1e25, 1e37, 1e-18, 1e-22, 1e-30]) {
      const points = normal.map((value) => value * scale);
      assertAgrees(points, points.slice(0, q * d), d, k, 0);
    }
    const mixed = normal.map((value, i) => value * 10 ** ((Math.floor(i / d) % 60) - 30));
    assertAgrees(mixed, mixed.slice(0, 60 * d), d, k, 0);
  });

  test('a row that is not finite is no neighbour and has none', () => {
    const points = normals(20);
    points[6] = Number.NaN;
    points[17] = Infinity;
    const { index, distance } = nearest(points, points, 2, 9, 0);
    for (let i = 0; i < 10; i++) {
      const found = [...index.subarray(i * 9, i * 9 + 9)].sort((a, b) => a - b);
      const expected = i === 3 || i === 8 ? [] : [0, 1, 2, 4, 5, 6, 7, 9].filter((p) => p !== i);
      assert.deepEqual(found, [...Array(9 - expected.length).fill(-1), ...expected]);
      assert.deepEqual(
        [...distance.subarray(i * 9 + expected.length, i * 9 + 9)],
        Array(9 - expected.length).fill(Infinity),
      );
    }
  });
});

test('a query alone has the same neighbours as in a batch', () => {
  const [n, q, d, k] = [500, 11, 10, 15];
  const points = normals(n * d);
  const first = 123;
  const queries = points.slice(first * d, (first + q) * d);
  const together = nearest(points, queries, d, k, first);
  for (const size of [1, 3, 4, 6])
    for (let from = 0; from < q; from += size) {
      const to = Math.min(from + size, q);
      const part = nearest(points, queries.slice(from * d, to * d), d, k, first + from);
      assert.deepEqual(part, {
        index: together.index.slice(from * k, to * k),
        distance: together.distance.slice(from * k, to * k),
      });
    }
});

test('what cannot be found is refused', () => {
  const points = normals(10 * 2);
  for (const k of [0, 11]) assert.throws(() => nearest(points, points, 2, k, -1), RangeError);
  for (const k of [-1, 10]) assert.throws(() => nearest(points, points, 2, k, 0), RangeError);
  for (const first of [-2, 1]) assert.throws(() => nearest(points, points, 2, 1, first), RangeError);
});
