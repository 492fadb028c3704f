import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator, shuffledPrefix } from '../../model/random.ts';
import type { TaskOf } from '../../tasks/table.ts';
import type { Backend } from '../../worker/compute/backends/backend.ts';
import { readAll, trainStep } from '../../worker/compute/mlp.ts';
import { close, logDensities } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import {
  adamStateOf,
  agrees,
  blobMixture,
  bytes,
  matrixOf,
  range,
  SEED,
  softmax,
  sum,
  transformState,
  weightsOf,
} from '../worker/support.ts';
import { addsNothing, clusterTask, covarianceOf, eStepState, f64, run, w } from './support.ts';

/** Whether a row's result is independent of the other rows: WebGPU chooses the kernel of a product by its shape. */
const byRow = ({ identity }: Backend) => !identity.startsWith('webgpu/');

for (const backend of backends)
  describe(`cluster-steps on ${backend.identity}`, () => {
    /** The same steps one by one. */
    async function byHand(task: TaskOf<'cluster-steps'>, shard: number) {
      const { context } = w.newWorker(backend);
      const { n, scaled } = await context.sample(shard);
      const batch = Math.min(task.batch, n);
      const drawn = shuffledPrefix(generator(SEED, 'batches', task.epoch, shard), n, task.steps * batch);
      const copy = (moment?: 'first' | 'second') =>
        context.states.layers('net', moment).map(({ data, shape }) => backend.upload(data, shape));
      const net = { params: copy(), first: copy('first'), second: copy('second') };
      const [a, b, c] = Object.values(eStepState(task.form, covarianceOf(task.diagonal))).map(
        ({ data, shape }) => backend.upload(data as Float32Array, shape),
      );
      let loss = 0;
      for (let i = 0; i < task.steps; i++) {
        const x = backend.gather(scaled, drawn.slice(i * batch, (i + 1) * batch));
        const density =
          task.form === 'product'
            ? backend.quadraticForm(x, a, task.diagonal)
            : backend.whitenedDensity(backend.affine(x, a, b, false), c);
        const own = { x, target: backend.softmaxRows(density, 1e-5) };
        const lost = trainStep(backend, net, own, 'kl', task.rate, task.done + i + 1);
        loss += (await backend.read(lost))[0] / task.steps;
      }
      const read = (of: keyof typeof net) => readAll(backend, net[of]);
      return { loss, params: await read('params'), first: await read('first'), second: await read('second') };
    }

    const cases: Partial<TaskOf<'cluster-steps'>>[] = [
      {},
      { form: 'cholesky' },
      { diagonal: true },
      { form: 'cholesky', diagonal: true },
      { steps: 1, batch: 40, epoch: 9, done: 0 },
    ];
    const withTarget = (task: TaskOf<'cluster-steps'>, on = backend) => {
      const worker = w.newWorker(on);
      worker.put('e-step', eStepState(task.form, covarianceOf(task.diagonal)));
      return worker;
    };
    for (const change of cases)
      test(`the steps one by one${backend.training ? '' : ', bit by bit'}: ${JSON.stringify(change)}`, async () => {
        const task = clusterTask(change);
        for (const shard of [0, 2]) {
          const result = await run(withTarget(task), task, shard);
          const { loss, ...expected } = await byHand(task, shard);
          close(f64(result, 'loss')[0], loss, 1e-6);
          assert.deepEqual([...f64(result, 'count')], [1]);
          assert.deepEqual([...f64(result, 'shards')], [1]);
          assert.deepEqual(
            Object.keys(result).sort(),
            [...Object.keys(expected), 'count', 'loss', 'shards'].sort(),
          );
          // Adam divides by the gradient's size, which magnifies differences of small ones.
          for (const [name, values] of Object.entries(expected))
            if (!byRow(backend)) agrees(f64(result, name), values, 2e-3, name);
            // A kernel for entire steps rounds differently from single operations.
            else if (backend.training) close(f64(result, name), values, 5e-5);
            else assert.deepEqual(f64(result, name), Float64Array.from(values), name);
        }
      });

    test('the target is the smoothed E-step of the mixture', async () => {
      // One step from zero weights: the last bias has the gradient mean(1/K − r^E), whose sum Adam's moments keep.
      const task = clusterTask({ steps: 1, average: 'gradients', batch: 1000 });
      const worker = withTarget(task);
      const zeros = w.net.params.map((values) => new Float32Array(values.length));
      worker.put('net', weightsOf(w.net, zeros));
      const result = await run(worker, task, 1);
      const x = w.sampleOf(1).map((row) => w.x(row));
      const logs = logDensities(blobMixture('full'), Float64Array.from(x.flat()));
      const r = matrixOf(logs, 3).map((row) => softmax(row).map((v) => (v + 1e-5) / (1 + 3e-5)));
      const expected = range(3).map((k) => 1 / 3 - sum(r.map((row) => row[k])) / x.length);
      close(f64(result, 'gradients').slice(-3), expected, 1e-5);
    });

    test('mean gradients of the first batch, and no step', async () => {
      const task = clusterTask({ average: 'gradients', done: 0 });
      const result = await run(withTarget(task), task);
      assert.deepEqual(Object.keys(result).sort(), ['count', 'gradients', 'loss', 'shards']);
      // One Adam step on them from no moments is the first of the local steps.
      const worker = withTarget(task);
      const zeros = w.net.params.map((values) => new Float32Array(values.length));
      worker.put('net-moments', adamStateOf({ ...w.net, first: zeros, second: zeros }));
      const stepped = await run(worker, clusterTask({ steps: 1, done: 0 }));
      // Up to rounding: TensorFlow computes 1 − 0.9 in float32.
      agrees(
        f64(stepped, 'first'),
        f64(result, 'gradients').map((g) => 0.1 * g),
        1e-6,
      );
    });

    test('a shard smaller than its batches uses rows again; one smaller than a batch uses all its rows', async () => {
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

    test('every batch is complete, and has new rows as long as there are any', async () => {
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
        // Each step slices its rows and their targets in the same way.
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

    test('a shard without a sample returns zeros', async () => {
      for (const average of ['weights', 'gradients'] as const) {
        const worker = withTarget(clusterTask());
        const full = await run(worker, clusterTask({ average }));
        worker.put('transform', transformState(w.transform, 0));
        addsNothing(await run(worker, clusterTask({ average })), full);
      }
    });
  });
