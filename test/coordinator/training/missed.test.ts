import assert from 'node:assert/strict';
import { test } from 'node:test';
import { farBounds, farRowsKept, withMissed } from '../../../coordinator/training/missed.ts';
import type { Run } from '../../../coordinator/training/run-context.ts';
import { centresOf } from '../../../model/description/distances.ts';
import type { FarRows } from '../../../model/missed.ts';
import { mStep } from '../../../model/mixture.ts';
import { argmaxRows, clusteringNet, layersOf, logits, subNets } from '../../../model/nets/net.ts';
import { niwPrior } from '../../../model/niw.ts';
import { CLOSED, type State } from '../../../model/state.ts';
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

/** A large cluster, a small wide one, and one of three rows; a net that gives all rows to the first. */
const clusters = [blob(5000, [0, 0]), blob(100, [0, 30], 4), blob(3, [60, 0])];
const rare = blob(60, [-20, 0]);
const T = [of([...clusters[0], ...rare]), of(clusters[1]), of(clusters[2])];
const net = clusteringNet(1n, D, [5], 3);
net.params.at(-1)!.set([50, 0, 0]);
const state = {
  ...{ epoch: 9, prior, net, subs: subNets(1n, D, 3), mixture: mStep(prior, T, 0) },
  parts: T.map((own) => [own, own.map(() => 0)]),
  sample: { below: 0.1, rows: 5000, smallestShard: 600 },
} as unknown as State;
const run = {
  ...{ seed: 1n, d: D, transform: { scale: Float64Array.of(20, 10) }, layout: { rows: 50_000 } },
  likelihood: { name: 'gaussian' },
  config: { schedule: 'fast', clusters: null, coarsening: null, covariance: 'full' },
} as unknown as Run;

test('far rows are kept for Gaussians whose number is not given, of rows that are not all in the sample', () => {
  const kept = (change: object, rows = 5000) =>
    farRowsKept({ ...run, ...change }, { ...state, sample: { ...state.sample, rows } });
  assert.equal(kept({}), 8192);
  assert.equal(kept({ d: 64 }), 4096);
  assert.equal(kept({ likelihood: { name: 'graph' } }), 0);
  assert.equal(kept({ config: { ...run.config, clusters: 3 } }), 0);
  assert.equal(kept({ config: { ...run.config, schedule: 'paper' } }), 0);
  assert.equal(kept({}, 50_000), 0);
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
  const far: FarRows = { rows: Float32Array.from(rare.flat()), labels: new Int32Array(60), share: 1 };
  const missed = [{ members: [...rare.keys()], parts: [{ label: 0, T: of(rare) }] }];
  const after = withMissed(run, state, T, far, missed);
  const { mixture } = after;
  assert.equal(mixture.k, 4);
  assert.deepEqual([after.parts.length, after.subs.shapes[0][0]], [4, 4]);
  assert.ok(Math.abs(mixture.means[0][0]) < 0.1 && Math.abs(mixture.means[3][0] + 20) < 0.5);
  assert.ok(mixture.covariances[0][0] < 1.2 && state.mixture.covariances[0][0] > 5);
  assert.deepEqual(mixture.means.slice(1, 3), state.mixture.means.slice(1, 3));
  const labels = (rows: number[][]) => {
    const inputs = Float32Array.from(rows.flat(), (value, i) => value / run.transform.scale[i % D]);
    return argmaxRows(logits(layersOf(after.net), inputs), 4);
  };
  assert.ok(labels(rare).every((label) => label === 3));
  assert.ok(labels(clusters.flat()).every((label) => label === 0));
  assert.equal(after.net.params.at(-1)![2], Math.fround(CLOSED));
  assert.ok(after.net.params.at(-1)![1] > -1);
});
