import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mapColumns } from '../../data/steps/linear.ts';
import { codeLayer, initialAutoencoder, rateAfter } from '../../model/nets/autoencoder.ts';
import { netShapes, unflatten } from '../../model/nets/net.ts';
import { take } from '../../proto/tensors.ts';
import type { TaskOf } from '../../tasks/table.ts';
import type { Backend } from '../../worker/compute/backends/backend.ts';
import { backends } from '../worker/present.ts';
import { agrees, D, encoderStates, type Matrix, matrixOf, range, SEED } from '../worker/support.ts';
import { run, SHARDS, w } from './support.ts';

const WIDTHS = [D, 6, 2, 6, D];
const LINEAR = [codeLayer(WIDTHS), WIDTHS.length - 2];
const task: TaskOf<'encoder-steps'> = {
  ...{ task: 'encoder-steps', epoch: 1, batch: 16, rate: 0.02, pull: 0, noise: 0 },
  ...{ done: 0, length: 1, total: 40, steps: 0 },
};

/** A worker with the states of an auto-encoder. */
function joined(backend: Backend, states = encoderStates(WIDTHS)) {
  const worker = w.newWorker(backend);
  for (const [name, tensors] of Object.entries(states)) worker.put(name, tensors);
  return worker;
}

/** Outputs of each layer for one row, in float64. */
function layersOf(params: Float32Array, row: number[]): number[][] {
  const shapes = netShapes(WIDTHS, 0);
  const parts = unflatten(params, shapes);
  const layers = [row];
  for (let l = 0; l < shapes.length; l += 2) {
    const [rows, cols] = shapes[l];
    layers.push(
      range(cols).map((j) => {
        let value = parts[l + 1][j];
        for (let i = 0; i < rows; i++) value += layers.at(-1)![i] * parts[l][i * cols + j];
        return LINEAR.includes(l / 2) ? value : Math.max(0, value);
      }),
    );
  }
  return layers;
}

function inputs(): Matrix {
  const { factor, shift } = encoderStates(WIDTHS)['encoder-input'];
  const rows = w.raw.slice();
  mapColumns({ factor: factor.data as Float32Array, shift: shift.data as Float32Array }, rows);
  return matrixOf(rows, D);
}

const errorOf = (params: Float32Array, rows: Matrix) =>
  rows.reduce((sum, row) => {
    const out = layersOf(params, row).at(-1)!;
    return sum + out.reduce((total, value, d) => total + (value - row[d]) ** 2, 0);
  }, 0) / rows.length;

describe('encode', () => {
  for (const backend of backends)
    test(`codes are those of the encoder, in the order of the rows, on ${backend.identity}`, async () => {
      const { params } = initialAutoencoder(SEED, WIDTHS);
      const rows = inputs();
      for (const shard of SHARDS) {
        const { codes } = await run(joined(backend), { task: 'encode' }, shard);
        const expected = w.rowsOf(shard).flatMap((row) => layersOf(params, rows[row])[codeLayer(WIDTHS) + 1]);
        assert.deepEqual(codes.shape, [w.rowsOf(shard).length, 2]);
        agrees(codes.data, expected, 1e-5);
      }
    });
});

describe('encoder-steps', () => {
  for (const backend of backends) {
    test(`the first step is one of Adam against the gradient, on ${backend.identity}`, async () => {
      // With a batch of all rows there is one step, of the sign of the gradient times the rate.
      const { params } = initialAutoencoder(SEED, WIDTHS);
      const shard = SHARDS[0];
      const rows = inputs();
      const own = w.rowsOf(shard).map((row) => rows[row]);
      const result = await run(joined(backend), { ...task, batch: 1000, done: 1 }, shard);
      agrees(take(result, 'loss', 'float64'), [errorOf(params, own)], 1e-5);
      const after = take(result, 'params', 'float32');
      const step = 1e-3;
      const rate = rateAfter(task.rate, 1, task.total);
      let checked = 0;
      for (let p = 0; p < params.length; p++) {
        const at = (by: number) => {
          const moved = Float32Array.from(params);
          moved[p] += by;
          return errorOf(moved, own);
        };
        const gradient = (at(step) - at(-step)) / (2 * step);
        if (Math.abs(gradient) < 0.02) continue;
        checked++;
        const moved = after[p] - params[p];
        assert.ok(Math.abs(moved + Math.sign(gradient) * rate) < 1e-3 * rate, `weight ${p}: ${moved}`);
      }
      assert.ok(checked > 20, `only ${checked} weights have a gradient`);
    });
  }

  test('each epoch takes the rows in another order, and noise is drawn again', async () => {
    const params = async (change: Partial<typeof task>) =>
      take(await run(joined(backends[0]), { ...task, ...change }, SHARDS[0]), 'params', 'float32');
    assert.notDeepEqual(await params({}), await params({ epoch: 2 }));
    assert.notDeepEqual(await params({}), await params({ noise: 0.5 }));
    assert.deepEqual(await params({ noise: 0.5 }), await params({ noise: 0.5 }));
  });

  test('the rate falls within a round', async () => {
    const moved = async (change: Partial<typeof task>) => {
      const { params } = initialAutoencoder(SEED, WIDTHS);
      const after = take(
        await run(joined(backends[0]), { ...task, ...change }, SHARDS[0]),
        'params',
        'float32',
      );
      return after.reduce((sum, value, i) => sum + Math.abs(value - params[i]), 0);
    };
    assert.ok((await moved({ done: 1, total: 2 })) < 0.9 * (await moved({ done: 1 })));
    assert.ok((await moved({ done: 39 })) < 0.1 * (await moved({ done: 1 })));
  });
});
