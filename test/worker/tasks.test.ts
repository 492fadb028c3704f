import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { blockHash } from '../../data/blocks.ts';
import type { TransformChoice } from '../../data/transform.ts';
import { costTheta, eStepOf, whitening } from '../../model/estep.ts';
import { chooseByWeight } from '../../model/kmeans.ts';
import { shardBlocks } from '../../model/layout.ts';
import { netSize, parted } from '../../model/net.ts';
import { binOf } from '../../model/pca-split.ts';
import { generator, priority, shuffledPrefix } from '../../model/random.ts';
import { type Covariance, statisticsLength } from '../../model/statistics.ts';
import type { Cell, Task, TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { ReadBlocks } from '../../worker/blocks.ts';
import type { Backend, Tensor } from '../../worker/compute/backends/backend.ts';
import { createContext } from '../../worker/context.ts';
import { createStates } from '../../worker/states.ts';
import { runTask } from '../../worker/tasks/index.ts';
import { close, eachMoment, logDensities } from '../model/support.ts';
import { backends } from './present.ts';
import {
  adamStateOf,
  agrees,
  allBlocks,
  argmax,
  blobMixture,
  bytes,
  D,
  hashesState,
  logitsOf,
  type Matrix,
  matrixOf,
  memoryBlocks,
  momentsOf,
  randomMatrix,
  range,
  SEED,
  softmax,
  sum,
  transformFor,
  transformState,
  type Workplace,
  weightsOf,
  world,
} from './support.ts';

const [wasm] = backends;
/** A row's result does not depend on how many are computed with it. WebGPU's products choose their kernel by shape. */
/** TensorFlow's own products choose their kernel by the number of rows: with AVX2 a row's last bit depends on the others. */
const byRowInAnyBatch = ({ identity }: Backend) => /^(wasm|cpu|tensorflow)\//.test(identity);
const byRow = ({ identity }: Backend) => !identity.startsWith('webgpu/');
const w = world();
const SHARDS = range(w.layout.shards);

/** Σ weight·φ(row) in float64. */
function momentSums(rows: Matrix, cov: Covariance, weights = rows.map(() => 1)): number[] {
  const d = rows[0]?.length ?? D;
  const T = new Array(statisticsLength(d, cov)).fill(0);
  rows.forEach((row, r) => {
    T[0] += weights[r];
    for (let i = 0; i < d; i++) T[1 + i] += weights[r] * row[i];
    eachMoment(d, cov, (i, j, p) => {
      T[p] += weights[r] * row[i] * row[j];
    });
  });
  return T;
}

const covarianceOf = (diagonal: boolean): Covariance => (diagonal ? 'diag' : 'full');
const f64 = (result: Tensors, name: string) => take(result, name, 'float64');

/** The states that local steps of the clustering net learn from. */
function eStepState(form: 'product' | 'cholesky', covariance: Covariance): Tensors {
  const step = eStepOf(blobMixture(covariance), w.transform.scale, form);
  if (step.form === 'product') return { theta: nd(step.theta, step.theta.length / 3, 3) };
  return {
    weights: nd(step.weights, D, 3 * D),
    bias: nd(step.bias, 3 * D),
    constant: nd(step.constant, 3),
  };
}

function costState(loss: 'isotropic' | 'diag'): Tensors {
  const cost = costTheta(loss, blobMixture('full'), w.transform.scale);
  return { cost: nd(cost, cost.length / 3, 3) };
}

const CENTRES = range(3).map((c) => randomMatrix(60 + c, 2, D));
const centreState = (): Tensors => ({
  centres: nd(Float32Array.from(CENTRES.flat(2)), 3, 2, D),
  metric: nd(Float32Array.from(w.transform.scale, (s) => s * s)),
});

function componentState(): Tensors {
  const pairs = range(3).map((c) => {
    const mixture = blobMixture('full');
    const two = { ...mixture, k: 2, weights: Float64Array.of(0.4, 0.6), means: mixture.means.slice(0, 2) };
    return whitening(
      { ...two, covariances: mixture.covariances.slice(c % 2, 2 + (c % 2)) },
      w.transform.scale,
    );
  });
  const stack = (name: 'weights' | 'bias' | 'constant', ...shape: number[]) =>
    nd(Float32Array.from(pairs.flatMap((pair) => [...pair[name]])), 3, ...shape);
  return { weights: stack('weights', D, 2 * D), bias: stack('bias', 2 * D), constant: stack('constant', 2) };
}

const clusterTask = (change: Partial<TaskOf<'cluster-steps'>> = {}): TaskOf<'cluster-steps'> => ({
  task: 'cluster-steps',
  epoch: 4,
  steps: 3,
  batch: 16,
  rate: 0.01,
  done: w.net.steps,
  loss: 'kl',
  form: 'product',
  diagonal: false,
  average: 'weights',
  ...change,
});

const subTask = (change: Partial<TaskOf<'sub-steps'>> = {}): TaskOf<'sub-steps'> => ({
  task: 'sub-steps',
  epoch: 4,
  steps: 3,
  batch: 5,
  rate: 0.01,
  done: w.subs.steps,
  loss: 'isotropic',
  average: 'weights',
  ...change,
});

/** Zeros of the same names and lengths as a shard with rows gives. */
function addsNothing(result: Tensors, full: Tensors): void {
  assert.deepEqual(Object.keys(result).sort(), Object.keys(full).sort());
  for (const name of Object.keys(full))
    assert.deepEqual(f64(result, name), new Float64Array(f64(full, name).length), name);
}

const run = <T extends Task>({ context }: Workplace, task: T, shard = 0) =>
  runTask(context, task, w.unit(shard));

for (const backend of backends) {
  describe(`the sample on ${backend.identity}`, () => {
    for (const choice of ['center', 'none', 'normalize', 'standard', 'min-max', 'pca:2'] as TransformChoice[])
      test(`is the rows below the threshold, in file order, transformed: ${choice}`, async () => {
        const transform = transformFor(choice, w.raw, D);
        for (const shard of SHARDS) {
          const { context, put } = w.workplace(backend);
          put('transform', transformState(transform, w.below));
          const { n, rows, scaled } = await context.sample(shard);
          const members = w.sampleOf(shard);
          assert.equal(n, members.length);
          assert.deepEqual(scaled.shape, [n, transform.dim]);
          const raw = members.map((row) => [...w.raw.subarray(row * D, (row + 1) * D)]);
          const input = choice === 'normalize' ? raw.map((r) => r.map((v) => v / Math.hypot(...r))) : raw;
          const { columns, weights, bias, dim, scale } = transform;
          const y = input.map((row) =>
            range(dim).map(
              (j) =>
                bias[j] +
                (columns ? row[columns[j]] * weights[j] : sum(row.map((v, i) => v * weights[i * dim + j]))),
            ),
          );
          // Raw values up to a hundred standard deviations from zero.
          agrees(await backend.read(scaled), y.flat(), 5e-6, 'scaled');
          agrees(
            rows,
            y.flatMap((row) => row.map((v, j) => v * scale[j])),
            5e-6,
            'rows',
          );
        }
      });

    test('a shard whose sample is empty', async () => {
      for (const choice of ['center', 'pca:2'] as TransformChoice[]) {
        const { context, put } = w.workplace(backend);
        put('transform', transformState(transformFor(choice, w.raw, D), 0));
        assert.equal((await context.sample(0)).n, 0);
        assert.deepEqual(await context.labels(0), new Int32Array(0));
      }
    });

    test('labels are the argmax of the net, and follow it', async () => {
      const place = w.workplace(backend);
      const expected = w.sampleOf(1).map((row) => w.label(row));
      assert.deepEqual([...(await place.context.labels(1))], expected);
      assert.ok(new Set(expected).size > 1);
      const turned = world({ hidden: [5, 4] }).net;
      place.put('net', weightsOf(turned));
      const now = w.sampleOf(1).map((row) => argmax(logitsOf(turned, w.y(row))));
      assert.notDeepEqual(now, expected);
      assert.deepEqual([...(await place.context.labels(1))], now);
    });
  });

  describe(`moments on ${backend.identity}`, () => {
    const ORIGIN = Float64Array.of(5.5, 3, 4.75);
    const task = (change: Partial<TaskOf<'moments'>> = {}): TaskOf<'moments'> => ({
      task: 'moments',
      normalize: false,
      diagonal: false,
      sample: w.below,
      ...change,
    });
    const place = (raw = w.raw) => {
      const states = createStates(backend);
      states.put('origin', 1, { row: nd(ORIGIN) });
      states.put('transform', 1, transformState(w.transform, w.below));
      states.put('hashes', 1, hashesState(raw, w.layout));
      return createContext(backend, states, memoryBlocks(raw, D), w.layout);
    };
    const rowsOf = (shard: number, raw = w.raw) =>
      w.rowsOf(shard).map((row) => [...raw.subarray(row * D, (row + 1) * D)]);

    for (const normalize of [false, true])
      for (const diagonal of [false, true])
        test(`statistics and extremes${normalize ? ', normalized' : ''}${diagonal ? ', diagonal' : ''}`, async () => {
          for (const shard of SHARDS) {
            const result = await runTask(place(), task({ normalize, diagonal }), w.unit(shard));
            let rows = rowsOf(shard);
            if (normalize) rows = rows.map((row) => row.map((v) => Math.fround(v / Math.hypot(...row))));
            const centred = rows.map((row) => row.map((v, d) => v - ORIGIN[d]));
            // Float64 throughout, but for the rounding of unit rows.
            const tolerance = normalize ? 1e-6 : 1e-12;
            close(f64(result, 'T'), momentSums(centred, covarianceOf(diagonal)), tolerance);
            const { min, max } = momentsOf(rows);
            close(f64(result, 'min'), min, tolerance);
            close(f64(result, 'max'), max, tolerance);
            assert.deepEqual([...f64(result, 'counts')], [w.sampleOf(shard).length, 0, -1]);
          }
        });

    test('a hash of each block as read, in the order of the shard', async () => {
      const blocks = shardBlocks(w.layout)[2];
      for (const normalize of [false, true]) {
        const { hashes } = await runTask(place(), task({ normalize }), w.unit(2));
        assert.deepEqual(hashes.shape, [blocks.length, 16]);
        const expected = blocks.map(({ start, count }) =>
          Buffer.from(blockHash(w.raw.slice(start * D, (start + count) * D))),
        );
        assert.deepEqual(Buffer.from(hashes.data as Uint8Array), Buffer.concat(expected));
      }
    });

    test('bad rows are counted, named and left out', async () => {
      const rows = w.rowsOf(1);
      const bad = [rows[5], rows[20], rows.at(-1)!];
      const raw = w.raw.slice();
      [NaN, Infinity, -Infinity].forEach((value, i) => {
        raw[bad[i] * D + i] = value;
      });
      for (const normalize of [false, true]) {
        const result = await runTask(place(raw), task({ normalize }), w.unit(1));
        assert.deepEqual([...f64(result, 'counts')].slice(1), [3, Math.min(...bad)]);
        if (normalize) continue;
        const good = rows.filter((row) => !bad.includes(row));
        const values = good.map((row) => [...raw.subarray(row * D, (row + 1) * D)]);
        const centred = values.map((row) => row.map((v, d) => v - ORIGIN[d]));
        close(f64(result, 'T'), momentSums(centred, 'full'), 1e-12);
        close(f64(result, 'min'), momentsOf(values).min, 0);
      }
    });

    test('keeps the sample raw: the one that another worker reads anew', async () => {
      for (const normalize of [false, true]) {
        const transform = transformState(transformFor(normalize ? 'normalize' : 'center', w.raw, D), w.below);
        const [before, after] = [place(), place()];
        for (const context of [before, after]) context.states.put('transform', 2, transform);
        await runTask(before, task({ normalize }), w.unit(0));
        before.rowsRead();
        const kept = await before.sample(0);
        assert.equal(before.rowsRead(), 0);
        const recalled = await after.sample(0);
        assert.equal(after.rowsRead(), w.rowsOf(0).length);
        assert.deepEqual(kept.rows, recalled.rows);
        assert.deepEqual(await backend.read(kept.scaled), await backend.read(recalled.scaled));
      }
    });

    test('a second time gives the same', async () => {
      const context = place();
      const first = bytes(await runTask(context, task(), w.unit(0)));
      assert.deepEqual(bytes(await runTask(context, task(), w.unit(0))), first);
      assert.equal(context.rowsRead(), 2 * w.rowsOf(0).length);
    });
  });

  describe(`statistics on ${backend.identity}`, () => {
    for (const diagonal of [false, true])
      for (const block of [7, 4096])
        test(`soft T, and the labels, ${covarianceOf(diagonal)}, blocks of ${block}`, async () => {
          const place = w.workplace(backend);
          for (const shard of SHARDS) {
            const result = await run(place, { task: 'statistics', diagonal, block }, shard);
            const members = w.sampleOf(shard);
            const y = members.map((row) => w.y(row));
            const r = y.map((row) => softmax(logitsOf(w.net, row)));
            const p = statisticsLength(D, covarianceOf(diagonal));
            assert.deepEqual(result.T.shape, [3, p]);
            for (const k of range(3)) {
              const T = momentSums(
                y,
                covarianceOf(diagonal),
                r.map((row) => row[k]),
              );
              agrees(f64(result, 'T').subarray(k * p, (k + 1) * p), T, 5e-6, `cluster ${k}`);
            }
            const z = members.map((row) => w.label(row));
            assert.deepEqual([...(await place.context.labels(shard))], z);
          }
        });

    for (const diagonal of [false, true])
      test(`pivoted: the same about other points, in float64 from the rows up, ${covarianceOf(diagonal)}`, async () => {
        const place = w.workplace(backend);
        const means = randomMatrix(9, 3, D);
        place.put('means', { rows: nd(Float64Array.from(means.flat()), 3, D) });
        for (const shard of SHARDS) {
          const result = await run(place, { task: 'pivoted-statistics', diagonal }, shard);
          const members = w.sampleOf(shard);
          const r = members.map((row) => softmax(logitsOf(w.net, w.y(row))));
          const p = statisticsLength(D, covarianceOf(diagonal));
          assert.deepEqual(result.T.shape, [3, p]);
          for (const k of range(3)) {
            const T = momentSums(
              members.map((row) => [...w.x(row)].map((value, d) => value - means[k][d])),
              covarianceOf(diagonal),
              r.map((row) => row[k]),
            );
            agrees(f64(result, 'T').subarray(k * p, (k + 1) * p), T, 5e-6, `cluster ${k}`);
          }
        }
      });

    test('one cluster takes all', async () => {
      const one = world({ k: 1 });
      const place = one.workplace(backend);
      const result = await runTask(
        place.context,
        { task: 'statistics', diagonal: false, block: 64 },
        one.unit(0),
      );
      const y = one.sampleOf(0).map((row) => one.y(row));
      agrees(f64(result, 'T'), momentSums(y, 'full'), 5e-6);
    });
  });

  describe(`cluster-steps on ${backend.identity}`, () => {
    /** The same steps, verb by verb. */
    async function byHand(
      task: TaskOf<'cluster-steps'>,
      shard: number,
    ): Promise<Record<string, Float32Array>> {
      const { context } = w.workplace(backend);
      const { states } = context;
      const { n, scaled } = await context.sample(shard);
      const batch = Math.min(task.batch, n);
      const drawn = shuffledPrefix(generator(SEED, 'batches', task.epoch, shard), n, task.steps * batch);
      const up = (state: Tensors) =>
        Object.values(state).map(({ data, shape }) => backend.upload(data as Float32Array, shape));
      const copy = (tensor?: 'first' | 'second') =>
        states.layers('net', tensor).map(({ data, shape }) => backend.upload(data, shape));
      const [w1, b1, w2, b2] = copy();
      const moments = [...copy('first'), ...copy('second')];
      const target = up(
        task.loss === 'kl' ? eStepState(task.form, covarianceOf(task.diagonal)) : costState(task.loss),
      );
      let loss = 0;
      for (let i = 0; i < task.steps; i++) {
        const x = backend.gather(scaled, drawn.slice(i * batch, (i + 1) * batch));
        const hidden = backend.affine(x, w1, b1, true);
        const logits = backend.affine(hidden, w2, b2, false);
        const { gradient: g, loss: own } = lossOf(x, logits);
        loss += (await backend.read(own))[0] / task.steps;
        const below = backend.reluGrad(g, w2, hidden);
        const grads = [
          backend.gram(x, below),
          backend.columnSums(below),
          backend.gram(hidden, g),
          backend.columnSums(g),
        ];
        [w1, b1, w2, b2].forEach((p, j) => {
          backend.adam(p, moments[j], moments[4 + j], grads[j], task.rate, task.done + i + 1);
        });
      }
      const out: Record<string, Float32Array> = { loss: Float32Array.of(loss) };
      const flat = async (tensors: Tensor[]) =>
        Float32Array.from((await Promise.all(tensors.map((t) => backend.read(t)))).flatMap((a) => [...a]));
      out.params = await flat([w1, b1, w2, b2]);
      out.first = await flat(moments.slice(0, 4));
      out.second = await flat(moments.slice(4));
      return out;

      function lossOf(x: Tensor, logits: Tensor) {
        if (task.loss !== 'kl')
          return backend.costGradient(logits, backend.quadraticForm(x, target[0], task.diagonal));
        const density =
          task.form === 'product'
            ? backend.quadraticForm(x, target[0], task.diagonal)
            : backend.whitenedDensity(backend.affine(x, target[0], target[1], false), target[2]);
        return backend.klGradient(logits, backend.softmaxRows(density, 1e-5));
      }
    }

    const cases: Partial<TaskOf<'cluster-steps'>>[] = [
      {},
      { form: 'cholesky' },
      { diagonal: true },
      { form: 'cholesky', diagonal: true },
      { loss: 'isotropic' },
      { loss: 'diag' },
      { steps: 1, batch: 40, epoch: 9, done: 0 },
    ];
    const withTarget = (task: TaskOf<'cluster-steps'>, on = backend) => {
      const place = w.workplace(on);
      place.put(
        'e-step',
        task.loss === 'kl' ? eStepState(task.form, covarianceOf(task.diagonal)) : costState(task.loss),
      );
      return place;
    };
    for (const change of cases)
      test(`the steps one by one${backend.steps ? '' : ', bit by bit'}: ${JSON.stringify(change)}`, async () => {
        const task = clusterTask(change);
        for (const shard of [0, 2]) {
          const result = await run(withTarget(task), task, shard);
          const { loss, ...expected } = await byHand(task, shard);
          close(f64(result, 'loss')[0], loss[0], 1e-6);
          assert.deepEqual([...f64(result, 'count')], [1]);
          assert.deepEqual([...f64(result, 'shards')], [1]);
          assert.deepEqual(
            Object.keys(result).sort(),
            [...Object.keys(expected), 'count', 'loss', 'shards'].sort(),
          );
          // Adam divides by the gradient's size, which magnifies differences of small ones.
          for (const [name, values] of Object.entries(expected))
            if (!byRow(backend)) agrees(f64(result, name), values, 2e-3, name);
            // A kernel for whole steps rounds elsewhere than the verbs.
            else if (backend.steps) close(f64(result, name), values, 5e-5);
            else assert.deepEqual(f64(result, name), Float64Array.from(values), name);
        }
      });

    test('the target is the smoothed E-step of the mixture', async () => {
      // One step from zero weights: the last bias has the gradient mean(1/K − r^E), whose sum Adam's moments keep.
      const task = clusterTask({ steps: 1, average: 'gradients', batch: 1000 });
      const place = withTarget(task);
      const zeros = w.net.params.map((values) => new Float32Array(values.length));
      place.put('net', weightsOf(w.net, zeros));
      const result = await run(place, task, 1);
      const x = w.sampleOf(1).map((row) => w.x(row));
      const logs = logDensities(blobMixture('full'), Float64Array.from(x.flat()));
      const r = matrixOf(logs, 3).map((row) => softmax(row).map((v) => (v + 1e-5) / (1 + 3e-5)));
      const expected = range(3).map((k) => 1 / 3 - sum(r.map((row) => row[k])) / x.length);
      close(f64(result, 'gradients').slice(-3), expected, 1e-5);
    });

    for (const diagonal of [false, true])
      test(`product and Cholesky form agree, ${covarianceOf(diagonal)}`, async () => {
        const results = [];
        for (const form of ['product', 'cholesky'] as const) {
          const task = clusterTask({ form, diagonal, steps: 4 });
          results.push(await run(withTarget(task), task));
        }
        // Adam divides by the gradient's size, which magnifies differences of small ones.
        close(f64(results[0], 'params'), f64(results[1], 'params'), 2e-4);
        close(f64(results[0], 'loss'), f64(results[1], 'loss'), 1e-4);
      });

    test('mean gradients of the first batch, and no step', async () => {
      const task = clusterTask({ average: 'gradients', done: 0 });
      const result = await run(withTarget(task), task);
      assert.deepEqual(Object.keys(result).sort(), ['count', 'gradients', 'loss', 'shards']);
      // One Adam step on them from no moments is the first of the local steps.
      const place = withTarget(task);
      const zeros = w.net.params.map((values) => new Float32Array(values.length));
      place.put('net-moments', adamStateOf({ ...w.net, first: zeros, second: zeros }));
      const stepped = await run(place, clusterTask({ steps: 1, done: 0 }));
      // To a rounding: TensorFlow takes 1 − 0.9 in float32.
      agrees(
        f64(stepped, 'first'),
        f64(result, 'gradients').map((g) => 0.1 * g),
        1e-6,
      );
    });

    test('a shard smaller than its batches sees its rows again; smaller than one, all its rows', async () => {
      const n = w.sampleOf(0).length;
      for (const batch of [n - 1, n, n + 1, 10 * n]) {
        const task = clusterTask({ batch, steps: 5 });
        const result = await run(withTarget(task), task);
        assert.ok(f64(result, 'params').every(Number.isFinite));
        assert.deepEqual([...f64(result, 'count')], [1]);
      }
      const all = clusterTask({ batch: n, steps: 5 });
      const more = clusterTask({ batch: 10 * n, steps: 5 });
      assert.deepEqual(bytes(await run(withTarget(all), all)), bytes(await run(withTarget(more), more)));
    });

    test('every batch is whole, and takes new rows while there are any', async () => {
      const n = w.sampleOf(0).length;
      for (const [batch, steps] of [
        [16, 3],
        [25, 5],
        [n - 1, 4],
        [n, 3],
      ]) {
        const batches: number[] = [];
        const task = clusterTask({ batch, steps });
        const spy: Backend = {
          ...backend,
          slice(x, start, count) {
            assert.ok(start + count <= x.shape[0], `rows ${start} to ${start + count} of ${x.shape[0]}`);
            assert.equal(count, batch);
            batches.push(start);
            return backend.slice(x, start, count);
          },
        };
        await run(withTarget(task, spy), task);
        // Each step slices its rows and their targets alike.
        const starts = batches.filter((_, i) => i % 2 === 0);
        assert.deepEqual(
          batches.filter((_, i) => i % 2),
          starts,
        );
        assert.equal(starts.length, steps);
        const fresh = Math.min(steps, Math.floor(n / batch));
        assert.deepEqual(
          starts.slice(0, fresh),
          range(fresh).map((i) => i * batch),
        );
      }
    });

    test('a shard without a sample adds nothing', async () => {
      for (const average of ['weights', 'gradients'] as const) {
        const place = withTarget(clusterTask());
        const full = await run(place, clusterTask({ average }));
        place.put('transform', transformState(w.transform, 0));
        addsNothing(await run(place, clusterTask({ average })), full);
      }
    });

    test('batches differ between epochs and shards', async () => {
      const results = [];
      for (const [epoch, shard] of [
        [4, 0],
        [5, 0],
        [4, 1],
      ])
        results.push(bytes(await run(withTarget(clusterTask()), clusterTask({ epoch }), shard)));
      assert.notDeepEqual(results[0], results[1]);
      assert.notDeepEqual(results[0], results[2]);
    });

    test('the states stay as they were sent', async () => {
      const place = withTarget(clusterTask());
      const first = bytes(await run(place, clusterTask()));
      assert.deepEqual(bytes(await run(place, clusterTask())), first);
      assert.deepEqual(bytes(place.context.states.get('net')), bytes(weightsOf(w.net)));
    });
  });

  describe(`sub-steps on ${backend.identity}`, () => {
    /** What was gathered, step by step. */
    function watched(): { backend: Backend; batches: { index: number[]; shape: readonly number[] }[] } {
      const batches: { index: number[]; shape: readonly number[] }[] = [];
      return {
        batches,
        backend: {
          ...backend,
          gather(x, index, shape) {
            if (shape?.length === 3) batches.push({ index: Array.from(index), shape });
            return backend.gather(x, index, shape);
          },
        },
      };
    }
    const prepared = (on: Backend, loss: 'isotropic' | 'kl' = 'isotropic') => {
      const place = w.workplace(on);
      place.put('parts', loss === 'kl' ? componentState() : centreState());
      return place;
    };

    test('each net is fed rows of its own cluster only, as many of each', async () => {
      for (const shard of SHARDS) {
        const { backend: spy, batches } = watched();
        const result = await run(prepared(spy), subTask(), shard);
        const z = w.sampleOf(shard).map((row) => w.label(row));
        const counts = range(3).map((k) => z.filter((c) => c === k).length);
        assert.deepEqual([...f64(result, 'count')], counts);
        assert.equal(batches.length, 3);
        for (const { index, shape } of batches) {
          assert.deepEqual(shape, [3, 5, D]);
          index.forEach((row, i) => {
            if (counts[Math.floor(i / 5)]) assert.equal(z[row], Math.floor(i / 5));
          });
        }
        assert.notDeepEqual(batches[0].index, batches[1].index);
        assert.equal(f64(result, 'params').length, netSize(w.subs.shapes));
      }
    });

    for (const loss of ['isotropic', 'kl'] as const)
      test(`the loss is the stated one: ${loss}`, async () => {
        const { backend: spy, batches } = watched();
        const task = subTask({ loss, average: 'gradients' });
        const result = await run(prepared(spy, loss), task);
        const members = w.sampleOf(0);
        const each = batches[0].index.map((place, i) => {
          const c = Math.floor(i / 5);
          const r = softmax(logitsOf(w.subs, w.y(members[place]), c));
          const target = targets(c, members[place]);
          return loss === 'kl'
            ? sum(target.map((t, j) => t * Math.log(t / r[j])))
            : sum(target.map((cost, j) => cost * r[j]));
        });
        close(f64(result, 'loss')[0], sum(each) / each.length, 1e-5);

        function targets(c: number, row: number): number[] {
          const { scale } = w.transform;
          if (loss === 'isotropic')
            return CENTRES[c].map((centre) => sum(w.x(row).map((v, d) => (v - scale[d] * centre[d]) ** 2)));
          const { weights, bias, constant } = componentState();
          const densities = range(2).map((j) => {
            const u = range(D).map((e) => {
              const column = j * D + e;
              const at = (d: number) => (c * D + d) * 2 * D + column;
              return bias.data[c * 2 * D + column] + sum(w.y(row).map((v, d) => v * weights.data[at(d)]));
            });
            return constant.data[c * 2 + j] - sum(u.map((v) => v * v)) / 2;
          });
          return softmax(densities).map((r) => (r + 1e-5) / (1 + 2e-5));
        }
      });

    test('a cluster without a row here counts zero, and its net stays finite', async () => {
      const place = prepared(backend);
      const params = w.net.params.map((values) => values.slice());
      params[3][1] = -1e4;
      place.put('net', weightsOf(w.net, params));
      const result = await run(place, subTask());
      const [first, none, third] = f64(result, 'count');
      assert.equal(none, 0);
      assert.equal(first + third, w.sampleOf(0).length);
      for (const name of Object.keys(result)) assert.ok(result[name].data.every(Number.isFinite), name);
    });

    test('a shard without a sample adds nothing', async () => {
      const place = prepared(backend);
      const full = await run(place, subTask());
      place.put('transform', transformState(w.transform, 0));
      addsNothing(await run(place, subTask()), full);
    });

    test('each net weighs as many rows as its cluster has here', async () => {
      const weighed = await run(prepared(backend), subTask());
      const counts = f64(weighed, 'count');
      for (const values of parted(f64(weighed, 'params'), w.subs.shapes)) {
        const size = values.length / 3;
        values.forEach((value, j) => {
          const count = counts[Math.floor(j / size)];
          const net = count && value / count;
          assert.equal(count * Math.fround(net), value);
        });
      }
    });

    test('nets do not touch each other', async () => {
      const [place, other] = [prepared(backend), prepared(backend)];
      const a = await run(place, subTask());
      const c = f64(a, 'count').indexOf(Math.max(...f64(a, 'count')));
      const changed = w.subs.params.map((values) => {
        const own = values.slice();
        own.fill(0.3, (c * values.length) / 3, ((c + 1) * values.length) / 3);
        return own;
      });
      other.put('subs', weightsOf(w.subs, changed));
      const b = await run(other, subTask());
      for (const i of range(4)) {
        const [left, right] = [a, b].map((result) => parted(f64(result, 'params'), w.subs.shapes)[i]);
        const third = left.length / 3;
        for (const net of range(3)) {
          const [before, after] = [left, right].map((all) => all.subarray(net * third, (net + 1) * third));
          if (net === c) assert.notDeepEqual(after, before);
          else assert.deepEqual(after, before);
        }
      }
    });
  });

  describe(`cells on ${backend.identity}`, () => {
    const VECTORS = [
      [-3, -20, 0.1],
      [4, 0, -0.2],
      [0, 50, 0.3],
      [1, 0, 0],
      [0.6, 0.08, 2],
    ];
    /** Nested: by the nearest of three centres, one of these cells by two thresholds, one a leaf, one none. */
    const NESTED: Cell = {
      near: [0, 1, 2],
      into: [{ axis: 3, at: -1.25, into: [0, { axis: 4, at: 0.5, into: [-1, 1] }] }, 2, -1],
    };
    const SPLIT: Cell = { axis: 3, at: 0.3, into: [3, 4] };
    const PARTITIONS: Record<string, { groups: 'all' | 'net' | 'sub-net'; cells: Cell[]; leaves: number }> = {
      'all rows': { groups: 'all', cells: [NESTED], leaves: 3 },
      'all rows, one leaf': { groups: 'all', cells: [0], leaves: 1 },
      'labels of the net': { groups: 'net', cells: [NESTED, SPLIT, -1], leaves: 5 },
      'the same leaf twice': { groups: 'net', cells: [1, 0, 1], leaves: 2 },
      'labels of the sub-nets': { groups: 'sub-net', cells: [0, 1, SPLIT, 2, -1, 0], leaves: 5 },
      'no leaf': { groups: 'net', cells: [-1, -1, -1], leaves: 1 },
    };

    const dot = (a: number[], b: number[]) => sum(a.map((v, i) => v * b[i]));
    function leafOf(cell: Cell, x: number[]): number {
      if (typeof cell === 'number') return cell;
      if ('axis' in cell) return leafOf(cell.into[dot(x, VECTORS[cell.axis]) < cell.at ? 0 : 1], x);
      const squares = cell.near.map((v) => sum(x.map((value, d) => (value - VECTORS[v][d]) ** 2)));
      return leafOf(cell.into[squares.indexOf(Math.min(...squares))], x);
    }

    /** Rows of each leaf, as the model sees them. */
    function members({ groups, cells, leaves }: (typeof PARTITIONS)[string], shard: number): Matrix[] {
      const out: Matrix[] = range(leaves).map(() => []);
      for (const row of w.sampleOf(shard)) {
        const z = w.label(row);
        const side = argmax(logitsOf(w.subs, w.y(row), z));
        const x = w.x(row);
        const leaf = leafOf(cells[{ all: 0, net: z, 'sub-net': 2 * z + side }[groups]], x);
        if (leaf >= 0) out[leaf].push(x);
      }
      return out;
    }

    const prepared = () => {
      const place = w.workplace(backend);
      place.put('vectors', { rows: nd(Float64Array.from(VECTORS.flat()), VECTORS.length, D) });
      return place;
    };
    const pivotsOf = (leaves: number) => randomMatrix(5, leaves, D, 2);

    for (const [name, partition] of Object.entries(PARTITIONS)) {
      test(`sums: ${name}`, async () => {
        const place = prepared();
        for (const shard of SHARDS) {
          const result = await run(place, { task: 'cell-sums', vectors: 'vectors', ...partition }, shard);
          const expected = members(partition, shard);
          assert.deepEqual(
            [...f64(result, 'n')],
            expected.map((rows) => rows.length),
          );
          assert.deepEqual(result.s.shape, [partition.leaves, D]);
          agrees(
            f64(result, 's'),
            expected.flatMap((rows) => range(D).map((d) => sum(rows.map((x) => x[d])))),
            2e-6,
          );
        }
      });

      for (const diagonal of [false, true])
        test(`scatter: ${name}, ${covarianceOf(diagonal)}`, async () => {
          const place = prepared();
          const pivots = pivotsOf(partition.leaves);
          place.put('pivots7', { rows: nd(Float64Array.from(pivots.flat()), partition.leaves, D) });
          const result = await run(
            place,
            { task: 'cell-scatter', vectors: 'vectors', pivots: 'pivots7', diagonal, ...partition },
            1,
          );
          const cov = covarianceOf(diagonal);
          const expected = members(partition, 1).flatMap((rows, leaf) =>
            momentSums(
              rows.map((x) => x.map((v, d) => v - pivots[leaf][d])),
              cov,
            ),
          );
          assert.deepEqual(result.T.shape, [partition.leaves, statisticsLength(D, cov)]);
          agrees(f64(result, 'T'), expected, 2e-6);
        });

      test(`histogram: ${name}`, async () => {
        const place = prepared();
        const axes = randomMatrix(8, partition.leaves, D);
        const centre = range(partition.leaves).map((leaf) => leaf - 1);
        const sd = range(partition.leaves).map((leaf) => (leaf === 1 ? 0 : 3 + leaf));
        place.put('axes', {
          rows: nd(Float64Array.from(axes.flat()), partition.leaves, D),
          centre: nd(Float64Array.from(centre)),
          sd: nd(Float64Array.from(sd)),
        });
        const task = { task: 'cell-histogram', vectors: 'vectors', axes: 'axes', ...partition } as const;
        const { counts } = await run(place, task, 0);
        assert.deepEqual(counts.shape, [partition.leaves, 1024]);
        members(partition, 0).forEach((rows, leaf) => {
          const own = counts.data.subarray(leaf * 1024, (leaf + 1) * 1024);
          const bins = rows.map((x) => binOf(dot(x, axes[leaf]), centre[leaf], sd[leaf]));
          assert.equal(sum(own), rows.length);
          // A row at the edge of a bin may fall to either side by rounding: cumulated counts differ by one at most.
          let seen = 0;
          own.forEach((count, bin) => {
            seen += count;
            const below = bins.filter((b) => b <= bin).length;
            assert.ok(Math.abs(seen - below) <= 1, `leaf ${leaf}, bin ${bin}: ${seen}, not ${below}`);
          });
        });
      });
    }
  });

  describe(`full-pass on ${backend.identity}`, () => {
    const task = (change: Partial<TaskOf<'full-pass'>> = {}): TaskOf<'full-pass'> => ({
      task: 'full-pass',
      diagonal: false,
      soft: true,
      silhouette: 0.2,
      ...change,
    });

    for (const diagonal of [false, true])
      test(`labels, soft labels, T and silhouette rows of every row, ${covarianceOf(diagonal)}`, async () => {
        const place = w.workplace(backend);
        for (const shard of SHARDS) {
          const result = await run(place, task({ diagonal }), shard);
          const rows = w.rowsOf(shard);
          const z = rows.map((row) => w.label(row));
          assert.ok(result.labels.data instanceof Uint8Array);
          assert.deepEqual([...result.labels.data], z);
          assert.deepEqual(result.soft.shape, [rows.length, 3]);
          close(
            take(result, 'soft', 'float32'),
            rows.flatMap((row) => softmax(logitsOf(w.net, w.y(row)))),
            2e-5,
          );
          const cov = covarianceOf(diagonal);
          const T = range(3).flatMap((k) =>
            momentSums(
              rows.filter((_, i) => z[i] === k).map((row) => w.x(row)),
              cov,
            ),
          );
          assert.deepEqual(result.T.shape, [3, statisticsLength(D, cov)]);
          agrees(f64(result, 'T'), T, 2e-6);
          const chosen = rows.filter((row) => priority(SEED)(row) < 0.2);
          assert.ok(chosen.length > 5);
          assert.deepEqual(result.seen.shape, [chosen.length, D]);
          agrees(
            take(result, 'seen', 'float32'),
            chosen.flatMap((row) => w.x(row)),
            5e-6,
          );
          assert.deepEqual(
            [...take(result, 'seenLabels', 'int32')],
            chosen.map((row) => w.label(row)),
          );
        }
      });

    test('units of some blocks add up to the shard, bit by bit but for T', async () => {
      const place = w.workplace(backend);
      const { to } = w.unit(0);
      const whole = await run(place, task());
      const parts: Tensors[] = [];
      for (const [from, end] of [
        [0, 2],
        [2, 2],
        [2, to],
      ])
        parts.push(await runTask(place.context, task(), { shard: 0, from, to: end }));
      for (const name of ['labels', 'soft', 'seen', 'seenLabels']) {
        const found = parts.flatMap((part) => [...part[name].data] as number[]);
        const expected = [...whole[name].data] as number[];
        if (byRowInAnyBatch(backend)) assert.deepEqual(found, expected, name);
        else agrees(found, expected, 1e-6, name);
      }
      agrees(
        f64(whole, 'T').map((_, i) => sum(parts.map((part) => f64(part, 'T')[i]))),
        f64(whole, 'T'),
        1e-14,
      );
    });

    test('no responsibilities unless asked for, no silhouette rows at zero', async () => {
      const result = await run(w.workplace(backend), task({ soft: false, silhouette: 0 }));
      assert.deepEqual(Object.keys(result).sort(), ['T', 'labels', 'seen', 'seenLabels']);
      assert.deepEqual([result.seen.shape, result.seenLabels.data.length], [[0, D], 0]);
    });

    test('a shard of several forward passes', async () => {
      const large = world({ n: 9000 });
      const rows = large.rowsOf(1);
      assert.ok(rows.length > 2 * 1024);
      const place = large.workplace(backend);
      const result = await runTask(place.context, task({ silhouette: 0.02 }), large.unit(1));
      assert.deepEqual(
        [...result.labels.data],
        rows.map((row) => large.label(row)),
      );
      const soft = rows.flatMap((row) => softmax(logitsOf(large.net, large.y(row))));
      close(take(result, 'soft', 'float32'), soft, 2e-5);
      const seen = rows.filter((row) => priority(SEED)(row) < 0.02);
      const labels = seen.map((row) => large.label(row));
      assert.deepEqual([...take(result, 'seenLabels', 'int32')], labels);
      const x = seen.flatMap((row) => large.x(row));
      agrees(take(result, 'seen', 'float32'), x, 5e-6);
    });

    test('wider labels for more clusters', async () => {
      const many = world({ k: 300 });
      const { labels } = await runTask(
        many.workplace(backend).context,
        task({ soft: false, diagonal: true }),
        many.unit(0),
      );
      assert.ok(labels.data instanceof Uint16Array);
      assert.deepEqual(
        [...labels.data],
        many.rowsOf(0).map((row) => many.label(row)),
      );
      assert.ok(labels.data.some((z) => z > 255));
    });
  });

  describe(`seed-distances on ${backend.identity}`, () => {
    const CENTRES = [
      [0, 0, 0],
      [4, -5, 0.1],
    ]; // of the blobs, about
    const prepared = (centres: Matrix) => {
      const place = w.workplace(backend);
      place.put('centres', { rows: nd(Float64Array.from([...centres, [0, 0, 0]].flat())) });
      return place;
    };

    test('the total D² weight, and a row drawn by it', async () => {
      for (const count of [0, 1, 2]) {
        const centres = CENTRES.slice(0, count);
        const place = prepared(centres);
        for (const shard of SHARDS) {
          const task: Task = { task: 'seed-distances', centres: count, draw: count };
          const result = await run(place, task, shard);
          const members = w.sampleOf(shard);
          const weights = members.map((row) =>
            count ? Math.min(...centres.map((c) => sum(w.x(row).map((v, d) => (v - c[d]) ** 2)))) : 1,
          );
          close(f64(result, 'weight'), [sum(weights)], 1e-6);
          const uniform = generator(SEED, 'k-means++', count, shard).uniform();
          close(f64(result, 'row'), w.x(members[chooseByWeight(weights, uniform)]), 1e-5);
        }
      }
    });

    test('a shard without a sample weighs nothing', async () => {
      const place = prepared(CENTRES);
      place.put('transform', transformState(w.transform, 0));
      const result = await run(place, { task: 'seed-distances', centres: 2, draw: 2 });
      assert.deepEqual([...f64(result, 'weight')], [0]);
      assert.equal(f64(result, 'row').length, D);
    });
  });
}

describe('purity', () => {
  const partition = { groups: 'sub-net', cells: range(6), leaves: 6, vectors: 'vectors' } as const;
  const TASKS: Task[] = [
    { task: 'moments', normalize: false, diagonal: false, sample: w.below },
    { task: 'seed-distances', centres: 1, draw: 1 },
    clusterTask(),
    { task: 'statistics', diagonal: false, block: 32 },
    { task: 'statistics', diagonal: true, block: 32 },
    { task: 'statistics', diagonal: false, block: 4096 },
    { task: 'pivoted-statistics', diagonal: false },
    { task: 'pivoted-statistics', diagonal: true },
    subTask(),
    { task: 'cell-sums', ...partition },
    { task: 'cell-scatter', ...partition, diagonal: false, pivots: 'pivots' },
    { task: 'cell-histogram', ...partition, axes: 'axes' },
    { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.3 },
  ];
  const joined = (backend: Backend, place = w.workplace(backend)) => {
    place.put('origin', { row: nd(new Float64Array(D)) });
    place.put('centres', { rows: nd(Float64Array.of(1, 2, 0)) });
    place.put('e-step', eStepState('product', 'full'));
    place.put('parts', centreState());
    place.put('vectors', { rows: nd(new Float64Array(D)) });
    place.put('pivots', { rows: nd(new Float64Array(6 * D)) });
    place.put('means', { rows: nd(Float64Array.from(randomMatrix(9, 3, D).flat()), 3, D) });
    const axes = randomMatrix(8, 6, D).flat();
    const [centre, sd] = [new Float64Array(6), new Float64Array(6).fill(9)];
    place.put('axes', { rows: nd(Float64Array.from(axes)), centre: nd(centre), sd: nd(sd) });
    return place;
  };
  type Results = Record<string, ReturnType<typeof bytes>>;
  async function results(shards: number[], tasks: Task[], placeFor: () => Workplace): Promise<Results> {
    const found: [string, ReturnType<typeof bytes>][] = [];
    for (const shard of shards)
      for (const task of tasks)
        found.push([`${JSON.stringify(task)} ${shard}`, bytes(await run(placeFor(), task, shard))]);
    return Object.fromEntries(found);
  }

  for (const backend of backends)
    test(`a result does not depend on what the worker did before, on ${backend.identity}`, async () => {
      const fresh = await results(SHARDS, TASKS, () => joined(backend));
      for (const [shards, tasks] of [
        [SHARDS, TASKS],
        [[2, 0, 1], TASKS],
        [[1, 2, 0], TASKS.toReversed()],
      ]) {
        const place = joined(backend);
        const here = await results(shards as number[], tasks as Task[], () => place);
        for (const [what, expected] of Object.entries(fresh)) assert.deepEqual(here[what], expected, what);
      }
    });

  test('nor on the states that it had before', async () => {
    const fresh = await results(SHARDS, TASKS, () => joined(wasm));
    const place = w.workplace(wasm);
    const other = world({ hidden: [5, 4], k: 2 });
    place.put('transform', transformState(transformFor('min-max', w.raw, D), 0.9));
    place.put('net', weightsOf(other.net));
    place.put('subs', weightsOf(other.subs));
    for (const shard of SHARDS) {
      await run(place, { task: 'statistics', diagonal: false, block: 32 }, shard);
      await run(place, { task: 'statistics', diagonal: false, block: 4096 }, shard);
      await place.context.labels(shard);
    }
    place.put('transform', transformState(w.transform, w.below));
    place.put('net', weightsOf(w.net));
    place.put('subs', weightsOf(w.subs));
    const here = await results(SHARDS, TASKS, () => joined(wasm, place));
    for (const [what, expected] of Object.entries(fresh)) assert.deepEqual(here[what], expected, what);
  });

  test('nor on how rows arrive', async () => {
    const fresh = await results(SHARDS, TASKS, () => joined(wasm));
    const later: ReadBlocks = async function* (blocks) {
      for await (const found of memoryBlocks(w.raw, D)(blocks)) {
        await new Promise(setImmediate);
        yield found;
      }
    };
    const place = joined(wasm);
    const slow = { ...place, context: createContext(wasm, place.context.states, later, w.layout) };
    assert.deepEqual(await results(SHARDS, TASKS, () => slow), fresh);
  });

  test('the blocks of a layout go to shards once each', () => {
    const dealt = SHARDS.flatMap((shard) => w.rowsOf(shard)).sort((a, b) => a - b);
    assert.deepEqual(dealt, range(300));
    assert.equal(allBlocks(w.layout).at(-1)!.count, 300 % w.layout.blockRows);
  });
});
