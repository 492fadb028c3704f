// The table of tasks: what workers refuse before any work, and what the coordinator refuses of their results.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { HASH_BYTES, layoutProblem } from '../../model/layout.ts';
import { netShapes, netSize } from '../../model/nets/net.ts';
import { generator, type Rng } from '../../model/random.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../model/widths.ts';
import { Mismatch } from '../../proto/shapes.ts';
import { nd, type Tensors, type TypedArray } from '../../proto/tensors.ts';
import { runTask } from '../../tasks/compute/table.ts';
import { TASKS, type Task, type TaskName, type TaskOf } from '../../tasks/table.ts';
import { backends } from '../worker/present.ts';
import { contextOf, D, memoryBlocks } from '../worker/support.ts';
import {
  caseOf,
  checkTask,
  EVERY_TASK,
  SHARDS,
  STATES,
  statesWith,
  unitFor,
  w,
} from '../worker/task-cases.ts';
import { FROM_COORDINATOR, fromCoordinator } from './support.ts';

const [backend] = backends;
const N = STATES.points.rows.shape[0];
const K = 3;
const get = (states: Record<string, Tensors>) => (name: string) => states[name];

const isRefused = (task: Task, change: Record<string, Tensors>) => {
  try {
    checkTask(task, statesWith(change));
    return false;
  } catch (error) {
    assert.ok(error instanceof Mismatch, String((error as Error).stack));
    return true;
  }
};
const refuses = (task: Task, change: Record<string, Tensors>, why = /./) =>
  assert.throws(
    () => checkTask(task, statesWith(change)),
    (error) => error instanceof Mismatch && why.test(error.message),
    `${task.task} ${Object.keys(change)}`,
  );
const runOn = (task: Task, shard: number, change: Record<string, Tensors> = {}) => {
  const states = statesWith(change);
  const context = contextOf(backend, states, memoryBlocks(w.raw, D), w.layout);
  return runTask(context, task, unitFor(task, shard));
};

/** Clusters of latent vectors of this length, to whose centres the encoder's steps draw them. */
function latentClusters(latent: number, k: number): Record<string, Tensors> {
  const float32 = (length: number) => nd(new Float32Array(length));
  return {
    transform: {
      ...{
        shape: nd(Int32Array.of(0, latent)),
        columns: nd(Int32Array.from({ length: latent }, (_, i) => i)),
      },
      ...{ weights: float32(latent), bias: float32(latent), below: nd(Float64Array.of(1)) },
      ...{ scale: nd(new Float64Array(latent)), offset: nd(new Float64Array(latent)) },
    },
    net: {
      ...{ widths: nd(Int32Array.of(latent, 5, k)), nets: nd(Int32Array.of(0)) },
      params: float32(netSize(netShapes([latent, 5, k], 0))),
    },
    'code-centres': { rows: nd(new Float32Array(k * latent), k, latent) },
  };
}

/** The state with other numbers at some places of a tensor. */
function withValues(state: string, name: string, ...changes: [at: number, value: number][]) {
  const { data, shape } = STATES[state][name];
  const copy = data.slice() as TypedArray;
  for (const [at, value] of changes) copy[at] = value;
  return { [state]: { ...STATES[state], [name]: nd(copy, ...shape) } };
}

test('every task has a case, and a place in the documentation of the wire', () => {
  assert.deepEqual([...new Set(EVERY_TASK.map(({ task }) => task))].sort(), TASKS.names.toSorted());
  const page = readFileSync(new URL('../../proto/README.md', import.meta.url), 'utf8');
  for (const name of TASKS.names) assert.match(page, new RegExp(`^- \`tasks/.*\`${name}\``, 'm'));
});

