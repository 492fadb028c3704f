import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { densityKernel } from '../../../worker/compute/kernels/row-kernel.ts';

const density = densityKernel();
const rng = generator(12n, 'density kernel');
const floats = (n: number) => Float32Array.from({ length: n }, () => 3 * rng.normal());

describe('log-densities by whitening', () => {
  for (const [n, d, k] of [
    [1, 1, 1],
    [3, 2, 3],
    [64, 10, 10],
    [131, 7, 5],
    [70, 33, 4],
    [70, 70, 2],
  ])
    test(`agree to the bit with float32 products, squared and summed in float64: ${n} rows, ${d} columns, ${k} components`, () => {
      const of = { x: floats(n * d), weights: floats(d * k * d), bias: floats(k * d), constant: floats(k) };
      assert.deepEqual(densities(of), expectedDensities(of));
    });

  for (const [n, d, k, spread] of [
    [131, 33, 16, 1],
    [64, 12, 500, 0.05],
    [3, 9, 40, 10],
  ])
    test(`of many, those 30 nats below the row's largest are closed, whatever other rows need: ${n} rows, ${d} columns, ${k} components`, () => {
      const weights = floats(d * k * d).map((value) => spread * value);
      const of = { x: floats(n * d), weights, bias: floats(k * d), constant: floats(k) };
      const all = expectedDensities(of);
      const expected = all.map((value, at) => {
        const from = at - (at % k);
        const least = Math.fround(Math.max(...all.subarray(from, from + k)) - 30);
        return value < least ? -1e38 : value;
      });
      const closed = expected.filter((value) => value === Math.fround(-1e38)).length;
      assert.ok(closed > 0 && closed <= expected.length - n, `${closed} of ${expected.length}`);
      assert.deepEqual(densities(of), expected);
      for (const row of [0, n - 1])
        assert.deepEqual(
          densities({ ...of, x: of.x.subarray(row * d, (row + 1) * d) }),
          expected.subarray(row * k, (row + 1) * k),
        );
    });
});

type Whitening = Record<'x' | 'weights' | 'bias' | 'constant', Float32Array>;

function densities({ x, weights, bias, constant }: Whitening): Float32Array {
  const out = new Float32Array((x.length / (bias.length / constant.length)) * constant.length);
  density(x, weights, bias, constant, out);
  return out;
}

/** Log-densities [n,k]. Weights below the diagonals of the components count as 0, whatever they are. */
function expectedDensities({ x, weights, bias, constant }: Whitening): Float32Array {
  const k = constant.length;
  const d = bias.length / k;
  const triangular = weights.map((value, at) => (Math.floor(at / (k * d)) > at % d ? 0 : value));
  return Float32Array.from({ length: (x.length / d) * k }, (_, at) => {
    const [i, c] = [Math.floor(at / k), at % k];
    let sum = 0;
    for (let e = c * d; e < (c + 1) * d; e++) {
      let u = bias[e];
      for (let p = 0; p < d; p++) u = Math.fround(u + Math.fround(x[i * d + p] * triangular[p * k * d + e]));
      sum += u * u;
    }
    return constant[c] - 0.5 * sum;
  });
}
