import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mStep } from '../../../model/gaussian/mstep.ts';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { generator } from '../../../model/random.ts';
import { addRow, statisticsLength } from '../../../model/statistics.ts';
import { unchangedClusters } from '../../../model/stream/drift.ts';

const [D, OLD, NEW] = [5, 800, 300];

/** Two clusters, and what the test says of them when rows of the first are drawn so. */
function unchanged(seed: number, draw: (normal: () => number, i: number) => number[], news = NEW) {
  const rng = generator(String(seed), 'changed-test');
  const row = (k: number) => Array.from({ length: D }, () => 20 * k + rng.normal());
  const old = [0, 1].flatMap((k) => Array.from({ length: OLD }, () => row(k)));
  const fresh = Array.from({ length: news }, (_, i) => draw(() => rng.normal(), i));
  const rows = Float32Array.from([...old, ...fresh].flat());
  const labels = Int32Array.from([...old, ...fresh], (_, i) => (i >= OLD && i < 2 * OLD ? 1 : 0));
  const T = [0, 1].map(() => new Float64Array(statisticsLength(D, 'full')));
  const exact = Float64Array.from(rows);
  for (let i = 0; i < 2 * OLD; i++) addRow(T[labels[i]], exact, i * D, D, 'full');
  const psi = Float64Array.from({ length: D * D }, (_, p) => (p % (D + 1) === 0 ? D : 0));
  const about = { mean: new Float64Array(D), kappa: 1e-4, nu: 2 * D + 1, psi };
  const prior = niwPrior({ ...about, covariance: 'full', estimate: 'mean' });
  const isNew = Array.from(labels, (_, i) => i >= 2 * OLD);
  return unchangedClusters(mStep(prior, T, 0), prior, rows, labels, isNew);
}
const normal = (of: () => number) => Array.from({ length: D }, of);

test('clusters whose new rows are like those before are not searched, nor are those without new ones', () => {
  const found = Array.from({ length: 100 }, (_, seed) => unchanged(seed, normal));
  assert.ok(found.every(([, other]) => other));
  assert.ok(found.filter(([own]) => own).length >= 99);
  assert.deepEqual(unchanged(0, normal, 0), [true, true]);
});

test('those with a few rows of another cluster are: beside them, or in their middle', () => {
  for (let seed = 0; seed < 20; seed++) {
    const beside = (of: () => number, i: number) => normal(() => of() + (i < 0.1 * NEW ? 4 : 0));
    assert.deepEqual(unchanged(seed, beside), [false, true]);
    const within = (of: () => number, i: number) => normal(() => of() * (i < 0.4 * NEW ? 0.2 : 1));
    assert.deepEqual(unchanged(seed, within), [false, true]);
  }
});

test('and so are those of which hardly any row is left that the last search has seen', () => {
  assert.deepEqual(unchanged(0, normal, 4 * OLD), [false, true]);
});