describe('a task is refused before any work', () => {
  test('not if its states are valid', () => {
    for (const task of EVERY_TASK) checkTask(task, statesWith());
  });

  for (const [state, tensors] of Object.entries(STATES))
    test(`if a tensor of ${state} is missing, or has another type or shape`, () => {
      const readers = EVERY_TASK.filter((task) => TASKS.statesOf(task).includes(state));
      assert.ok(readers.length > 0);
      for (const [name, { data, shape }] of Object.entries(tensors)) {
        const Kind = data.constructor as new (length: number) => TypedArray;
        const sized = (...of: number[]) => nd(new Kind(of.reduce((a, b) => a * b, 1)), ...of);
        const { [name]: _, ...rest } = tensors;
        // Without columns, the weights of a transform are a matrix.
        const isRefusedBy = (task: Task, changed: Tensors) => isRefused(task, { [state]: changed });
        // The E-step's has those of both of its forms.
        const readsIt = (task: Task) =>
          state !== 'e-step' || (name === 'theta') === ('form' in task && task.form === 'product');
        for (const task of readers.filter(readsIt)) {
          assert.ok(isRefusedBy(task, rest), `${task.task} without ${name}`);
          const other = data instanceof Uint8Array ? Float32Array.from(data) : Uint8Array.from(data);
          assert.ok(isRefusedBy(task, { ...tensors, [name]: nd(other, ...shape) }), `${task.task} ${name}`);
          const deeper = nd(data, ...shape, 1);
          assert.ok(isRefusedBy(task, { ...tensors, [name]: deeper }), `${task.task} ${name} of more axes`);
        }
        const longer = { ...tensors, [name]: sized(...shape.with(0, shape[0] + 1)) };
        // Some lengths are free: how many vectors there are.
        if (Object.keys(tensors).length > 1)
          assert.ok(
            readers.filter(readsIt).every((task) => isRefusedBy(task, longer)),
            `${name}, longer`,
          );
      }
    });

  test('if not every column is moved before rows are scaled to unit length, or they are not scaled', () => {
    const task = caseOf('sample-labels');
    const floats = (length: number) => nd(new Float32Array(length));
    const changed = (change: Tensors) => ({ transform: { ...STATES.transform, ...change } });
    const shape = nd(Int32Array.of(1, D));
    checkTask(task, statesWith(changed({ shape, 'before.factor': floats(D), 'before.shift': floats(D) })));
    for (const wrong of [
      { shape, 'before.factor': floats(D) },
      { shape, 'before.shift': floats(D) },
      { shape, 'before.factor': floats(D + 1), 'before.shift': floats(D) },
      { shape, 'before.factor': nd(new Float64Array(D)), 'before.shift': floats(D) },
      { 'before.factor': floats(D), 'before.shift': floats(D) },
    ] as Tensors[])
      refuses(task, changed(wrong));
  });

  test('if outlier bounds are not there for each of their columns, or a column does not exist', () => {
    const floats = (length: number) => nd(new Float32Array(length));
    const fenced = nd(Int32Array.of(0, 2));
    const bounds = { fenced, low: floats(2), high: floats(2) };
    const limits = ['low', 'high', 'least', 'most'].map((name) => [`fences.${name}`, floats(2)]);
    const inTransform = { 'fences.columns': fenced, ...Object.fromEntries(limits) };
    for (const [task, state, valid] of [
      [caseOf('sample-covariance'), 'columns', bounds],
      [caseOf('full-pass'), 'transform', inTransform],
    ] as [Task, string, Tensors][]) {
      const [columns] = Object.keys(valid);
      const changed = (change: Tensors) => ({ [state]: { ...STATES[state], ...valid, ...change } });
      checkTask(task, statesWith(changed({})));
      for (const name of Object.keys(valid)) refuses(task, changed({ [name]: floats(3) }));
      for (const column of [-1, D]) refuses(task, changed({ [columns]: nd(Int32Array.of(0, column)) }));
    }
    refuses(caseOf('column-histogram'), withValues('key-ranges', 'to', [3, 5]), /ends before it begins/);
  });

  test('if an index is out of range, or starts do not ascend', () => {
    const field = EVERY_TASK.find((task) => 'field' in task)!;
    const graphTasks = [field, caseOf('memberships'), caseOf('partitions'), caseOf('start-partition')];
    for (const wrong of [-1, N, 2 ** 31 - 1])
      for (const task of graphTasks) refuses(task, withValues('graph', 'index', [7, wrong]), /index/);
    for (const wrong of [-1, K, 2 ** 31 - 1])
      refuses(field, withValues('memberships', 'cluster', [9, wrong]), /cluster/);
    const edges = STATES.graph.index.data.length;
    for (const change of [
      [0, 1],
      [0, -1],
      [1, N + 1],
      [3, N - 1],
      [3, N + 1],
    ] as [number, number][])
      refuses(caseOf('neighbours'), withValues('points', 'starts', change), /ascending/);
    for (const change of [
      [0, 1],
      [5, 0],
      [5, edges + 1],
      [N, edges - 1],
    ] as [number, number][])
      for (const task of graphTasks) refuses(task, withValues('graph', 'starts', change), /ascending/);
  });

  test('if its partition names leaves, vectors or groups that do not exist', () => {
    const task = caseOf('cell-sums');
    for (const change of [
      { leaves: 5 },
      { cells: [0, 1, 2] },
      { cells: [0, 1, 2, 3, 4, { near: [9], into: [5] }] },
      { cells: [0, 1, 2, 3, 4, { axis: 2, at: 0, into: [5, 5] }] },
      { cells: [0, 1, 2, 3, 4, { linear: [0, 2], offsets: [0, 0], into: [5, 5] }] },
      { cells: [0, 1, 2, 3, 4, { linear: [0, 1], offsets: [0, 0], into: [5, 6] }] },
      { leaves: 1e12 },
    ])
      refuses({ ...task, ...change } as Task, {});
    const axes = (count: number) => ({
      axes: {
        rows: nd(new Float64Array(count * D), count, D),
        centre: nd(new Float64Array(count)),
        sd: nd(new Float64Array(count)),
      },
    });
    checkTask(caseOf('cell-histogram'), statesWith(axes(6)));
    for (const count of [3, 7, 9]) refuses(caseOf('cell-histogram'), axes(count), /for each leaf/);
  });

  test('if its sizes do not fit each other', () => {
    checkTask({ task: 'neighbours', k: N - 1 }, statesWith());
    refuses({ task: 'neighbours', k: N }, {}, /neighbours among/);
    refuses({ ...caseOf('null-partitions'), neighbours: 60 }, {}, /neighbours among/);
    refuses({ ...caseOf('seed-distances'), centres: 3 }, {}, /too few rows/);
    const field = EVERY_TASK.find((task) => 'field' in task)! as TaskOf<'cluster-steps'>;
    for (const clusters of [K - 1, K + 1])
      refuses(field, {
        memberships: {
          cluster: nd(new Int32Array(N * KEPT), N, KEPT),
          share: STATES.memberships.share,
          volume: nd(new Float64Array(clusters)),
        },
      });
    for (const half of [Int32Array.of(0), Int32Array.of(1, 2), new Int32Array(0), Float64Array.of(1)])
      refuses(caseOf('statistics'), { transform: { ...STATES.transform, half: nd(half) } });
    const exact = (columns: number[], values: number[]) => ({
      transform: {
        ...STATES.transform,
        'atoms.columns': nd(Int32Array.from(columns)),
        'atoms.values': nd(Float32Array.from(values)),
      },
    });
    checkTask(caseOf('statistics'), statesWith(exact([0], [2.5])));
    refuses(caseOf('statistics'), exact([99], [2.5]));
    refuses(caseOf('statistics'), exact([0], [2.5, 1]));
    const filled = (columns: number[], values: number[], donors: number) => ({
      transform: {
        ...STATES.transform,
        'fill.columns': nd(Int32Array.from(columns)),
        'fill.values': nd(Float32Array.from(values)),
        'fill.donors': nd(new Float32Array(donors * w.layout.dim), donors, w.layout.dim),
      },
    });
    checkTask(caseOf('statistics'), statesWith(filled([0], [2.5], 3)));
    refuses(caseOf('statistics'), filled([99], [2.5], 3));
    refuses(caseOf('statistics'), filled([0], [2.5, 1], 3));
    refuses(caseOf('statistics'), filled([0], [2.5], 0));
    for (const [copyOf, copyStarts] of [
      [
        [0, 2],
        [0, 1, 1, 2],
      ],
      [
        [0, -1],
        [0, 1, 1, 2],
      ],
      [
        [0, 0],
        [0, 1, 1, 1],
      ],
      [
        [0, 0],
        [0, 1, 2],
      ],
    ]) {
      const copies = { copyOf: nd(Int32Array.from(copyOf)), copyStarts: nd(Int32Array.from(copyStarts)) };
      refuses(caseOf('statistics'), { transform: { ...STATES.transform, ...copies } });
    }
  });

  test('if the clusters to which latent vectors are drawn are not those of the encoder', () => {
    const task: Task = { ...caseOf('encoder-steps'), pull: 0.1 };
    const [latent, k] = [2, 4];
    const clusters = latentClusters(latent, k);
    checkTask(task, statesWith(clusters));
    refuses(task, { ...clusters, transform: STATES.transform }, /not that of the data/);
    refuses(task, { ...clusters, net: STATES.net });
    for (const shape of [[k + 1, latent], [k, latent + 1], [k * latent]])
      refuses(task, {
        ...clusters,
        'code-centres': { rows: nd(new Float32Array(shape.reduce((a, b) => a * b, 1)), ...shape) },
      });
  });

  test('if it would need a tensor of 4 GiB, or its result would not fit in a message', () => {
    const net = (widths: number[], nets: number) => ({
      widths: nd(Int32Array.from(widths)),
      nets: nd(Int32Array.of(nets)),
      params: nd(new Float32Array(netSize(netShapes(widths, nets)))),
    });
    const adam = ({ params: { data } }: Tensors) => ({ first: nd(data), second: nd(data) });
    const [wide, wideSubs] = [net([D, 2000, K], 0), net([D, 2000, 2], K)];
    const states = statesWith({
      ...{ net: wide, 'net-moments': adam(wide) },
      ...{ subs: wideSubs, 'subs-moments': adam(wideSubs) },
      hashes: { blocks: nd(new Uint8Array(HASH_BYTES), 1, HASH_BYTES) },
    });
    const layout = { ...w.layout, rows: 1 << 20, blockRows: 1 << 20, shards: 1 };
    for (const [name, change] of [
      ['cluster-steps', { batch: 1 << 20 }],
      ['sub-steps', { batch: 1 << 18 }],
      ['statistics', { block: 1e12 }],
      ['full-pass', {}],
    ] as const)
      assert.throws(
        () =>
          TASKS.checkRound(layout, (state) => states.get(state), {
            ...{ tasks: [{ ...caseOf(name), ...change } as Task], sum: false },
            units: [{ shard: 0, from: 0, to: 1 }],
          }),
        /4 GiB/,
        name,
      );
    refuses({ ...caseOf('cell-histogram'), bins: 1 << 30 }, {}, /fit in a message/);
  });

  test('if it names a state whose shape then would not be checked, or rows that a shard does not have', () => {
    for (const name of ['transform', 'subs', 'hashes', 'parts', 'e-step']) {
      refuses({ ...caseOf('cell-sums'), vectors: name }, {}, /the name of another state/);
      refuses({ ...caseOf('cell-scatter'), pivots: name }, {}, /the name of another state/);
    }
    // All points are of one shard: as many neighbours of each do not fit in a message.
    const points = 1 << 20;
    const rows = nd(new Float32Array(points * D), points, D);
    const starts = nd(Int32Array.of(0, points, points, points));
    refuses({ task: 'neighbours', k: 1023 }, { points: { rows, starts } }, /fit in a message/);
    // Of the rows of latent vectors, not of the data, is what is bounded.
    const clusters = latentClusters(2, 4);
    const one = nd(new Float32Array(1));
    const limits = ['low', 'high', 'least', 'most'].map((name) => [`fences.${name}`, one]);
    const bounds = { 'fences.columns': nd(Int32Array.of(D - 1)), ...Object.fromEntries(limits) };
    refuses(
      { ...caseOf('encoder-steps'), pull: 0.1 },
      { ...clusters, transform: { ...clusters.transform, ...bounds } },
    );
  });

  test('not because the file is large: of the sample there are few rows, and few for the silhouette', () => {
    const [dim, k] = [768, 3];
    const float32 = (...shape: number[]) => nd(new Float32Array(shape.reduce((a, b) => a * b, 1)), ...shape);
    const wide = (rows: number, below: number, d: number) => {
      const layout = { rows, dim, shards: 1, blockRows: 1024, seed: '1' };
      const blocks = Math.ceil(rows / 1024);
      const states: Record<string, Tensors> = {
        transform: {
          ...{ shape: nd(Int32Array.of(0, dim)), columns: nd(Int32Array.from({ length: d }, (_, i) => i)) },
          ...{ weights: float32(d), bias: float32(d), below: nd(Float64Array.of(below)) },
          ...{ scale: nd(new Float64Array(d)), offset: nd(new Float64Array(d)) },
        },
        hashes: { blocks: nd(new Uint8Array(blocks * HASH_BYTES), blocks, HASH_BYTES) },
        net: {
          ...{ widths: nd(Int32Array.of(d, 4, k)), nets: nd(Int32Array.of(0)) },
          params: float32(netSize(netShapes([d, 4, k], 0))),
        },
        'cluster-centres': { rows: float32(k, 2 * d) },
      };
      return (task: Task, to: number) =>
        TASKS.checkRound(layout, get(states), {
          tasks: [task],
          units: [{ shard: 0, from: 0, to }],
          sum: false,
        });
    };
    wide(1 << 18, 1, dim)({ task: 'full-pass', diagonal: true, soft: false, silhouette: 0.004, far: 0 }, 256);
    wide(3_000_000, 0.007, 64)({ task: 'sample-rows' }, 0);
  });

  test('if its units do not exist, or sums are asked for of values of rows', () => {
    const check = (task: Task, unit: object, sum = false) =>
      TASKS.checkRound(w.layout, get(STATES), { tasks: [task], units: [unit as never], sum });
    for (const unit of [
      { shard: 9, from: 0, to: 0 },
      { shard: 0, from: 2, to: 1 },
      { shard: 0, from: 0, to: 1e9 },
    ])
      assert.throws(() => check(caseOf('statistics'), unit), Mismatch);
    for (const name of ['moments', 'full-pass', 'memberships', 'encode'] as const)
      assert.throws(() => check(caseOf(name), unitFor(caseOf(name), 0), true), /cannot be added up/);
    check(caseOf('statistics'), unitFor(caseOf('statistics'), 0), true);
  });
});

