import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cholesky, invertLower } from '../../model/linalg.ts';
import { addByLoops, momentsByProducts } from '../../tasks/cells/compute.ts';
import type { Context } from '../../tasks/compute/context.ts';
import { rowKernel } from '../../worker/compute/kernels/row-kernel.ts';
import { normals, positiveDefinite } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import { agrees } from '../worker/support.ts';

for (const backend of backends)
  describe(`fourth moments of many columns on ${backend.identity}`, () => {
    const [n, d] = [300, 40];
    const next = normals(4);
    // Long rows are shortened, others not.
    const rows = Float64Array.from({ length: n * d }, (_, p) => (p < 20 * d ? 9 : 1) * next() + 2);
    const centre = Float64Array.from({ length: d }, () => 2 + next() / 9);
    const inverse = invertLower(cholesky(positiveDefinite(3, d, 'full'), d)!, d);
    const context = { backend, kernel: rowKernel() } as unknown as Context;

    test('are those of plain loops', async () => {
      const x = Float32Array.from(rows);
      const leaf = Int32Array.from({ length: n }, (_, i) => (i % 3 ? 0 : -1));
      const expected = new Float64Array(d * d);
      addByLoops(expected, x, d, leaf, centre, inverse);
      const members = [...leaf.keys()].filter((i) => leaf[i] === 0);
      agrees(await momentsByProducts(context, x, members, { centre, inverse }), expected, 1e-5);
    });

    test('a row that is too long for float32 and one at the centre count for nothing', async () => {
      const x = new Float32Array(3 * d);
      x[0] = 3e38;
      x[2 * d] = 1;
      const whitening = {
        centre: new Float64Array(d),
        inverse: inverse.map((_, p) => (p % (d + 1) ? 0 : 100)),
      };
      const F = await momentsByProducts(context, x, [0, 1, 2], whitening);
      // The third is shortened to 2√D: ‖u‖⁴.
      agrees(
        F,
        F.map((_, p) => (p ? 0 : (4 * d) ** 2)),
        1e-6,
      );
      assert.equal(F[1], 0);
    });
  });
