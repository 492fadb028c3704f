import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { distanceFrom, reachOf } from '../../model/description/distances.ts';
import { placesOnMap } from '../../model/graph/map-net.ts';
import { cholesky, invertLower } from '../../model/linalg.ts';
import { priority } from '../../model/random.ts';
import { ROW_NUMBERS } from '../../model/row-columns.ts';
import { statisticsLength } from '../../model/statistics.ts';
import { mapFrom } from '../../proto/model-tensors.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import { runTask } from '../../tasks/compute/table.ts';
import type { TaskOf } from '../../tasks/table.ts';
import type { ReadBlocks } from '../../worker/blocks.ts';
import type { Backend } from '../../worker/compute/backends/backend.ts';
import { close } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import {
  agrees,
  blobMixture,
  centresState,
  contextOf,
  D,
  logitsOf,
  mapState,
  matrixOf,
  range,
  SEED,
  softmax,
  sum,
  world,
} from '../worker/support.ts';
import { covarianceOf, densitiesOf, eStepState, f64, momentSums, run, SHARDS, w } from './support.ts';

/** TensorFlow chooses the kernel of a product by the number of rows: with AVX2 a row's last bit depends on the other rows. */
const byRowInAnyBatch = ({ identity }: Backend) => /^(wasm|cpu|tensorflow)\//.test(identity);

const noBlocks: ReadBlocks = async function* () {
  yield* [];
  throw new Error('no rows');
};

