import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KEPT_MEMBERSHIPS as KEPT } from '../../model/graph/mean-field.ts';
import { degrees } from '../../model/graph/weights.ts';
import { generator, type Rng } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { Task, TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, type TypedArray } from '../../proto/tensors.ts';
import { checkTask, InvalidRound } from '../../worker/checks.ts';
import { runTask } from '../../worker/tasks/index.ts';
import { graphOf } from '../model/graph/support.ts';
import { backends } from './present.ts';
import { D } from './support.ts';
import { K, N, newWorker, of, SHARDS, w } from './tasks/graph/support.ts';
import { clusterTask } from './tasks/support.ts';

const [backend] = backends;
const field = { coupling: 2, resolution: 1 };
const NEIGHBOURS: Task = { task: 'neighbours', k: 5 };
const PARTITIONS: Task = { task: 'partitions', resolutions: [1, 4], replicates: 2, share: 0.6 };
const START: Task = { task: 'start-partition', resolution: 1 };
const STEPS: Task = clusterTask({ field });
const COVARIANCE: Task = { task: 'sample-covariance', unit: true, every: 1, sketch: 0 };
const TASKS: Task[] = [
  ...[COVARIANCE, { task: 'sample-rows' } as Task, NEIGHBOURS, PARTITIONS, START],
  ...[{ task: 'memberships' } as Task, STEPS],
];
/** The tasks that read each state of the graph. */
const READERS: Record<string, Task['task'][]> = {
  columns: ['sample-covariance'],
  points: TASKS.map(({ task }) => task).filter((task) => !task.startsWith('sample-')),
  graph: TASKS.map(({ task }) => task).filter((task) => !task.startsWith('sample-') && task !== 'neighbours'),
  memberships: ['cluster-steps'],
};

const check = (task: Task, change: Record<string, Tensors> = {}) =>
  checkTask(task, newWorker(backend, change).context.states, w.layout);
const refuses = (task: Task, change: Record<string, Tensors>, why?: RegExp) =>
  assert.throws(
    () => check(task, change),
    (error) => error instanceof InvalidRound && (!why || why.test(error.message)),
    `${task.task} ${JSON.stringify(Object.keys(change))}`,
  );
/** The same with other numbers at some places. */
function withValues(state: string, name: string, ...changes: [at: number, value: number][]) {
  const { data, shape } = of.states[state][name];
  const copy = data.slice() as TypedArray;
  for (const [at, value] of changes) copy[at] = value;
  return { [state]: { ...of.states[state], [name]: nd(copy, ...shape) } };
}

