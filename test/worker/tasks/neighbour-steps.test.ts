import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { initialAutoencoder, rateAfter } from '../../../model/nets/autoencoder.ts';
import { netShapes, unflatten } from '../../../model/nets/net.ts';
import type { TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import type { Backend } from '../../../worker/compute/backends/backend.ts';
import { sampleGraphOf } from '../graph-states.ts';
import { backends } from '../present.ts';
import { agrees, D, encoderStates, range, SEED } from '../support.ts';
import { run, SHARDS, w } from './support.ts';

const WIDTHS = [D, 6, 2];
const task: TaskOf<'neighbour-steps'> = {
  ...{ task: 'neighbour-steps', epoch: 1, batch: 16, rate: 0.02, from: 0, length: 1 },
  ...{ total: 40, steps: 0, noise: 0, decay: 0 },
};
const { rows, starts, states: graph } = sampleGraphOf(w, 3);
const index = take(graph.pairs, 'index', 'int32');
const K = graph.pairs.index.shape[1];
const { params } = initialAutoencoder(SEED, WIDTHS);

function joined(backend: Backend, change: Record<string, Tensors> = {}) {
  const worker = w.newWorker(backend);
  const own = { ...encoderStates(WIDTHS), points: graph.points, pairs: graph.pairs, ...change };
  for (const [name, tensors] of Object.entries(own)) worker.put(name, tensors);
  return worker;
}

/** The code of a sample row, in float64. */
function codeOf(weights: Float32Array, row: number): number[] {
  const [w1, b1, w2, b2] = unflatten(weights, netShapes(WIDTHS, 0));
  const layer = (x: number[], m: Float32Array, b: Float32Array) =>
    [...b].map((start, j) => x.reduce((sum, value, i) => sum + value * m[i * b.length + j], start));
  const hidden = layer([...rows.subarray(row * D, (row + 1) * D)], w1, b1);
  return layer(
    hidden.map((value) => Math.max(0, value)),
    w2,
    b2,
  );
}

/** InfoNCE of all pairs of a shard in one batch. */
function lossOf(weights: Float32Array, shard: number): number {
  const pairs = range(K * (starts[shard + 1] - starts[shard])).map((p) => K * starts[shard] + p);
  const codes = range(starts.at(-1)!).map((row) => codeOf(weights, row));
  const similarity = (a: number[], b: number[]) =>
    1 / (1 + a.reduce((sum, v, d) => sum + (v - b[d]) ** 2, 0));
  const losses = pairs.map((own) => {
    const code = codes[Math.floor(own / K)];
    const total = pairs.reduce((sum, other) => sum + similarity(code, codes[index[other]]), 0);
    return Math.log(total / similarity(code, codes[index[own]]));
  });
  return losses.reduce((a, b) => a + b) / losses.length;
}

describe('neighbour-steps', () => {
  for (const backend of backends) {
    test(`the first step is one of Adam against the gradient, on ${backend.identity}`, async () => {
      const [shard, from] = [SHARDS[0], 0];
      const result = await run(joined(backend), { ...task, epoch: 2, batch: 1e4, from }, shard);
      agrees(take(result, 'loss', 'float64'), [lossOf(params, shard)], 1e-5);
      const after = take(result, 'params', 'float32');
      const rate = rateAfter(task.rate, 1, task.total);
      const step = 1e-3;
      let checked = 0;
      for (let p = 0; p < params.length; p++) {
        const at = (by: number) => lossOf(Object.assign(params.slice(), { [p]: params[p] + by }), shard);
        const gradient = (at(step) - at(-step)) / (2 * step);
        if (Math.abs(gradient) < 1e-3) continue;
        checked++;
        const moved = after[p] - params[p];
        assert.ok(Math.abs(moved + Math.sign(gradient) * rate) < 1e-3 * rate, `weight ${p}: ${moved}`);
      }
      assert.ok(checked > 15, `only ${checked} weights have a gradient`);
    });

    test(`passes over the pairs lower the loss, on ${backend.identity}`, async () => {
      const states = encoderStates(WIDTHS);
      const losses: number[] = [];
      for (let epoch = 1; epoch <= 4; epoch++) {
        const result = await run(joined(backend, states), { ...task, epoch, steps: 10 * epoch }, SHARDS[1]);
        losses.push(take(result, 'loss', 'float64')[0]);
        states.encoder.params.data = take(result, 'params', 'float32').slice();
        for (const moment of ['first', 'second'])
          states['encoder-moments'][moment].data = take(result, moment, 'float32').slice();
      }
      assert.ok(losses.at(-1)! < losses[0] - 0.3, losses.join(' → '));
    });
  }

  test('the parts of an epoch are other pairs, and each epoch has another order', async () => {
    const after = async (change: Partial<typeof task>) =>
      take(await run(joined(backends[0]), { ...task, ...change }, SHARDS[0]), 'params', 'float32');
    const half = { length: 0.5 };
    assert.notDeepEqual(await after(half), await after({ ...half, from: 0.5 }));
    assert.notDeepEqual(await after(half), await after({ ...half, epoch: 2 }));
    assert.notDeepEqual(await after(half), await after({ ...half, noise: 0.5 }));
    assert.deepEqual(await after(half), await after(half));
  });

  test('a shard without sample rows leaves the encoder as it is', async () => {
    const n = starts.at(-1)!;
    const points = {
      ...graph.points,
      starts: nd(Int32Array.of(0, 0, ...range(SHARDS.length - 1).map(() => n))),
    };
    const result = await run(joined(backends[0], { points }), task, SHARDS[0]);
    assert.deepEqual(take(result, 'params', 'float32'), params);
    assert.deepEqual(take(result, 'loss', 'float64'), Float64Array.of(0));
  });
});
