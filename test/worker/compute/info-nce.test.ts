import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { backends } from '../present.ts';
import { agrees } from '../support.ts';

const [ROWS, COLS] = [5, 3];

/** The loss by its definition, in float64. */
function lossOf(codes: Float64Array): number {
  const similarity = (i: number, j: number) => {
    let square = 0;
    for (let d = 0; d < COLS; d++) square += (codes[i * COLS + d] - codes[(ROWS + j) * COLS + d]) ** 2;
    return 1 / (1 + square);
  };
  let loss = 0;
  for (let i = 0; i < ROWS; i++) {
    let total = 0;
    for (let j = 0; j < ROWS; j++) total += similarity(i, j);
    loss -= Math.log(similarity(i, i) / total) / ROWS;
  }
  return loss;
}

for (const backend of backends)
  describe(`on ${backend.identity}`, () => {
    test('the gradient of InfoNCE is that of finite differences', async () => {
      const rng = generator(2n, 'codes');
      const codes = Float64Array.from({ length: 2 * ROWS * COLS }, () => Math.fround(rng.normal()));
      const x = backend.upload(Float32Array.from(codes), [2 * ROWS, COLS]);
      const { gradient, loss } = backend.infoNceGradient(x);
      agrees(await backend.read(loss), [lossOf(codes)], 1e-5);
      const step = 1e-5;
      const expected = codes.map((_, p) => {
        const at = (by: number) => lossOf(codes.map((value, i) => (i === p ? value + by : value)));
        return (at(step) - at(-step)) / (2 * step);
      });
      agrees(await backend.read(gradient), [...expected], 1e-5);
      backend.free(x, gradient, loss);
    });

    test('decay is decoupled from the gradient, and none changes no bits', async () => {
      const rng = generator(3n, 'adam');
      const draw = () => Float32Array.from({ length: 12 }, rng.normal);
      const [start, gradients] = [draw(), [draw(), draw()]];
      const [rate, decay] = [0.1, 0.5];
      const after = async (own?: number) => {
        const [p, m, v] = [start, new Float32Array(12), new Float32Array(12)].map((values) =>
          backend.upload(values, [3, 4]),
        );
        for (const [i, values] of gradients.entries()) {
          const gradient = backend.upload(values, [3, 4]);
          backend.adam(p, m, v, gradient, rate, i + 1, own);
          backend.free(gradient);
        }
        const values = await backend.read(p);
        backend.free(p, m, v);
        return values;
      };
      const [plain, decayed] = [await after(), await after(decay)];
      assert.deepEqual(await after(0), plain);
      // The steps themselves do not depend on the weights: only what is left of these does.
      const first = start.map((value, i) => value - rate * Math.sign(gradients[0][i]));
      const kept = 1 - rate * decay;
      const expected = plain.map((value, i) => {
        const moved = first[i] - value;
        return kept * (kept * start[i] - rate * Math.sign(gradients[0][i])) - moved;
      });
      agrees(decayed, [...expected], 1e-4);
    });
  });
