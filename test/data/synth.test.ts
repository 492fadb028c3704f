import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { UserError } from '../../base/user-error.ts';
import { readNpy } from '../../data/npy.ts';
import {
  clusterPicker,
  covariance,
  drawChunk,
  posteriorMode,
  randomMixture,
  SEPARATION,
  type SyntheticMixture,
  separation,
  separationBounds,
  synthesize,
} from '../../data/synth.ts';
import { forAll } from '../model/support.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-synth-'));
after(() => rmSync(folder, { recursive: true }));
let made = 0;
const fresh = () => {
  const inside = join(folder, String(made++));
  mkdirSync(inside);
  return { inside, out: join(inside, 'x.npy'), labels: join(inside, 'y.npy') };
};

const small = { clusters: 6, dim: 3, points: 3000, seed: 5n };
const sizes = fc.record({
  clusters: fc.integer({ min: 1, max: 12 }),
  dim: fc.integer({ min: 2, max: 6 }),
  seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
});
const matrix = (truth: SyntheticMixture, k: number) =>
  Matrix.from1DArray(truth.dim, truth.dim, covariance(truth, k));
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('mixture', () => {
  test('weights sum to 1, standard deviations are in [½, 2], clusters are separated', () => {
    forAll([sizes], 60, ({ clusters, dim, seed }) => {
      const truth = randomMixture(clusters, dim, seed);
      assert.ok(Math.abs(truth.weights.reduce((a, b) => a + b) - 1) < 1e-12);
      assert.ok(truth.weights.every((weight) => weight > 0));
      for (const a of range(clusters)) {
        const variances = new EigenvalueDecomposition(matrix(truth, a), { assumeSymmetric: true });
        for (const v of variances.realEigenvalues) assert.ok(v > 0.25 - 1e-9 && v < 4 + 1e-9);
        for (const b of range(a)) assert.ok(separation(truth, a, b) >= SEPARATION);
      }
    });
  });

  test('the bounds of a separation contain it', () => {
    forAll([sizes], 60, ({ clusters, dim, seed }) => {
      const truth = randomMixture(clusters, dim, seed);
      for (const a of range(clusters))
        for (const b of range(a)) {
          const [least, most] = separationBounds(truth, a, b);
          const exact = separation(truth, a, b);
          assert.ok(least <= exact * (1 + 1e-9) && exact <= most * (1 + 1e-9), `${least} ${exact} ${most}`);
        }
    });
  });

  test('crowded means have not changed', () => {
    // 1,000 clusters in 4 dimensions: most attempts are rejected, many of them by the exact separation alone.
    const { means, factors, weights } = randomMixture(1000, 4, 1n);
    const hash = createHash('sha256');
    for (const part of [weights, means, factors]) hash.update(part);
    assert.equal(hash.digest('hex').slice(0, 16), 'fa2a15ce0492cf47');
  });

  test('throws if the clusters cannot be placed, and for invalid sizes', () => {
    assert.throws(() => randomMixture(40, 1, 0n), { name: 'UserError', message: /--clusters.*--dim/ });
    for (const bad of [0, -1, 1.5, Number.NaN, 1e9]) {
      assert.throws(() => randomMixture(bad, 2, 0n), { name: 'UserError', message: /--clusters/ });
      assert.throws(() => randomMixture(2, bad, 0n), { name: 'UserError', message: /--dim/ });
    }
    assert.throws(() => randomMixture(1000, 1000, 0n), { name: 'UserError', message: /too large/ });
  });
});

describe('drawChunk', () => {
  test('clusters are picked as by subtracting one weight after another, also at boundaries', () => {
    for (const clusters of [1, 2, 7, 1000]) {
      const { weights } = randomMixture(clusters, 32, 4n);
      const pick = clusterPicker(weights);
      const ends = [...weights].map((_, k) => weights.subarray(0, k + 1).reduce((a, b) => a + b));
      const close = ends.flatMap((end) => [end, end * (1 - 2 ** -53), end + 2 ** -53]);
      for (const u of [0, 1 - 2 ** -53, ...range(1000).map((i) => i / 1000), ...close]) {
        let k = 0;
        for (let rest = u; k < clusters - 1 && rest >= weights[k]; k++) rest -= weights[k];
        assert.equal(pick(u), k);
      }
    }
  });
});