describe('a task of the graph likelihood is rejected before any work', () => {
  test('not if its states are valid', () => {
    for (const task of TASKS) check(task);
  });

  for (const [state, readers] of Object.entries(READERS))
    for (const name of Object.keys(of.states[state]))
      test(`if ${name} of ${state} is missing or has another type, length or shape`, () => {
        const { data, shape } = of.states[state][name];
        const Kind = data.constructor as new (length: number) => TypedArray;
        const sized = (...of: number[]) => nd(new Kind(of.reduce((a, b) => a * b, 1)), ...of);
        const { [name]: _, ...rest } = of.states[state];
        const last = shape.length - 1;
        const with1 = (tensor: Tensors[string]) => ({ ...of.states[state], [name]: tensor });
        const wrong = [
          rest,
          with1(nd(Uint8Array.from(data), ...shape)),
          with1(sized(...shape, 1)),
          with1(last > 0 ? nd(data, data.length) : nd(data, 1, data.length)),
        ];
        const lengths = [
          sized(...shape.with(0, shape[0] + 1)),
          sized(...shape.with(0, shape[0] - 1)),
          sized(...shape.with(last, shape[last] + 1)),
        ].map(with1);
        for (const task of TASKS.filter((one) => readers.includes(one.task)))
          for (const tensors of [...wrong, ...lengths]) refuses(task, { [state]: tensors });
      });

  test('if starts do not ascend from 0 to the end', () => {
    for (const changes of [
      [[0, 1]],
      [[0, -1]],
      [[1, of.starts[2] + 1]],
      [[1, -1]],
      [[2, N + 1]],
      [[3, N - 1]],
      [[3, N + 1]],
    ] as [number, number][][])
      refuses(NEIGHBOURS, withValues('points', 'starts', ...changes), /points: starts does not ascend/);
    const { length } = of.graph.index;
    for (const changes of [[[0, 1]], [[5, 0]], [[5, length + 1]], [[N, length - 1]], [[N, length + 1]]] as [
      number,
      number,
    ][][])
      for (const task of [STEPS, START])
        refuses(task, withValues('graph', 'starts', ...changes), /graph: starts does not ascend/);
  });

  test('if an index is out of range', () => {
    for (const wrong of [-1, N, 2 ** 31 - 1])
      for (const task of [STEPS, PARTITIONS])
        refuses(task, withValues('graph', 'index', [7, wrong]), /no such row/);
    for (const wrong of [-1, K, 2 ** 31 - 1])
      refuses(STEPS, withValues('memberships', 'cluster', [9, wrong]), /no such cluster/);
    for (const wrong of [-1, D]) {
      const columns = {
        ...of.states.columns,
        ...{ fenced: nd(Int32Array.of(wrong)), low: nd(new Float32Array(1)), high: nd(new Float32Array(1)) },
      };
      refuses(COVARIANCE, { columns }, /no such column/);
    }
  });

  test('if fences have other lengths than their columns', () => {
    const floats = (length: number) => nd(new Float32Array(length));
    const fenced = nd(Int32Array.of(0, 2));
    const { columns } = of.states;
    check(COVARIANCE, { columns: { ...columns, fenced, low: floats(2), high: floats(2) } });
    for (const wrong of [
      { fenced, low: floats(2) },
      { fenced, high: floats(2) },
      { fenced, low: floats(3), high: floats(2) },
      { fenced, low: floats(2), high: floats(1) },
    ] as Tensors[])
      refuses(COVARIANCE, { columns: { ...columns, ...wrong } });
  });

  test('if there are not as many neighbours, or as many clusters as the net has', () => {
    check({ task: 'neighbours', k: N - 1 });
    refuses({ task: 'neighbours', k: N }, {}, /neighbours among/);
    const { cluster, share } = of.states.memberships;
    for (const clusters of [K - 1, K + 1]) {
      const memberships = {
        cluster: nd(cluster.data.map((k: number) => Math.min(k, K - 2)) as Int32Array, N, KEPT),
        share,
        volume: nd(new Float64Array(clusters)),
      };
      refuses(STEPS, { memberships }, /clusters, not 6/);
    }
    refuses({ ...STEPS, loss: 'diag' } as Task, {}, /are no costs/);
  });

  test('if a Gaussian has not as many neighbours, or more rows than a message', () => {
    const task: TaskOf<'null-partitions'> = {
      ...{ task: 'null-partitions', variances: [1, 2, 3], rows: 50, neighbours: 49 },
      ...{ resolutions: [1], replicates: 2, share: 0.6 },
    };
    check(task);
    refuses({ ...task, neighbours: 50 }, {}, /neighbours among/);
    refuses({ ...task, rows: 1 << 16, variances: Array(1 << 12).fill(1) }, {}, /fit in a message/);
  });
});

describe('a search for partitions, which has to end, is rejected', () => {
  const rejected = (graph: Tensors, task: Task) => refuses(task, { graph }, /same in both directions/);
  const searches = [PARTITIONS, START];
  const { states } = of;

  test('if edges are there in one direction only, or with other weights', () => {
    for (const task of searches) {
      rejected(withValues('graph', 'weight', [11, 0.5]).graph, task);
      const { index } = of.graph;
      const other = [...Array(N).keys()].find((row) => {
        const [from, to] = [of.graph.starts[0], of.graph.starts[1]];
        return row > index[to - 1] && !index.subarray(from, to).includes(row);
      });
      rejected(withValues('graph', 'index', [of.graph.starts[1] - 1, other!]).graph, task);
      // Without the last edge of the last row.
      rejected(
        {
          ...states.graph,
          starts: withValues('graph', 'starts', [N, index.length - 1]).graph.starts,
          index: nd(index.slice(0, -1)),
          weight: nd(of.graph.weight.slice(0, -1)),
        },
        task,
      );
    }
  });

  test('if a row is its own neighbour, or has one twice, or in another order', () => {
    const edges = (change: (rows: [number, number][][]) => void): Tensors => {
      const rows = Array.from({ length: N }, (_, i): [number, number][] =>
        Array.from(of.graph.index.subarray(of.graph.starts[i], of.graph.starts[i + 1]), (j, e) => [
          j,
          of.graph.weight[of.graph.starts[i] + e],
        ]),
      );
      change(rows);
      const starts = new Int32Array(N + 1);
      rows.forEach((row, i) => {
        starts[i + 1] = starts[i] + row.length;
      });
      return {
        ...states.graph,
        starts: nd(starts),
        index: nd(Int32Array.from(rows.flat(), ([j]) => j)),
        weight: nd(Float64Array.from(rows.flat(), ([, weight]) => weight)),
      };
    };
    for (const task of searches) {
      check(task, { graph: edges(() => {}) });
      rejected(
        edges((rows) => rows[3].splice(rows[3].findIndex(([j]) => j > 3) >>> 0, 0, [3, 0.5])),
        task,
      );
      rejected(
        edges((rows) => {
          const [[j, weight]] = rows[0];
          rows[0].unshift([j, weight]);
          rows[j].unshift([0, weight]);
        }),
        task,
      );
      rejected(
        edges((rows) => rows[5].reverse()),
        task,
      );
    }
  });

  test('if a weight is not positive, or not finite, or above 1', () => {
    const pair = (weight: number): Record<string, Tensors> => {
      const two = graphOf(N, [
        [0, 1, weight],
        [1, 2, 0.5],
      ]);
      return {
        graph: {
          ...{ starts: nd(two.starts), index: nd(two.index), weight: nd(two.weight) },
          ...{ degree: nd(degrees(two)), total: nd(Float64Array.of(1)) },
        },
      };
    };
    for (const task of searches) {
      check(task, pair(1 + 2 ** -52));
      for (const weight of [0, -0.5, 1.1, Number.NaN, Infinity]) refuses(task, pair(weight));
    }
  });
});

