import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Dispatcher } from '../../../../coordinator/scheduler/dispatcher.ts';
import type { Result, RoundSpec } from '../../../../coordinator/scheduler/round.ts';
import {
  linksBetween,
  netMemberships,
  publishMemberships,
  sweptMemberships,
} from '../../../../coordinator/training/graph/membership-rounds.ts';
import { graphSource } from '../../../../coordinator/training/graph/neighbour-graph.ts';
import { shardSums } from '../../../../coordinator/training/graph/shard-rounds.ts';
import type { Run } from '../../../../coordinator/training/run-context.ts';
import type { Transform } from '../../../../data/transform.ts';
import { meanField } from '../../../../model/graph/mean-field.ts';
import { degrees, directedWeights, symmetrized } from '../../../../model/graph/weights.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../../proto/tensors.ts';
import { checkTask } from '../../../../worker/checks.ts';
import { runTask } from '../../../../worker/tasks/index.ts';
import { matrixOf, nearest, sharesOf, volumesOf } from '../../../model/graph/support.ts';
import { close } from '../../../model/support.ts';
import { backends } from '../../../worker/present.ts';
import { D, range, sum } from '../../../worker/support.ts';
import { K, N, newWorker, of, w } from '../../../worker/tasks/graph/support.ts';
import { calculate } from '../../support.ts';

/** Runs rounds in this process, as checked as by worker and coordinator; one with sums returns those of two nodes. */
function localDispatcher() {
  const { put, context } = newWorker(backends[0]);
  const round = async ({ tasks, units, sum, expects, isSound }: RoundSpec): Promise<Result[]> => {
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
    // Shards 0 and 1 of the three.
    const all = sum ? [union(results[0], results[1]), ...results.slice(2)] : results;
    for (const { from, to, tasks: own } of all) assert.ok(isSound?.(own, units.slice(from, to)) !== false);
    return all;
  };
  return { publish: put, round, abort: assert.fail } as unknown as Dispatcher;
}

const union = (a: Result, b: Result): Result => ({
  ...a,
  to: b.to,
  tasks: a.tasks.map((tensors, i) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, { data }]) => [
        name,
        nd(Float64Array.from(data, (value, p) => value + b.tasks[i][name].data[p])),
      ]),
    ),
  ),
});

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

  test('sweep the memberships of all rows, and link clusters by them', async () => {
    const dispatcher = localDispatcher();
    const graph = await graphWith(dispatcher);
    const run = { dispatcher } as unknown as Run;
    const field = { coupling: 2, resolution: 1 };
    const before = await netMemberships(run, graph, K);
    close(before.volume, volumesOf(sharesOf(before, K, KEPT), graph.degree), 1e-9);
    publishMemberships(run, before);
    const swept = await sweptMemberships(run, graph, K, field);
    const at = meanField({ ...graph, memberships: before, volume: before.volume, kept: KEPT, ...field });
    for (const row of range(N)) {
      const { count, cluster, share } = at(row);
      const top = range(count).reduce((best, c) => (share[c] > share[best] ? c : best), 0);
      assert.equal(swept.cluster[row * KEPT], cluster[top]);
    }
    const W = await linksBetween(run, graph, K);
    const shares = sharesOf(before, K, KEPT);
    const weights = matrixOf(graph.graph);
    close(
      W,
      range(K * K).map((p) =>
        sum(
          weights.map(
            (row, i) => shares[i][Math.floor(p / K)] * sum(row.map((weight, j) => weight * shares[j][p % K])),
          ),
        ),
      ),
      1e-9,
    );
  });

  test('check each sum against the rows that it is about', async () => {
    const seen: number[][] = [];
    const { rows } = await shardSums(
      localDispatcher(),
      shards,
      { task: 'half-links' },
      [],
      { rows: K * 3 * 2, volume: K * 3 * 2, between: K * 3 },
      (sums, { from, to }) => {
        seen.push([from, to]);
        return sum(sums.rows.data) === 3 * (to - from);
      },
    );
    assert.deepEqual(seen, [
      [0, of.starts[2]],
      [of.starts[2], N],
    ]);
    assert.equal(sum(rows), 3 * N);
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
