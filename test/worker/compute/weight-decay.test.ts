import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { backends } from '../present.ts';
import { agrees } from '../support.ts';

for (const backend of backends)
  describe(`on ${backend.identity}`, () => {
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
