import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { runTask } from '../../../tasks/compute/table.ts';
import { backends, heapBytes } from '../present.ts';
import { type TestWorker, transformState } from '../support.ts';
import { EVERY_TASK, SHARDS, STATES, unitFor, w } from '../task-cases.ts';

const [wasm] = backends;
const measure = (backend: typeof wasm) => ({
  live: backend.live(),
  tensors: tf.memory().numTensors,
  heap: heapBytes(),
});

/** All tasks on all shards, with new states; the sample and what depends on its transform stay, as in a run. */
async function epoch({ context, put }: TestWorker): Promise<void> {
  for (const [name, tensors] of Object.entries(STATES)) if (name !== 'transform') put(name, tensors);
  for (const shard of SHARDS)
    for (const task of EVERY_TASK) await runTask(context, task, unitFor(task, shard));
}

for (const backend of backends)
  test(`50 epochs leave nothing behind, on ${backend.identity}`, async () => {
    const worker = w.newWorker(backend);
    for (let count = 0; count < 3; count++) await epoch(worker);
    const before = measure(backend);
    for (let count = 0; count < 50; count++) await epoch(worker);
    // The heap never shrinks.
    assert.deepEqual(measure(backend), before);
  });

for (const backend of backends)
  test(`a replaced transform takes its sample along, on ${backend.identity}`, async () => {
    const worker = w.newWorker(backend);
    const before = backend.live();
    for (let count = 0; count < 10; count++) {
      worker.put('transform', transformState(w.transform, 0.5));
      await worker.context.sample(0);
      await worker.context.labels(0);
    }
    // The sample, and the net's four tensors.
    assert.equal(backend.live() - before, 5);
  });

describe('the WASM heap does not grow', () => {
  const repeat = async (times: number, action: () => Promise<unknown> | unknown) => {
    for (let i = 0; i < 3; i++) await action();
    const before = measure(wasm);
    for (let i = 0; i < times; i++) await action();
    assert.deepEqual(measure(wasm), before);
  };
  const square = (size: number) => wasm.upload(new Float32Array(size * size).fill(0.5), [size, size]);

  // The kernel keeps packed weights for each operand that it knows: a megabyte per product here.
  test('over products', () => {
    const [x, weights] = [wasm.upload(new Float32Array(512), [1, 512]), square(512)];
    const bias = wasm.upload(new Float32Array(512), [512]);
    return repeat(150, () => {
      wasm.free(wasm.affine(x, weights, bias, true), wasm.affine(x, weights, bias, false));
      wasm.free(wasm.gram(x, x));
    });
  });

  test('over softmaxes of as many widths as there are clusters', () =>
    repeat(20, () => {
      for (let k = 1; k <= 100; k++) {
        const x = wasm.upload(new Float32Array(64 * k), [64, k]);
        wasm.free(wasm.softmaxRows(x, 1e-5), x);
      }
    }));
});