describe('a search for partitions, which has to end, is refused', () => {
  const rejected = (graph: Tensors) => {
    for (const name of ['partitions', 'start-partition'] as const)
      refuses(caseOf(name), { graph }, /same in both directions/);
  };
  const { starts, index, weight } = STATES.graph;

  /** The graph with other lists of neighbours. */
  function edges(change: (rows: [number, number][][]) => void): Tensors {
    const rows = Array.from({ length: N }, (_, i): [number, number][] =>
      [...index.data.slice(starts.data[i], starts.data[i + 1])].map((j, e) => [
        j,
        weight.data[starts.data[i] + e],
      ]),
    );
    change(rows);
    const ends = rows.map((_, i) => rows.slice(0, i + 1).flat().length);
    return {
      ...STATES.graph,
      starts: nd(Int32Array.from([0, ...ends])),
      index: nd(Int32Array.from(rows.flat(), ([j]) => j)),
      weight: nd(Float64Array.from(rows.flat(), ([, value]) => value)),
    };
  }

  test('if edges are there in one direction only, twice, from a row to itself, or in another order', () => {
    checkTask(caseOf('start-partition'), statesWith({ graph: edges(() => {}) }));
    for (const change of [
      (rows) => rows[N - 1].pop(),
      (rows) => rows[3].splice(rows[3].findIndex(([j]) => j > 3) >>> 0, 0, [3, 0.5]),
      (rows) => rows[rows[0][0][0]].unshift([0, rows[0][0][1]]) && rows[0].unshift(rows[0][0]),
      (rows) => rows[5].reverse(),
    ] as ((rows: [number, number][][]) => unknown)[])
      rejected(edges(change));
  });

  test('if a weight is not positive, not finite, above 1e12, or not the same in both directions', () => {
    for (const value of [0, -0.5, 1.1e12, Number.NaN, Infinity, 0.123])
      rejected(withValues('graph', 'weight', [11, value]).graph);
  });
});

