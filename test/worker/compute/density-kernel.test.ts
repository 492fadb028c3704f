import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { densityKernel } from '../../../worker/compute/kernels/row-kernel.ts';

const rng = generator(12n, 'density kernel');
const floats = (n: number) => Float32Array.from({ length: n }, () => 3 * rng.normal());

describe('log-densities by whitening', () => {
  const density = densityKernel();
  for (const [n, d, k] of [
    [1, 1, 1],
    [3, 2, 3],
    [64, 10, 10],
    [131, 7, 5],
    [70, 33, 4],
    [70, 70, 2],
  ])
    test(`agree to the bit with float32 products, squared and summed in float64: ${n} rows, ${d} columns, ${k} components`, () => {
      const [x, weights, bias, constant] = [floats(n * d), floats(d * k * d), floats(k * d), floats(k)];
      // Those below the diagonals of the components count as 0, whatever they are.
      const triangular = weights.map((value, at) => (Math.floor(at / (k * d)) > at % d ? 0 : value));
      const expected = new Float32Array(n * k);
      for (let i = 0; i < n; i++) {
        for (let c = 0; c < k; c++) {
          let sum = 0;
          for (let e = c * d; e < (c + 1) * d; e++) {
            let u = bias[e];
            for (let p = 0; p < d; p++)
              u = Math.fround(u + Math.fround(x[i * d + p] * triangular[p * k * d + e]));
            sum += u * u;
          }
          expected[i * k + c] = constant[c] - 0.5 * sum;
        }
      }
      const actual = new Float32Array(n * k);
      density(x, weights, bias, constant, actual);
      assert.deepEqual(actual, expected);
    });
});
