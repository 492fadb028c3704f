import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { areHalfLinks, areSides } from '../../../../coordinator/training/graph/plausible.ts';
import { nd } from '../../../../proto/tensors.ts';
import { matrixOf } from '../../../model/graph/support.ts';
import { close } from '../../../model/support.ts';
import { AXES } from '../../graph-states.ts';
import { backends } from '../../present.ts';
import { argmax, D, logitsOf, range, sum, transformState } from '../../support.ts';
import { CUTS, joined, K, N, newWorker, of, run, runAll, SHARDS, summed, w } from './support.ts';

const CUTS_OF_EACH = AXES + 1;
const [first] = backends;
const { label } = of;
/** Weights between rows of the same cluster. */
const INNER = matrixOf(of.graph).map((row, i) => row.map((w, j) => (label[i] === label[j] ? w : 0)));

/** Σ d′(1 − q) and Σ d′q of each cluster and cut. */
const volumesBy = (side: ArrayLike<number>) =>
  range(K * CUTS_OF_EACH * 2).map((p) => {
    const [cluster, cut, half] = [Math.floor(p / 2 / CUTS_OF_EACH), Math.floor(p / 2) % CUTS_OF_EACH, p % 2];
    const own = range(N).filter((i) => label[i] === cluster);
    return sum(
      own.map((i) => {
        const q = side[i * CUTS_OF_EACH + cut];
        return sum(INNER[i]) * (half ? q : 1 - q);
      }),
    );
  });

const rowsOf = (shard: number) => ({ from: of.starts[shard], to: of.starts[shard + 1] });

for (const backend of backends)
  describe(`halves of clusters on ${backend.identity}`, () => {
    test('start from the sub-net of the row’s cluster by the net, and from thresholds along axes of its cluster', async () => {
      const results = await runAll(newWorker(backend), { task: 'half-start' });
      const { axes, threshold } = of.states['half-axes'];
      const expected = SHARDS.flatMap((shard) =>
        w.sampleOf(shard).flatMap((row, i) => {
          const own = label[of.starts[shard] + i];
          const along = range(AXES).map((a) => {
            const axis = axes.data.subarray((own * AXES + a) * D, (own * AXES + a + 1) * D);
            const projection = sum(w.x(row).map((value, d) => value * axis[d]));
            return projection > threshold.data[own * AXES + a] ? 1 : 0;
          });
          return [argmax(logitsOf(w.subs, w.y(row), w.label(row))), ...along];
        }),
      );
      for (const side of [0, 1]) assert.ok(expected.includes(side));
      assert.deepEqual(joined(results, 'side'), expected);
      close(summed(results, 'volume'), volumesBy(expected), 1e-12);
      for (const shard of SHARDS) {
        const { from, to } = rowsOf(shard);
        assert.deepEqual(results[shard].side.shape, [to - from, CUTS_OF_EACH]);
        assert.ok(areSides(results[shard], CUTS_OF_EACH, of.total), 'a coordinator takes them');
      }
    });

    test('of a shard without a sample add nothing', async () => {
      const worker = newWorker(backend, CUTS[1]);
      worker.put('transform', transformState(w.transform, 0));
      for (const task of [
        { task: 'half-start' },
        { task: 'half-sweep', coupling: 1 },
        { task: 'half-links' },
      ] as const)
        for (const { data } of Object.values(await run(worker, task)))
          assert.ok(data.every((value: number) => value === 0));
    });
  });

describe('halves of clusters', () => {
  const sweep = { task: 'half-sweep', coupling: 1.5 } as const;

  test('move by the formula', async () => {
    const results = await runAll(newWorker(first), sweep);
    const volume = volumesBy(of.side);
    const expected = range(N).flatMap((i) =>
      range(CUTS_OF_EACH).map((cut) => {
        const q = (j: number) => of.side[j * CUTS_OF_EACH + cut];
        const [w0, w1] = [0, 1].map((half) => sum(INNER[i].map((w, j) => w * (half ? q(j) : 1 - q(j)))));
        const at = (label[i] * CUTS_OF_EACH + cut) * 2;
        const balance = (volume[at + 1] - volume[at]) / (volume[at] + volume[at + 1]);
        return 1 / (1 + Math.exp(-sweep.coupling * (w1 - w0 - (w0 + w1) * balance)));
      }),
    );
    close(joined(results, 'side'), expected, 1e-6);
    close(summed(results, 'volume'), volumesBy(joined(results, 'side')), 1e-12);
    for (const result of results)
      assert.ok(areSides(result, CUTS_OF_EACH, of.total), 'a coordinator takes them');
  });

  test('have their rows, volumes and the weight between them in the sums over shards', async () => {
    const results = await runAll(newWorker(first), { task: 'half-links' });
    const found = Object.fromEntries(
      ['rows', 'volume', 'between'].map((name) => [name, summed(results, name)]),
    );
    for (const cluster of range(K))
      for (const cut of range(CUTS_OF_EACH)) {
        const [zero, one] = [false, true].map((half) =>
          range(N).filter((i) => label[i] === cluster && of.side[i * CUTS_OF_EACH + cut] > 0.5 === half),
        );
        const at = cluster * CUTS_OF_EACH + cut;
        assert.deepEqual(found.rows.slice(2 * at, 2 * at + 2), [zero.length, one.length]);
        close(
          found.volume.slice(2 * at, 2 * at + 2),
          [zero, one].map((rows) => sum(rows.map((i) => of.degree[i]))),
          1e-12,
        );
        close(found.between[at], sum(zero.flatMap((i) => one.map((j) => INNER[i][j]))), 1e-12);
      }
    for (const shard of SHARDS)
      assert.ok(
        areHalfLinks(results[shard], CUTS_OF_EACH, rowsOf(shard), of.degree),
        'a coordinator takes them',
      );
  });

  test('do not depend on how rows are cut', async () => {
    const swept = await runAll(newWorker(first), sweep);
    const links = await runAll(newWorker(first), { task: 'half-links' });
    for (const points of CUTS) {
      const worker = newWorker(first, points);
      const results = await runAll(worker, sweep);
      assert.deepEqual(joined(results, 'side'), joined(swept, 'side'));
      close(summed(results, 'volume'), summed(swept, 'volume'), 1e-12);
      const others = await runAll(worker, { task: 'half-links' });
      for (const name of ['rows', 'volume', 'between'])
        close(summed(others, name), summed(links, name), 1e-12);
    }
  });

  test('are as many as the state has', async () => {
    const cuts = 1;
    const side = Float32Array.from({ length: N }, (_, i) => of.side[i * CUTS_OF_EACH]);
    const volume = volumesBy(of.side).filter((_, p) => Math.floor(p / 2) % CUTS_OF_EACH === 0);
    const halves = { side: nd(side, N, cuts), volume: nd(Float64Array.from(volume), K, cuts, 2) };
    const results = await runAll(newWorker(first, { halves }), sweep);
    const all = joined(await runAll(newWorker(first), sweep), 'side');
    assert.deepEqual(
      joined(results, 'side'),
      all.filter((_, p) => p % CUTS_OF_EACH === 0),
    );
  });
});
