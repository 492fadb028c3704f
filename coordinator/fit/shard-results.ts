import { concat } from '../../model/arrays.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { type Tensors, take } from '../../proto/tensors.ts';
import type { Task } from '../../tasks/table.ts';
import type { RoundDispatcher } from '../rounds/dispatcher.ts';

/** Rounds over the sample: each shard returns what it has of its rows. */

/** The sample rows of each shard. */
export type ShardRows = readonly number[];

/** Runs one task on all shards; returns their results in the order of shards. */
export async function shardResults(
  dispatcher: RoundDispatcher,
  shards: ShardRows,
  task: Task,
): Promise<Tensors[]> {
  const results = await dispatcher.round({
    tasks: [task],
    units: shards.map((_, shard): WorkUnit => ({ shard, from: 0, to: 0 })),
    sampled: shards,
  });
  return results.map(({ tasks }) => tasks[0]);
}

/** The arrays of this name, one after the other. */
export const joined = {
  float32: (results: Tensors[], name: string) =>
    concat(
      results.map((result) => take(result, name, 'float32')),
      Float32Array,
    ),
  float64: (results: Tensors[], name: string) =>
    concat(
      results.map((result) => take(result, name, 'float64')),
      Float64Array,
    ),
  int32: (results: Tensors[], name: string) =>
    concat(
      results.map((result) => take(result, name, 'int32')),
      Int32Array,
    ),
};

/** The sum of the arrays of this name over all shards, in their order. */
export function summed(results: Tensors[], name: string): Float64Array {
  const sum = take(results[0], name, 'float64').slice();
  for (const result of results.slice(1)) {
    const part = take(result, name, 'float64');
    for (let i = 0; i < sum.length; i++) sum[i] += part[i];
  }
  return sum;
}