for (const backend of backends)
  describe(`full-pass on ${backend.identity}`, () => {
    const task = (change: Partial<TaskOf<'full-pass'>> = {}): TaskOf<'full-pass'> => ({
      task: 'full-pass',
      diagonal: false,
      soft: true,
      silhouette: 0.2,
      far: 0,
      ...change,
    });

    for (const diagonal of [false, true])
      test(`labels, soft labels, T and silhouette rows of every row, ${covarianceOf(diagonal)}`, async () => {
        const worker = w.newWorker(backend);
        for (const shard of SHARDS) {
          const result = await run(worker, task({ diagonal }), shard);
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

    test('places of rows on the map, those of the same net in JavaScript', async () => {
      const worker = w.newWorker(backend);
      worker.put('map', mapState());
      for (const shard of SHARDS) {
        const { map, labels } = await run(worker, task({ map: true }), shard);
        assert.deepEqual(map.shape, [labels.data.length, 2]);
        const rows = Float32Array.from(w.rowsOf(shard).flatMap((row) => [...w.y(row)]));
        close(take({ map }, 'map', 'float32'), placesOnMap(mapFrom(mapState()), rows), 1e-4);
      }
      assert.ok(!('map' in (await run(worker, task()))));
    });

    test('leaves nothing on the device where its rows do not come', async () => {
      const { states } = w.newWorker(backend).context;
      states.put('map', 1, mapState());
      const context = contextOf(backend, states, noBlocks, w.layout);
      const pass = () => runTask(context, task({ map: true }), w.unit(0));
      // The clustering net stays until it is replaced.
      await assert.rejects(pass, /no rows/);
      const live = backend.live();
      await assert.rejects(pass, /no rows/);
      assert.equal(backend.live(), live);
    });

    test('the same by the mixture, of which the net is not needed', async () => {
      const worker = w.newWorker(backend);
      const eStep = eStepState('cholesky', 'full');
      worker.put('e-step', eStep);
      worker.put('net', {});
      for (const shard of SHARDS) {
        const result = await run(worker, task({ byMixture: true }), shard);
        const rows = w.rowsOf(shard);
        const densities = rows.map((row) => densitiesOf(eStep, [...w.y(row)]));
        const z = densities.map((own) => own.indexOf(Math.max(...own)));
        assert.deepEqual([...result.labels.data], z);
        close(take(result, 'soft', 'float32'), densities.flatMap(softmax), 2e-5);
        assert.ok(rows.some((row, i) => z[i] !== w.label(row)));
      }
    });

    for (const byMixture of [false, true])
      test(`units of some blocks together equal the shard, bit for bit except T${byMixture ? ', by the mixture' : ''}`, async () => {
        const worker = w.newWorker(backend);
        worker.put('e-step', eStepState('cholesky', 'full'));
        const { to } = w.unit(0);
        const whole = await run(worker, task({ byMixture }));
        const parts: Tensors[] = [];
        for (const [from, end] of [
          [0, 2],
          [2, 2],
          [2, to],
        ])
          parts.push(await runTask(worker.context, task({ byMixture }), { shard: 0, from, to: end }));
        for (const name of ['labels', 'soft', 'seen', 'seenLabels']) {
          const actual = parts.flatMap((part) => [...part[name].data] as number[]);
          const expected = [...whole[name].data] as number[];
          if (byRowInAnyBatch(backend)) assert.deepEqual(actual, expected, name);
          else agrees(actual, expected, 1e-6, name);
        }
        agrees(
          f64(whole, 'T').map((_, i) => sum(parts.map((part) => f64(part, 'T')[i]))),
          f64(whole, 'T'),
          1e-14,
        );
      });

    test('no responsibilities unless requested, no silhouette rows at zero', async () => {
      const result = await run(w.newWorker(backend), task({ soft: false, silhouette: 0 }));
      assert.deepEqual(
        Object.keys(result).sort(),
        [
          ...['T', 'border', 'columns', 'exemplars', 'labels', 'margin', 'rival', 'seen', 'seenLabels'],
          ...ROW_NUMBERS,
        ].sort(),
      );
      assert.deepEqual([result.seen.shape, result.seenLabels.data.length], [[0, D], 0]);
    });

    for (const covariance of ['full', 'diag'] as const)
      test(`confidence, distance, sums by column and the rows to show, ${covariance}`, async () => {
        const worker = w.newWorker(backend);
        worker.put('cluster-centres', centresState(3, covariance));
        const result = await run(worker, task({ diagonal: covariance === 'diag' }), 1);
        const rows = w.rowsOf(1);
        const z = rows.map((row) => w.label(row));
        const soft = rows.map((row) => softmax(logitsOf(w.net, w.y(row))));
        const confidence = soft.map((r, i) => r[z[i]]);
        close(take(result, 'confidence', 'float32'), confidence, 2e-5);
        const { means, covariances } = blobMixture(covariance);
        const inverses = covariances.map((sigma) => {
          const full =
            covariance === 'full'
              ? sigma
              : sigma.reduce((m, v, a) => m.with(a * (D + 1), v), new Float64Array(D * D));
          return invertLower(cholesky(full, D)!, D);
        });
        const distance = rows.map((row, i) => {
          const u = w.x(row).map((x, d) => x - means[z[i]][d]);
          const white = matrixOf(inverses[z[i]], D).map((own) => sum(own.map((v, d) => v * u[d])));
          return Math.hypot(...white);
        });
        agrees(take(result, 'distance', 'float32'), distance, 2e-5);
        const raw = (row: number, d: number) => w.raw[row * D + d];
        const sums = range(3).flatMap((k) =>
          range(D).map((d) => sum(rows.filter((_, i) => z[i] === k).map((row) => raw(row, d)))),
        );
        const squares = range(D).map((d) => sum(rows.map((row) => raw(row, d) ** 2)));
        agrees(f64(result, 'columns'), [...sums, ...squares], 1e-12);
        for (const k of range(3)) {
          const own = [...rows.keys()].filter((i) => z[i] === k);
          const least = (values: ArrayLike<number>, most = 10) =>
            own.toSorted((a, b) => values[a] - values[b]).slice(0, most);
          const list = (name: string) =>
            [...take(result, name, 'int32').subarray(10 * k, 10 * (k + 1))].filter((place) => place >= 0);
          assert.deepEqual(list('exemplars'), least(take(result, 'distance', 'float32')));
          const margins = soft.map((r) => r.toSorted((a, b) => b - a)).map(([a, b]) => a - b);
          const border = list('border');
          assert.equal(border.length, Math.min(10, own.length));
          for (const [i, place] of border.entries()) {
            assert.equal(z[place], k);
            assert.ok(Math.abs(margins[place] - margins[least(margins)[i]]) < 1e-4);
            const others = soft[place].map((r, c) => (c === k ? -1 : r));
            assert.equal(take(result, 'rival', 'int32')[10 * k + i], others.indexOf(Math.max(...others)));
            assert.ok(Math.abs(take(result, 'margin', 'float32')[10 * k + i] - margins[place]) < 1e-4);
          }
        }
      });

    test('rows that are far from all clusters: those of the least priorities, and their number', async () => {
      const worker = w.newWorker(backend);
      // Not from where distances are measured: one cluster has a wide precision, so that more of its rows are far.
      const { rows: bounds } = centresState(3);
      const values = take({ bounds }, 'bounds', 'float32').slice();
      const width = values.length / 3;
      const root = (D * (D + 1)) / 2;
      for (let k = 0; k < 3; k++) for (let p = 0; p < root; p++) values[k * width + D + p] *= [9, 6, 4][k];
      worker.put('far-bounds', { rows: nd(values, 3, width) });
      const rows = w.rowsOf(1);
      const centres = { k: 3, d: D, covariance: 'full' as const, values };
      const reach = reachOf(D);
      const isFar = (i: number) => range(3).every((k) => distanceFrom(centres, k, w.x(rows[i])) > reach);
      const far = [...rows.keys()].filter(isFar);
      assert.ok(far.length > 5 && far.length < rows.length, `${far.length}`);
      const priorityOf = priority(SEED);
      const first = far.toSorted((a, b) => priorityOf(rows[a]) - priorityOf(rows[b]));
      for (const most of [3, 1000]) {
        const result = await run(worker, task({ far: most }), 1);
        assert.equal(result.allFar.data[0], far.length);
        assert.deepEqual([...take(result, 'far', 'int32')], first.slice(0, most));
        const x = first.slice(0, most).flatMap((i) => w.x(rows[i]));
        agrees(take(result, 'farRows', 'float32'), x, 5e-6);
      }
    });

    test('a shard with several forward passes', async () => {
      const large = world({ n: 9000 });
      const rows = large.rowsOf(1);
      assert.ok(rows.length > 2 * 1024);
      const worker = large.newWorker(backend);
      const result = await runTask(worker.context, task({ silhouette: 0.02 }), large.unit(1));
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
        many.newWorker(backend).context,
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
