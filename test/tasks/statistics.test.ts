import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statisticsLength } from '../../model/statistics.ts';
import { nd } from '../../proto/tensors.ts';
import { backends } from '../worker/present.ts';
import { agrees, D, logitsOf, randomMatrix, range, softmax } from '../worker/support.ts';
import { covarianceOf, densitiesOf, eStepState, f64, momentSums, run, SHARDS, w } from './support.ts';

for (const backend of backends)
  describe(`statistics on ${backend.identity}`, () => {
    for (const diagonal of [false, true])
      for (const block of [7, 4096])
        test(`soft T, and the labels, ${covarianceOf(diagonal)}, blocks of ${block}`, async () => {
          const worker = w.newWorker(backend);
          for (const shard of SHARDS) {
            const result = await run(worker, { task: 'statistics', diagonal, block }, shard);
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
            assert.deepEqual([...(await worker.context.labels(shard))], z);
          }
        });

    for (const [diagonal, least] of [
      [false, 0],
      [true, 0],
      [false, 0.2],
    ] as const)
      test(`the same about other points, in float64 from the rows up, ${covarianceOf(diagonal)}, from responsibilities of ${least} on`, async () => {
        const worker = w.newWorker(backend);
        const means = randomMatrix(9, 3, D);
        worker.put('means', { rows: nd(Float64Array.from(means.flat()), 3, D) });
        for (const shard of SHARDS) {
          const result = await run(worker, { task: 'pivoted-statistics', diagonal, least }, shard);
          const members = w.sampleOf(shard);
          const r = members.map((row) => softmax(logitsOf(w.net, w.y(row))));
          const p = statisticsLength(D, covarianceOf(diagonal));
          assert.deepEqual(result.T.shape, [3, p]);
          for (const k of range(3)) {
            const T = momentSums(
              members.map((row) => [...w.x(row)].map((value, d) => value - means[k][d])),
              covarianceOf(diagonal),
              r.map((row) => (row[k] < least ? 0 : row[k])),
            );
            agrees(f64(result, 'T').subarray(k * p, (k + 1) * p), T, 5e-6, `cluster ${k}`);
          }
        }
      });

    test('soft T, labels and groups by the mixture', async () => {
      const worker = w.newWorker(backend);
      const eStep = eStepState('cholesky', 'full');
      worker.put('e-step', eStep);
      worker.put('means', { rows: nd(new Float64Array(3 * D), 3, D) });
      worker.put('vectors', { rows: nd(new Float64Array(D), 1, D) });
      const densities = (y: number[]) => densitiesOf(eStep, y);
      for (const shard of SHARDS) {
        const members = w.sampleOf(shard);
        const r = members.map((row) => softmax(densities([...w.y(row)])));
        const z = r.map((row) => row.indexOf(Math.max(...row)));
        const task = { task: 'pivoted-statistics', diagonal: false, least: 0, byMixture: true } as const;
        const T = f64(await run(worker, task, shard), 'T');
        for (const k of range(3)) {
          const expected = momentSums(
            members.map((row) => [...w.x(row)]),
            'full',
            r.map((row) => row[k]),
          );
          agrees(T.subarray(k * (T.length / 3), (k + 1) * (T.length / 3)), expected, 5e-6, `cluster ${k}`);
        }
        const cells = { groups: 'net', cells: [0, 1, 2], leaves: 3, vectors: 'vectors' } as const;
        const groups = { ...cells, cells: [...cells.cells] };
        const countsOf = (labels: number[]) =>
          range(3).map((k) => labels.filter((label) => label === k).length);
        const byNet = members.map((row) => w.label(row));
        for (const [labels, byMixture] of [
          [z, true],
          [byNet, false],
        ] as const) {
          const result = await run(worker, { task: 'cell-sums', ...groups, byMixture }, shard);
          assert.deepEqual([...f64(result, 'n')], countsOf(labels));
        }
        const drawing = (draw: number) =>
          run(worker, { task: 'sample-labels', every: 1, byMixture: true, draw }, shard);
        const draws = async (draw: number) => [...(await drawing(draw)).labels.data] as number[];
        const doubt = f64(await drawing(0), 'doubt');
        for (const k of doubt.keys()) {
          const expected = r.reduce((sum, { [k]: own }) => sum - (own > 0 ? own * Math.log(own) : 0), 0);
          assert.ok(Math.abs(doubt[k] - expected) < 1e-4 * r.length, `${doubt[k]} of ${expected}`);
        }
        const seeds = range(200);
        const drawn = await Promise.all(seeds.map(draws));
        assert.deepEqual(await draws(0), drawn[0]);
        for (const [i, row] of r.entries())
          for (const [k, share] of row.entries()) {
            const found = drawn.filter((labels) => labels[i] === k).length / seeds.length;
            assert.ok(Math.abs(found - share) < 5 * Math.sqrt(0.25 / seeds.length), `${found} of ${share}`);
          }
      }
      // The nets and mixture of the world do not agree, or this would show nothing.
      const all = SHARDS.flatMap((shard) => w.sampleOf(shard));
      assert.ok(
        all.some(
          (row) => w.label(row) !== densities([...w.y(row)]).indexOf(Math.max(...densities([...w.y(row)]))),
        ),
      );
    });
  });
