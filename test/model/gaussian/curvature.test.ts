import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { straightened } from '../../../model/gaussian/curvature.ts';
import { logDet } from '../../../model/linalg.ts';
import { mean, scatter, totalOfRows } from '../../../model/statistics.ts';
import { close, normals } from '../support.ts';

const located = (rows: Float64Array, d: number) => {
  const T = totalOfRows(rows, d, 'full');
  return { mean: mean(T, d), covariance: scatter(T, d, 'full').map((value) => (value * d) / rows.length) };
};

/** z, turned by 1 radian in its first two columns, with `noise` in the third, that follows the first two by `f`. */
function sheet(n: number, noise: number, f: (x: number, y: number) => number): Float64Array {
  const next = normals(5);
  const [c, s] = [Math.cos(1), Math.sin(1)];
  const row = () => {
    const [x, y] = [next(), next()];
    const z = f(x, y) + noise * next();
    return [c * x - s * z, y, s * x + c * z];
  };
  return Float64Array.from(Array.from({ length: n }, row).flat());
}

describe('a bent cluster is straightened', () => {
  const n = 1000;
  for (const [name, f, variance] of [
    ['along a parabola', (x: number) => x * x, 2],
    ['in two directions', (x: number, y: number) => x * x + 2 * x * y, 6],
  ] as const)
    test(`${name}: what is left of the volume is that of the noise`, () => {
      const rows = sheet(n, 0.2, f);
      const found = straightened(rows, located(rows, 3), 1, Math.log(n) / 2)!;
      assert.ok(found.parameters >= 3, String(found.parameters));
      const left = logDet(located(found.rows, 3).covariance, 3);
      close(left, Math.log(0.2 ** 2), 0.2);
      assert.ok(logDet(located(rows, 3).covariance, 3) > Math.log(variance) - 0.5);
    });

  test('one that is not bent stays as it is, as do constant columns and a single column', () => {
    const next = normals(6);
    const rows = Float64Array.from({ length: 900 }, next);
    assert.equal(straightened(rows, located(rows, 3), 1, Math.log(300) / 2), null);
    assert.equal(straightened(rows, located(rows, 1), 1, Math.log(900) / 2), null);
    const flat = rows.map((value, p) => (p % 3 ? value : 0));
    const covariance = located(flat, 3).covariance;
    covariance[0] = 1;
    assert.equal(straightened(flat, { mean: new Float64Array(3), covariance }, 1, 3), null);
  });
});
