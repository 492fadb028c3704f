import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runTask } from '../../tasks/compute/table.ts';
import type { Task } from '../../tasks/table.ts';
import type { ReadBlocks } from '../../worker/blocks.ts';
import type { Backend } from '../../worker/compute/backends/backend.ts';
import { backends } from '../worker/present.ts';
import {
  bytes,
  contextOf,
  D,
  memoryBlocks,
  type TestWorker,
  transformFor,
  transformState,
  weightsOf,
  world,
} from '../worker/support.ts';
import { caseOf, EVERY_TASK, SHARDS, STATES, unitFor, w } from '../worker/task-cases.ts';

const [wasm] = backends;

describe('purity', () => {
  const joined = (backend: Backend, worker = w.newWorker(backend)) => {
    for (const [name, tensors] of Object.entries(STATES)) worker.put(name, tensors);
    return worker;
  };
  const run = ({ context }: TestWorker, task: Task, shard: number) =>
    runTask(context, task, unitFor(task, shard));
  type Results = Record<string, ReturnType<typeof bytes>>;
  async function results(shards: number[], tasks: Task[], workerFor: () => TestWorker): Promise<Results> {
    const found: Results = {};
    for (const shard of shards)
      for (const task of tasks)
        found[`${JSON.stringify(task)} ${shard}`] = bytes(await run(workerFor(), task, shard));
    return found;
  }

  for (const backend of backends)
    test(`a result does not depend on what the worker did before, on ${backend.identity}`, async () => {
      const fresh = await results(SHARDS, EVERY_TASK, () => joined(backend));
      for (const [shards, tasks] of [
        [SHARDS, EVERY_TASK],
        [[2, 0, 1], EVERY_TASK],
        [[1, 2, 0], EVERY_TASK.toReversed()],
      ] as [number[], Task[]][]) {
        const worker = joined(backend);
        const here = await results(shards, tasks, () => worker);
        for (const [what, expected] of Object.entries(fresh)) assert.deepEqual(here[what], expected, what);
      }
    });

  test('nor on earlier states', async () => {
    const fresh = await results(SHARDS, EVERY_TASK, () => joined(wasm));
    const worker = w.newWorker(wasm);
    const other = world({ hidden: [5, 4], k: 2 });
    worker.put('transform', transformState(transformFor('min-max', w.raw, D), 0.9));
    worker.put('net', weightsOf(other.net));
    worker.put('subs', weightsOf(other.subs));
    for (const shard of SHARDS) {
      for (const block of [32, 4096]) await run(worker, { ...caseOf('statistics'), block }, shard);
      await worker.context.labels(shard);
    }
    const here = await results(SHARDS, EVERY_TASK, () => joined(wasm, worker));
    for (const [what, expected] of Object.entries(fresh)) assert.deepEqual(here[what], expected, what);
  });

  test('nor on how rows arrive', async () => {
    const fresh = await results(SHARDS, EVERY_TASK, () => joined(wasm));
    const later: ReadBlocks = async function* (blocks) {
      for await (const item of memoryBlocks(w.raw, D)(blocks)) {
        await new Promise(setImmediate);
        yield item;
      }
    };
    const worker = joined(wasm);
    const slow = { ...worker, context: contextOf(wasm, worker.context.states, later, w.layout) };
    assert.deepEqual(await results(SHARDS, EVERY_TASK, () => slow), fresh);
  });
});
