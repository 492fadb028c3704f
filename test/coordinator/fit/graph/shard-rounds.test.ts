import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { graphSource, netMemberships } from '../../../../coordinator/fit/graph/neighbour-graph.ts';
import type { TrainingRun } from '../../../../coordinator/fit/run-context.ts';
import type { Dispatcher } from '../../../../coordinator/rounds/dispatcher.ts';
import type { Result, RoundSpec } from '../../../../coordinator/rounds/round.ts';
import { degrees, directedWeights, symmetrized } from '../../../../model/graph/weights.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../../model/widths.ts';
import type { Tensors } from '../../../../proto/tensors.ts';
import { runTask } from '../../../../tasks/compute/table.ts';
import { TASKS, type Task } from '../../../../tasks/table.ts';
import { nearest, sharesOf, volumesOf } from '../../../model/graph/support.ts';
import { close } from '../../../model/support.ts';
import { K, N, newWorker, of, w } from '../../../tasks/graph/support.ts';
import { backends } from '../../../worker/present.ts';
import { D, sum } from '../../../worker/support.ts';

/** Runs rounds in this process, as checked as by worker and coordinator. */
function localDispatcher() {
  const { put, context } = newWorker(backends[0]);
  const round = async ({ tasks, units, sampled }: RoundSpec): Promise<Result[]> => {
    const get = (name: string) => context.states.get(name);
    TASKS.checkRound(context.layout, get, { tasks, units, sum: false });
    const problem = TASKS.resultCheck(context.layout, tasks, get);
    const results: Result[] = [];
    for (const [from, unit] of units.entries()) {
      const own: Tensors[] = [];
      for (const task of tasks) own.push(await runTask(context, task as Task, unit));
      assert.equal(problem(own, [unit], sampled), null);
      results.push({ from, to: from + 1, tasks: own, worker: 'w' });
    }
    return results;
  };
  return { publish: put, round, abort: assert.fail } as unknown as Dispatcher;
}

const sourceOf = (dispatcher: Dispatcher) =>
  graphSource({ dispatcher, d: D, layout: w.layout, transform: w.transform });
const graphWith = (dispatcher: Dispatcher) => sourceOf(dispatcher).of({ below: w.below });

describe('rounds of the graph likelihood', () => {
  test('find the graph of the sample’s neighbours', async () => {
    const dispatcher = localDispatcher();
    const { graph, degree, total, n, dimension } = await graphWith(dispatcher);
    const k = 20;
    const { index, distance } = nearest(of.rows, D, k);
    const expected = symmetrized(index, directedWeights(distance, k), k);
    assert.equal(n, N);
    assert.deepEqual([graph.starts, graph.index], [expected.starts, expected.index]);
    close(graph.weight, expected.weight, 1e-5);
    close(degree, degrees(graph), 1e-12);
    close(total, sum(degree), 1e-12);
    assert.ok(dimension > 1 && dimension < 4, `blobs in three dimensions: ${dimension}`);
  });

  test('count near copies in the edges of the row that stays, which are those of the checkpoint afterwards', async () => {
    const dispatcher = localDispatcher();
    // With a row in place of another one.
    const copied = {
      publish: dispatcher.publish,
      round: async (spec: RoundSpec) => {
        const results = await dispatcher.round(spec);
        if (spec.tasks[0].task !== 'sample-rows') return results;
        const all = results[0].tasks[0].rows.data;
        if (all.length / D === of.starts[1]) all.copyWithin(0, D, 2 * D);
        return results;
      },
    } as Dispatcher;
    const { n, shards, copies, graph } = await graphWith(copied);
    assert.equal(n, N - 1);
    const counts = [...of.starts.subarray(1)].map((end, shard) => end - of.starts[shard]);
    assert.deepEqual(shards, [counts[0] - 1, ...counts.slice(1)]);
    assert.deepEqual(
      [...copies!.of],
      Array.from({ length: N }, (_, row) => (row === 1 ? 0 : row)),
    );
    assert.deepEqual([...copies!.starts], [...of.starts]);
    const again = await sourceOf(dispatcher).of({ below: w.below }, copies);
    assert.deepEqual([again.n, again.copies], [n, copies]);
    assert.equal((await sourceOf(localDispatcher()).of({ below: w.below }, null)).n, N);
    // Row 1 took the place of row 0, and is left out.
    const { index, distance } = nearest(of.rows.slice(D), D, 20);
    const expected = symmetrized(index, directedWeights(distance, 20), 20);
    const weight = expected.weight.map(
      (value, e) => value * (e < expected.starts[1] || expected.index[e] === 0 ? 2 : 1),
    );
    assert.deepEqual([graph.starts, graph.index], [expected.starts, expected.index]);
    close(graph.weight, weight, 1e-5);
    close(again.graph.weight, weight, 1e-5);
  });

  test('find the memberships of all rows', async () => {
    const dispatcher = localDispatcher();
    const graph = await graphWith(dispatcher);
    const run = { dispatcher } as unknown as TrainingRun;
    const before = await netMemberships({ run, graph, resolution: 1 });
    close(before.volume, volumesOf(sharesOf(before, K, KEPT), graph.degree), 1e-9);
  });

  test('are those of the latest sample that was asked for', async () => {
    let rounds = 0;
    const dispatcher = localDispatcher();
    const round = (spec: RoundSpec) => {
      rounds++;
      return dispatcher.round(spec);
    };
    const counting = { ...dispatcher, round };
    const source = sourceOf(counting);
    const first = await source.of({ below: w.below });
    assert.equal(await source.of({ below: w.below }), first);
    assert.equal(rounds, 2);
  });
});