/** Longer than any of these tasks takes on 180 rows. */
const SOON_MS = 2000;

test('whatever passes the checks ends soon: with a result of the right shape, or as invalid', async () => {
  const rng = generator(0n, 'graph-checks-test');
  const expected = new Map<string, string>();
  const shapes = (result: Tensors) =>
    JSON.stringify(Object.entries(result).map(([name, { shape, data }]) => [name, shape, data.length]));
  const units = SHARDS.map((shard): WorkUnit => ({ shard, from: 0, to: 0 }));
  for (const task of TASKS)
    for (const unit of units)
      expected.set(
        `${JSON.stringify(task)} ${unit.shard}`,
        shapes(await runTask(newWorker(backend).context, task, unit)),
      );
  const seen = { ran: 0, rejected: 0, invalid: 0 };
  for (let trial = 0; trial < 600; trial++) {
    // Every other time, the rows of the shards may be others than their samples.
    const state = trial % 2 ? pick(rng, Object.keys(READERS)) : 'points';
    const reader = pick(rng, READERS[state]);
    const task = TASKS.find((one) => one.task === reader)!;
    const { context } = newWorker(backend, { [state]: damaged(rng, of.states[state]) });
    try {
      checkTask(task, context.states, w.layout);
    } catch (error) {
      assert.ok(error instanceof InvalidRound, String(error));
      seen.rejected++;
      continue;
    }
    const unit = pick(rng, units);
    const begun = performance.now();
    try {
      const result = await runTask(context, task, unit);
      for (const { shape, data } of Object.values(result))
        assert.equal(
          data.length,
          shape.reduce((a, b) => a * b, 1),
        );
      // Other starts of the shards: another number of rows.
      if (state !== 'points')
        assert.equal(shapes(result), expected.get(`${JSON.stringify(task)} ${unit.shard}`), task.task);
      seen.ran++;
    } catch (error) {
      assert.ok(error instanceof InvalidRound, String((error as Error).stack));
      seen.invalid++;
    }
    assert.ok(performance.now() - begun < SOON_MS, `trial ${trial}: ${task.task} took too long`);
  }
  for (const [what, count] of Object.entries(seen)) assert.ok(count >= 5, `${what}: ${count}`);
});

const pick = <T>(rng: Rng, values: readonly T[]): T => values[rng.below(values.length)];

/** The tensors with one or two numbers of one of them changed: to wild ones, to another of the same tensor, or by one. */
function damaged(rng: Rng, tensors: Tensors): Tensors {
  const name = pick(rng, Object.keys(tensors));
  const { data, shape } = tensors[name];
  const copy = data.slice() as TypedArray;
  for (let change = rng.below(2); change >= 0; change--) {
    const at = rng.below(copy.length);
    copy[at] = pick(rng, [
      ...[0, -1, 1, 1e30, Number.NaN, Infinity, -1e300, 5e-324, 2 ** 31 - 1],
      ...[copy[rng.below(copy.length)], copy[rng.below(copy.length)], copy[at] + 1, copy[at] - 1],
    ]);
  }
  return { ...tensors, [name]: nd(copy, ...shape) };
}