describe('posteriorMode', () => {
  test('is the cluster with the largest log π + log N, for any guess', () => {
    forAll([sizes], 40, ({ clusters, dim, seed }) => {
      const truth = randomMixture(clusters, dim, seed);
      const mode = posteriorMode(truth);
      const parts = range(clusters).map((k) => {
        const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix(truth, k), {
          assumeSymmetric: true,
        });
        const logDet = realEigenvalues.reduce((sum, v) => sum + Math.log(v), 0);
        return { realEigenvalues, axes: eigenvectorMatrix.transpose(), logDet };
      });
      const { x } = drawChunk(truth, seed, 0, 20);
      for (const i of range(20)) {
        const row = x.subarray(i * dim, (i + 1) * dim);
        const scores = parts.map(({ realEigenvalues, axes, logDet }, k) => {
          const delta = Array.from(row, (value, d) => value - truth.means[k * dim + d]);
          const along = axes.mmul(Matrix.columnVector(delta)).to1DArray();
          const square = along.reduce((sum, a, d) => sum + a ** 2 / realEigenvalues[d], 0);
          return Math.log(truth.weights[k]) - (logDet + square) / 2;
        });
        const best = Math.max(...scores);
        for (const guess of [0, clusters - 1]) assert.ok(scores[mode(row, guess)] > best - 1e-6);
      }
    });
  });
});

describe('synthesize', () => {
  const run = async (options: Partial<Parameters<typeof synthesize>[0]>) => {
    const paths = fresh();
    const result = await synthesize({ ...small, ...paths, ...options });
    return { result, ...paths, x: readFileSync(paths.out), y: readFileSync(paths.labels) };
  };

  test('the same options give the same bytes; another seed gives others', async () => {
    const [a, b, c] = [await run({}), await run({}), await run({ seed: 6n })];
    assert.ok(a.x.equals(b.x) && a.y.equals(b.y));
    assert.ok(!a.x.equals(c.x) && !a.y.equals(c.y));
    assert.deepEqual(a.result, b.result);
  });

  test('fewer points are a prefix of more', async () => {
    const [whole, part] = [await run({}), await run({ points: 1500 })];
    const [x, px] = [readNpy(whole.out), readNpy(part.out)];
    const [y, py] = [readNpy(whole.labels), readNpy(part.labels)];
    assert.deepEqual([x.shape, px.shape, y.shape, py.shape], [[3000, 3], [1500, 3], [3000], [1500]]);
    assert.ok(x.data instanceof Float32Array && y.data instanceof Int32Array);
    assert.deepEqual(px.data, x.data.subarray(0, 4500));
    assert.deepEqual(py.data, y.data.subarray(0, 1500));
  });

  test('the bound on NMI is plausible, and nearly the same on a subsample', async () => {
    const { result } = await run({ clusters: 15, dim: 2, points: 100_000 });
    assert.ok(result.bestNmi > 0.95 && result.bestNmi < 1 && result.judged === 100_000);
    const { result: larger } = await run({ clusters: 15, dim: 2, points: 250_001 });
    assert.ok(Math.abs(larger.bestNmi - result.bestNmi) < 0.003);
    assert.equal(larger.judged, Math.ceil(250_001 / 3));
    assert.equal((await run({ clusters: 1 })).result.bestNmi, 1);
  });

  test('a failure or an abort leaves no files', async () => {
    const { inside, out, labels } = fresh();
    const nowhere = join(inside, 'missing', 'y.npy');
    await assert.rejects(synthesize({ ...small, out, labels: nowhere }), UserError);
    const stop = new AbortController();
    const reason = new Error('stopped');
    const onProgress = () => stop.abort(reason);
    await assert.rejects(synthesize({ ...small, out, labels, onProgress, signal: stop.signal }), reason);
    await assert.rejects(synthesize({ ...small, out, labels, points: 0 }), /--points/);
    assert.deepEqual(readdirSync(inside), []);
  });
});
