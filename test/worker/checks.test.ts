import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HASH_BYTES } from '../../data/blocks.ts';
import { layoutProblem } from '../../model/layout.ts';
import { netShapes, netSize } from '../../model/nets/net.ts';
import { fromCoordinator } from '../../proto/messages.ts';
import { taskSchema } from '../../proto/tasks.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { checkTask, checkUnit, InvalidRound } from '../../worker/checks.ts';
import { cpuBackend } from '../../worker/compute/backends/cpu.ts';
import { createStates } from '../../worker/states.ts';
import { TASKS as ROUND, STATES, w } from '../faults/fuzz-worker.ts';
import { FROM_COORDINATOR, TASKS } from '../proto/support.ts';
import { D } from './support.ts';

const statesWith = (change: Record<string, Tensors> = {}) => {
  const states = createStates(cpuBackend());
  for (const [name, tensors] of Object.entries({ ...STATES, ...change })) states.put(name, 1, tensors);
  return states;
};

describe('a task is rejected before any work', () => {
  test('not if its states are valid', () => {
    for (const task of ROUND) checkTask(task, statesWith(), w.layout);
    for (const shard of [0, 1, 2])
      checkUnit(w.unit(shard), [
        [1, 2, 3],
        [1, 2, 3],
        [1, 2, 3],
      ]);
  });

  for (const [name, tensors] of Object.entries(STATES))
    for (const tensor of Object.keys(tensors))
      test(`if ${name} has a longer ${tensor}, or none`, () => {
        const { shape, data } = tensors[tensor];
        const Kind = data.constructor as new (length: number) => typeof data;
        const longer = nd(new Kind(data.length + 1), ...[data.length + 1, ...shape.slice(1).map(() => 1)]);
        const { [tensor]: _, ...rest } = tensors;
        for (const wrong of [{ ...tensors, [tensor]: longer }, rest]) {
          const refused = ROUND.filter((task) => {
            try {
              checkTask(task, statesWith({ [name]: wrong }), w.layout);
              return false;
            } catch (error) {
              assert.ok(error instanceof InvalidRound, String(error));
              return true;
            }
          });
          // Without columns the weights are a matrix, which must be detected, too.
          assert.ok(refused.length > 0, `${name}/${tensor}`);
        }
      });

  test('if not every column is moved before rows are scaled to unit length, or they are not scaled', () => {
    const task = ROUND.find(({ task }) => task === 'sample-labels')!;
    const floats = (length: number) => nd(new Float32Array(length));
    const states = (change: Tensors) => statesWith({ transform: { ...STATES.transform, ...change } });
    const shape = nd(Int32Array.of(1, D));
    checkTask(task, states({ shape, factor: floats(D), shift: floats(D) }), w.layout);
    for (const wrong of [
      { shape, factor: floats(D) },
      { shape, shift: floats(D) },
      { shape, factor: floats(D + 1), shift: floats(D) },
      { shape, factor: floats(D), shift: floats(D - 1) },
      { shape, factor: nd(new Float64Array(D)), shift: floats(D) },
      { factor: floats(D), shift: floats(D) },
    ] as Tensors[])
      assert.throws(() => checkTask(task, states(wrong), w.layout), InvalidRound);
  });

  test('if its cells name leaves, vectors or groups that do not exist', () => {
    const [task] = ROUND.filter(({ task }) => task === 'cell-sums');
    for (const change of [
      { leaves: 5 },
      { cells: [0, 1, 2] },
      { cells: [0, 1, 2, 3, 4, { near: [9], into: [5] }] },
      { cells: [0, 1, 2, 3, 4, { axis: 2, at: 0, into: [5, 5] }] },
      { cells: [0, 1, 2, 3, 4, { linear: [0, 2], offsets: [0, 0], into: [5, 5] }] },
      { cells: [0, 1, 2, 3, 4, { linear: [0, 1], offsets: [0, 0], into: [5, 6] }] },
      { leaves: 1e12 },
    ])
      assert.throws(() => checkTask({ ...task, ...change } as never, statesWith(), w.layout), InvalidRound);
  });

  test('if its leaves have not as many axes each, or its result would not fit in a message', () => {
    const task = ROUND.find(({ task }) => task === 'cell-histogram')!;
    const f64 = (...shape: number[]) => nd(new Float64Array(shape.reduce((a, b) => a * b, 1)), ...shape);
    const axes = (count: number, centres = count, sds = count) =>
      statesWith({ axes: { rows: f64(count, D), centre: f64(centres), sd: f64(sds) } });
    for (const count of [6, 12, 18]) checkTask(task, axes(count), w.layout);
    for (const states of [axes(3), axes(5), axes(7), axes(9), axes(12, 6), axes(12, 12, 6)])
      assert.throws(() => checkTask(task, states, w.layout), InvalidRound);
    assert.throws(
      () => checkTask({ ...task, bins: 1 << 30 } as never, axes(6), w.layout),
      /fit in a message/,
    );
  });

  test('if the whitening of its leaves has another shape', () => {
    const task = ROUND.find(({ task }) => task === 'cell-fourth-moments')!;
    const f64 = (...shape: number[]) => nd(new Float64Array(shape.reduce((a, b) => a * b, 1)), ...shape);
    const whitening = { centre: f64(6, D), inverse: f64(6, D, D) };
    checkTask(task, statesWith({ whitening }), w.layout);
    for (const wrong of [
      { centre: f64(5, D) },
      { centre: f64(D, 6) },
      { inverse: f64(5, D, D) },
      { inverse: f64(6, D) },
      { inverse: f64(6, D * D) },
      { inverse: nd(new Float32Array(6 * D * D), 6, D, D) },
    ])
      assert.throws(
        () => checkTask(task, statesWith({ whitening: { ...whitening, ...wrong } }), w.layout),
        InvalidRound,
      );
  });

  test('if it would need a tensor of 4 GiB', () => {
    const net = (widths: number[], nets: number) => ({
      widths: nd(Int32Array.from(widths)),
      nets: nd(Int32Array.of(nets)),
      params: nd(new Float32Array(netSize(netShapes(widths, nets)))),
    });
    const adam = ({ params: { data } }: Tensors) => ({ first: nd(data), second: nd(data) });
    const k = 3;
    const [wide, wideSubs] = [net([D, 2000, k], 0), net([D, 2000, 2], k)];
    const states = statesWith({
      ...{ net: wide, 'net-moments': adam(wide) },
      ...{ subs: wideSubs, 'subs-moments': adam(wideSubs) },
    });
    const layout = { ...w.layout, rows: 1 << 20, blockRows: 1 << 20, shards: 1 };
    const hashes = { blocks: nd(new Uint8Array(HASH_BYTES), 1, HASH_BYTES) };
    states.put('hashes', 1, hashes);
    for (const [name, change] of [
      ['cluster-steps', { batch: 1 << 20 }],
      ['sub-steps', { batch: 1 << 18 }],
      ['statistics', { block: 1e12 }],
      ['full-pass', {}],
    ] as const) {
      const task = ROUND.find(({ task }) => task === name)!;
      assert.throws(() => checkTask({ ...task, ...change } as never, states, layout), /4 GiB/, name);
    }
  });

  test('if the unit does not exist', () => {
    for (const unit of [
      { shard: 9, from: 0, to: 0 },
      { shard: 0, from: 2, to: 1 },
      { shard: 0, from: 0, to: 1e9 },
    ])
      assert.throws(() => checkUnit(unit, [[1], [1]]), InvalidRound);
  });
});

