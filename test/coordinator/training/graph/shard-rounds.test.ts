import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Dispatcher } from '../../../../coordinator/scheduler/dispatcher.ts';
import type { Result, RoundSpec } from '../../../../coordinator/scheduler/round.ts';
import { netMemberships } from '../../../../coordinator/training/graph/field.ts';
import { graphSource } from '../../../../coordinator/training/graph/neighbour-graph.ts';
import type { Run } from '../../../../coordinator/training/run-context.ts';
import type { Transform } from '../../../../data/transform.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../../model/graph/mean-field.ts';
import { degrees, directedWeights, symmetrized } from '../../../../model/graph/weights.ts';
import type { State } from '../../../../model/state.ts';
import { nd, type Tensors } from '../../../../proto/tensors.ts';
import { checkTask } from '../../../../worker/checks.ts';
import { runTask } from '../../../../worker/tasks/index.ts';
import { nearest, sharesOf, volumesOf } from '../../../model/graph/support.ts';
import { close } from '../../../model/support.ts';
import { backends } from '../../../worker/present.ts';
import { D, range, sum } from '../../../worker/support.ts';
import { K, N, newWorker, of, w } from '../../../worker/tasks/graph/support.ts';
import { calculate } from '../../support.ts';

/** Runs rounds in this process, as checked as by worker and coordinator. */
function localDispatcher() {
  const { put, context } = newWorker(backends[0]);
  const round = async ({ tasks, units, expects, isSound }: RoundSpec): Promise<Result[]> => {
    const results: Result[] = [];
    for (const [from, unit] of units.entries()) {
      const own: Tensors[] = [];
      for (const [i, task] of tasks.entries()) {
        checkTask(task, context.states, context.layout);
        const tensors = await runTask(context, task, unit);
        for (const [name, [, length]] of Object.entries(expects(unit)[i]))
          if (length !== null) assert.equal(tensors[name].data.length, length, `${task.task} ${name}`);
        own.push(tensors);
      }
      results.push({ from, to: from + 1, tasks: own, worker: 'w' });
    }
    for (const { from, to, tasks: own } of results)
      assert.ok(isSound?.(own, units.slice(from, to)) !== false);
    return results;
  };
  return { publish: put, round, abort: assert.fail } as unknown as Dispatcher;
}

const shards = range(w.layout.shards).map((shard) => of.starts[shard + 1] - of.starts[shard]);

/** Of a sample of which these rows are known. */
const sourceOf = (dispatcher: Dispatcher, rows: number[], below = w.below, transform = w.transform) =>
  graphSource({ dispatcher, calculate, d: D, layout: w.layout, transform }, { below, rows });
const graphWith = (dispatcher: Dispatcher) => sourceOf(dispatcher, shards).of({ below: w.below });

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

  test('find the memberships of all rows', async () => {
    const dispatcher = localDispatcher();
    const graph = await graphWith(dispatcher);
    const run = { dispatcher } as unknown as Run;
    const before = await netMemberships({ run, graph, resolution: 1 }, { mixture: { k: K } } as State);
    close(before.volume, volumesOf(sharesOf(before, K, KEPT), graph.degree), 1e-9);
  });

  /** Rounds in which the shards return these features. */
  function withFeatures(of: Float32Array[]): Dispatcher {
    const dispatcher = localDispatcher();
    const round = async (spec: RoundSpec) => {
      if (spec.tasks[0].task !== 'sample-rows') return dispatcher.round(spec);
      return of.map((own, from) => {
        const tasks = [{ rows: nd(own) }];
        if (!spec.isSound!(tasks, [spec.units[from]])) throw new Error('refused');
        return { from, to: from + 1, worker: 'w', tasks };
      });
    };
    return { ...dispatcher, round };
  }

  test('of a sample of two rows: each is the other’s only neighbour', async () => {
    const rows = [of.rows.slice(0, D), of.rows.slice(D, 2 * D), new Float32Array(0)];
    const found = await sourceOf(withFeatures(rows), [1, 1, 0]).of({ below: w.below });
    assert.deepEqual([...found.graph.index], [1, 0]);
    assert.deepEqual([...found.graph.weight], [1, 1]);
    assert.deepEqual([found.total, found.dimension], [2, 0]);
  });

  test('take no other number of rows than the shard’s sample has: nobody could go on with such a graph', async () => {
    const all = shards.map((_, s) => of.rows.slice(D * of.starts[s], D * of.starts[s + 1]));
    const fewer = all.with(1, all[1].slice(D));
    const known = shards.with(1, shards[1] - 2);
    const fenced: Transform = {
      ...w.transform,
      fences: {
        ...{ columns: Int32Array.of(0), low: Float32Array.of(-1e9), high: Float32Array.of(1e9) },
        ...{ least: Float32Array.of(-1), most: Float32Array.of(1) },
      },
    };
    const { below } = w;
    const graphOf = (rows: Float32Array[], known: number[], knownBelow: number, transform: Transform) =>
      sourceOf(withFeatures(rows), known, knownBelow, transform).of({ below });
    // The sample that is known, and a larger one: all of its rows, or all but those that may be outliers.
    await graphOf(all, shards, below, w.transform);
    await graphOf(all, known, below / 2, w.transform);
    await graphOf(fewer, known, below / 2, fenced);
    for (const [rows, of, knownBelow, transform] of [
      [fewer, shards, below, w.transform],
      [fewer, shards, below, fenced],
      [all, known, below, fenced],
      [fewer, known, below / 2, w.transform],
      [all.with(1, all[1].slice(3 * D)), known, below / 2, fenced],
    ] as const)
      await assert.rejects(graphOf([...rows], of, knownBelow, transform), /refused/);
  });

  test('are those of the latest sample that was asked for', async () => {
    let rounds = 0;
    const dispatcher = localDispatcher();
    const round = (spec: RoundSpec) => {
      rounds++;
      return dispatcher.round(spec);
    };
    const counting = { ...dispatcher, round };
    const source = sourceOf(counting, shards);
    const first = await source.of({ below: w.below });
    assert.equal(await source.of({ below: w.below }), first);
    assert.equal(rounds, 2);
  });
});
