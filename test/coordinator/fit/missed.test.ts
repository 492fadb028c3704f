import assert from 'node:assert/strict';
import { test } from 'node:test';
import { farBounds, farRowsKept, withMissed } from '../../../coordinator/fit/missed.ts';
import type { TrainingRun } from '../../../coordinator/fit/run-context.ts';
import { centresOf } from '../../../model/description/distances.ts';
import { mStep } from '../../../model/gaussian/mstep.ts';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { clusteringNet, subNets } from '../../../model/nets/net.ts';
import { classifierOf, classify, type State } from '../../../model/state.ts';
import { normals, statisticsOf } from '../../model/support.ts';

const D = 2;
const next = normals(2);
const blob = (rows: number, centre: number[], sd = 1) =>
  Array.from({ length: rows }, () => centre.map((value) => value + sd * next()));
const prior = niwPrior({
  ...{ mean: new Float64Array(D), kappa: 1e-4, nu: 2 * D + 1, covariance: 'full', estimate: 'mean' },
  psi: Float64Array.of(D, 0, 0, D),
});
const of = (rows: number[][]) => statisticsOf(rows.flat(), D, 'full');

/** A large cluster, a small wide one, and one of three rows. */
const clusters = [blob(5000, [0, 0]), blob(100, [0, 30], 4), blob(3, [60, 0])];
const rare = blob(60, [-20, 0]);
const T = [of([...clusters[0], ...rare]), of(clusters[1]), of(clusters[2])];
const net = clusteringNet(1n, D, [5], 3);
const state = {
  ...{ epoch: 9, prior, net, subs: subNets(1n, D, 3), mixture: mStep(prior, T, 0) },
  parts: T.map((own) => [own, own.map(() => 0)]),
  sample: { below: 0.1, rows: 5000, smallestShard: 600 },
} as unknown as State;
const run = {
  ...{ seed: 1n, d: D, transform: { scale: Float64Array.of(20, 10) }, layout: { rows: 50_000 } },
  schedule: { patience: 24 },
  config: { schedule: 'fast', clusters: null, coarsening: null, covariance: 'full' },
} as unknown as TrainingRun;

test('far rows are kept for mixtures that label rows, whose number of clusters is not given, of rows that are not all in the sample', () => {
  const kept = (change: object, rows = 5000) =>
    farRowsKept({ ...run, ...change }, { ...state, sample: { ...state.sample, rows } });
  assert.equal(kept({}), 8192);
  assert.equal(kept({ d: 32 }), 5792);
  assert.equal(kept({ config: { ...run.config, clusters: 3 } }), 0);
  assert.equal(kept({ config: { ...run.config, schedule: 'paper' } }), 0);
  assert.equal(kept({}, 50_000), 0);
  assert.equal(farRowsKept(run, { ...state, graph: {} } as State), 0);
  assert.equal(farRowsKept(run, { ...state, mixture: { ...state.mixture, d: 65 } }), 0);
});

test('clusters with few rows in the sample have the covariance within clusters where rows are far from them', () => {
  const { mixture } = state;
  const bounds = farBounds(run, state).values;
  const width = bounds.length / 3;
  const own = centresOf(mixture).values;
  assert.deepEqual(bounds.slice(0, width), own.slice(0, width));
  const within = mixture.covariances[0].map((_, p) =>
    mixture.covariances.reduce((sum, covariance, k) => sum + mixture.weights[k] * covariance[p], 0),
  );
  const all = centresOf({ ...mixture, covariances: [within, within, within] }).values;
  assert.deepEqual(bounds.slice(width), all.slice(width));
  assert.notDeepEqual(bounds.slice(width, 2 * width), own.slice(width, 2 * width));
});

test('a missed cluster gets its rows, the others theirs without these, and those of a few rows none', () => {
  const missed = [{ members: [...rare.keys()], parts: [{ label: 0, T: of(rare) }] }];
  const after = withMissed(run, state, T, missed);
  const { mixture } = after;
  assert.equal(mixture.k, 4);
  assert.deepEqual([after.parts.length, after.subs.shapes[0][0]], [4, 4]);
  assert.ok(Math.abs(mixture.means[0][0]) < 0.1 && Math.abs(mixture.means[3][0] + 20) < 0.5);
  assert.ok(mixture.covariances[0][0] < 1.2 && state.mixture.covariances[0][0] > 5);
  assert.deepEqual(mixture.means.slice(1, 3), state.mixture.means.slice(1, 3));
  assert.equal(mixture.weights[2], 0);
  const { scale } = run.transform;
  const labels = (rows: number[][]) => {
    const inputs = Float32Array.from(rows.flat(), (value, i) => value / scale[i % D]);
    return [...classify(classifierOf('fast', after, scale), inputs)];
  };
  assert.deepEqual(labels(rare), Array(60).fill(3));
  assert.deepEqual(labels(clusters[0]), Array(5000).fill(0));
  assert.deepEqual(labels(clusters[1]), Array(100).fill(1));
  assert.ok(!labels(clusters[2]).includes(2));
  // The nets have as many units.
  assert.deepEqual([after.net.shapes.at(-1), after.net.params.at(-1)!.length], [[4], 4]);
});