test('tasks with absurd numbers are malformed', () => {
  const [steps] = TASKS['cluster-steps'];
  assert.ok(taskSchema.safeParse(steps).success);
  for (const change of [
    { steps: 1e9 },
    { steps: 0 },
    { batch: 1e9 },
    { batch: 0 },
    { rate: -1 },
    { epoch: -1 },
  ])
    assert.ok(!taskSchema.safeParse({ ...steps, ...change }).success, JSON.stringify(change));
  for (const [task, change] of [
    ['statistics', { block: 0 }],
    ['full-pass', { silhouette: 1e9 }],
    ['moments', { sample: 2 }],
    ['seed-distances', { draw: 0.5 }],
    ['cell-sums', { leaves: 0 }],
    ['cell-sums', { cells: Array(1e5).fill(0) }],
    ['cell-sums', { cells: [{ linear: [0, 1], offsets: [0], into: [0, 1] }] }],
    ['cell-sums', { cells: [{ linear: [0, 1], offsets: [0, 0], into: [0] }] }],
    ['cell-sums', { cells: [{ linear: [], offsets: [], into: [] }] }],
    ['cell-sums', { cells: [{ linear: [0, 0.5], offsets: [0, 0], into: [0, 1] }] }],
    ['cell-sums', { cells: [{ linear: [0, 1], offsets: [0, Number.NaN], into: [0, 1] }] }],
    ['cell-sums', { cells: [{ linear: [0, 1], offsets: [0, '1'], into: [0, 1] }] }],
    ['cell-sums', { cells: [{ linear: [0, 1], into: [0, 1] }] }],
    ['cell-histogram', { bins: 1 }],
    ['cell-histogram', { bins: 2.5 }],
    ['cell-histogram', { bins: 1e6 }],
    ['cell-histogram', { bins: undefined }],
    ['cell-fourth-moments', { whitening: 'x'.repeat(65) }],
  ] as const)
    assert.ok(!taskSchema.safeParse({ ...TASKS[task][0], ...change }).success, task);
});

test('a layout with absurd numbers is malformed', () => {
  const [welcome] = FROM_COORDINATOR.welcome;
  assert.ok(fromCoordinator.safeParse(welcome).success);
  for (const change of [
    { rows: 0 },
    { rows: 1e15 },
    { dim: 0 },
    { dim: 1e9 },
    { dim: 2 ** 53 - 1 },
    { shards: 0 },
    { shards: 1e6 },
    { shards: 5000 },
    { blockRows: 0 },
    { blockRows: 2 ** 40 },
    { seed: '9'.repeat(20) },
  ]) {
    const layout = { ...welcome.layout, ...change };
    assert.ok(!fromCoordinator.safeParse({ ...welcome, layout }).success, JSON.stringify(change));
    assert.ok(layoutProblem(layout), JSON.stringify(change));
  }
});
