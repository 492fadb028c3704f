// Shared by the tests of the graph likelihood's tasks: a world of six clusters, more than are kept of a row, and its graph.

import { nd, type Tensors } from '../../../proto/tensors.ts';
import { runTask } from '../../../tasks/compute/table.ts';
import type { Task } from '../../../tasks/table.ts';
import type { Backend } from '../../../worker/compute/backends/backend.ts';
import { sampleGraphOf } from '../../worker/graph-states.ts';
import { D, range, type TestWorker, world } from '../../worker/support.ts';

export const K = 6;
export const w = world({ k: K });
export const SHARDS = range(w.layout.shards);
export const of = sampleGraphOf(w, K);
/** Rows of the sample. */
export const N = of.rows.length / D;

/** A worker with all states of the graph. */
export function newWorker(backend: Backend, change: Record<string, Tensors> = {}): TestWorker {
  const worker = w.newWorker(backend);
  for (const [name, tensors] of Object.entries({ ...of.states, ...change })) worker.put(name, tensors);
  return worker;
}

export const run = ({ context }: TestWorker, task: Task, shard = 0) =>
  runTask(context, task, { shard, from: 0, to: 0 });

/** The results of all shards. */
export async function runAll(worker: TestWorker, task: Task): Promise<Tensors[]> {
  const results: Tensors[] = [];
  for (const shard of SHARDS) results.push(await run(worker, task, shard));
  return results;
}

/** The values of all shards, one after the other. */
export const joined = (results: Tensors[], name: string): number[] =>
  results.flatMap((result) => [...result[name].data]);

/** The sum over all shards. */
export const summed = (results: Tensors[], name: string): number[] =>
  [...results[0][name].data].map((_, p) => results.reduce((sum, result) => sum + result[name].data[p], 0));

/** The state `points` with the sample's rows dealt to the shards in other ways: tasks that do not read the shard's own sample. */
export const CUTS: Record<string, Tensors>[] = [
  [0, 1, 60],
  [0, 0, N],
  [0, 100, 100],
].map((starts) => ({ points: { rows: nd(of.rows, N, D), starts: nd(Int32Array.of(...starts, N)) } }));