/** Longer than any of these tasks takes on 72 rows. */
const SOON_MS = 2000;

test('whatever passes the checks ends soon: with a result that passes, or as a mismatch', async () => {
  const rng = generator(0n, 'task-checks-test');
  const seen = { ran: 0, refused: 0 };
  for (let trial = 0; trial < 600; trial++) {
    const task = pick(rng, EVERY_TASK);
    const state = pick(rng, TASKS.statesOf(task).length ? TASKS.statesOf(task) : ['net']);
    const change = { [state]: damaged(rng, STATES[state]) };
    // States that rows are compared with, which only change what is found to differ.
    if (['hashes', 'encoder', 'net', 'subs'].includes(state) || isRefused(task, change)) {
      seen.refused++;
      continue;
    }
    const begun = performance.now();
    try {
      const shard = rng.below(SHARDS.length);
      const result = await runOn(task, shard, change);
      for (const { shape, data } of Object.values(result))
        assert.equal(
          data.length,
          shape.reduce((a, b) => a * b, 1),
        );
      seen.ran++;
    } catch (error) {
      // Other starts of the shards: another number of rows than their samples have.
      assert.ok(error instanceof Mismatch, String((error as Error).stack));
    }
    assert.ok(performance.now() - begun < SOON_MS, `trial ${trial}: ${task.task} took too long`);
  }
  for (const [what, count] of Object.entries(seen)) assert.ok(count >= 50, `${what}: ${count}`);
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

/** Tensors whose values may be anything, as training may diverge. */
const FREE: { [N in TaskName]?: string[] } = {
  'cluster-steps': ['params', 'first', 'second', 'gradients', 'loss'],
  'sub-steps': ['params', 'first', 'second', 'loss'],
  'encoder-steps': ['params', 'first', 'second', 'loss'],
  statistics: ['T'],
  'pivoted-statistics': ['T'],
  'sub-statistics': ['T'],
  moments: ['sampled'],
  'full-pass': ['confidence', 'margin', 'soft'],
};

describe('a result', () => {
  for (const [i, task] of EVERY_TASK.entries())
    test(`of ${task.task} (${i}) is taken as workers compute it, and in no other form`, async () => {
      const problem = TASKS.resultCheck(w.layout, [task], get(STATES));
      for (const shard of SHARDS) {
        const unit = unitFor(task, shard);
        const sampled = SHARDS.map((other) => w.sampleOf(other).length);
        const result = await runOn(task, shard);
        const found = (change: Tensors) => problem([{ ...result, ...change }], [unit], sampled);
        assert.equal(found({}), null);
        assert.match(found({ more: nd(new Float64Array(1)) })!, /not asked for/);
        for (const [name, { data, shape }] of Object.entries(result)) {
          const { [name]: _, ...rest } = result;
          assert.match(problem([rest], [unit], sampled)!, /missing/);
          const Kind = data.constructor as new (length: number) => TypedArray;
          const other = data instanceof Float64Array ? new Float32Array(data) : new Float64Array(data);
          assert.ok(found({ [name]: nd(other, ...shape) }), `${name} of another type`);
          // How many rows are for the silhouette, or in a shard's sample, only that worker knows.
          if (!['seen', 'seenLabels', 'rows', 'sampled'].includes(name))
            assert.ok(found({ [name]: nd(new Kind(data.length + 1)) }), `${name}, longer`);
          if (data instanceof Uint8Array || !data.length || FREE[task.task]?.includes(name)) continue;
          const wild = data.slice();
          wild[0] = data instanceof Int32Array ? -2 : Number.NaN;
          assert.ok(found({ [name]: nd(wild, ...shape) }), `${name} ${wild[0]}`);
        }
      }
    });

  test('that names clusters, rows or counts that there cannot be is refused', async () => {
    for (const [name, tensor, wrong] of [
      ['full-pass', 'labels', K],
      ['full-pass', 'exemplars', 1e6],
      ['full-pass', 'rival', K],
      ['full-pass', 'distance', -1],
      ['cell-sums', 'n', 1e6],
      ['cell-sums', 'n', 0.5],
      ['cell-sums', 'n', -1],
      ['neighbours', 'index', N],
      ['neighbours', 'weight', 1.5],
      ['memberships', 'cluster', K],
      ['memberships', 'share', 2],
      ['sample-rows', 'rows', 1e30],
      ['encode', 'codes', 1e30],
      ['start-partition', 'labels', N],
      ['moments', 'counts', 1e9],
    ] as const) {
      const task = caseOf(name) as Task;
      const result = await runOn(task, 1);
      const { data, shape } = result[tensor];
      const lie = data.slice();
      lie[0] = wrong;
      const problem = TASKS.resultCheck(w.layout, [task], get(STATES));
      const own = { ...result, [tensor]: nd(lie as TypedArray, ...shape) };
      const sampled = SHARDS.map((shard) => w.sampleOf(shard).length);
      assert.match(
        problem([own], [unitFor(task, 1)], sampled)!,
        new RegExp(`^${name}: ${tensor}`),
        String(wrong),
      );
    }
  });
  test('of more rows than there can be, or with numbers that no rows give, is refused', async () => {
    const result = async (name: TaskName) => runOn(caseOf(name) as Task, 1);
    const refused = async (name: TaskName, change: Tensors) => {
      const task = caseOf(name) as Task;
      const sampled = SHARDS.map((shard) => w.sampleOf(shard).length);
      const own = { ...(await result(name)), ...change };
      return TASKS.resultCheck(w.layout, [task], get(STATES))([own], [unitFor(task, 1)], sampled);
    };
    const f64 = (...values: number[]) => nd(Float64Array.from(values));
    for (const values of [
      [-1, 0, -1],
      [5, 0, 3],
      [5, 2, -1],
      [1000, 0, -1],
    ])
      assert.ok(await refused('moments', { counts: f64(...values) }), String(values));
    // All rows may be of one shard, and in the sample.
    const alone = { ...w.layout, shards: 1 };
    const all = { ...(await result('moments')), counts: f64(alone.rows, 0, -1) };
    const blocks = Math.ceil(alone.rows / alone.blockRows);
    const sampled = nd(new Float32Array(alone.rows * alone.dim), alone.rows, alone.dim);
    const whole = { ...all, hashes: nd(new Uint8Array(blocks * HASH_BYTES)), sampled };
    const moments = TASKS.resultCheck(alone, [caseOf('moments')], get(STATES));
    assert.equal(moments([whole], [{ shard: 0, from: 0, to: blocks }]), null);
    const fewer = { ...whole, counts: f64(alone.rows - 1, 0, -1) };
    assert.match(moments([fewer], [{ shard: 0, from: 0, to: blocks }])!, /no rows give it/);
    const { min, T } = await result('fenced-moments');
    assert.ok(await refused('moments', { min: nd(min.data.map(() => 1e9) as Float64Array) }));
    for (const n of [-5, 2.5, 1e9])
      assert.ok(await refused('fenced-moments', { T: f64(n, ...[...T.data].slice(1)) }), String(n));
    assert.match((await refused('sample-rows', { rows: nd(new Float32Array(D * 2.5 + 0.5)) }))!, /rows/);
    assert.match((await refused('sample-rows', { rows: nd(new Float32Array(D * 10_000)) }))!, /at most/);
    const many = { seen: nd(new Float32Array(D * 10_000)), seenLabels: nd(new Int32Array(10_000)) };
    assert.match((await refused('full-pass', many))!, /at most/);
    const { border } = await result('full-pass');
    const rival = nd(border.data.map(() => -1) as Int32Array);
    const shown = nd(border.data.map(() => 0) as Int32Array);
    assert.match((await refused('full-pass', { border: shown, rival }))!, /no rows give it/);
  });
});

test('a layout with absurd numbers is malformed', () => {
  const [welcome] = FROM_COORDINATOR.welcome;
  assert.ok(fromCoordinator.safeParse(welcome).success);
  for (const change of [
    { rows: 0 },
    { rows: 1e15 },
    { dim: 0 },
    { dim: 2 ** 53 - 1 },
    { shards: 0 },
    { shards: 1e6 },
    { blockRows: 0 },
    { blockRows: 2 ** 40 },
    { seed: '9'.repeat(20) },
  ]) {
    const layout = { ...welcome.layout, ...change };
    assert.ok(!fromCoordinator.safeParse({ ...welcome, layout }).success, JSON.stringify(change));
    assert.ok(layoutProblem(layout), JSON.stringify(change));
  }
});
