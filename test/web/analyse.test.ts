import assert from 'node:assert/strict';
import test from 'node:test';
import { analyst } from '../../web/analyse.ts';
import { keepSlots } from '../../web/slots.ts';
import { world } from './world.ts';

test('a picture: labels are those of the nearest mean, points lie by their centres', () => {
  const { sample, stateAt, scale } = world({ clusters: 6, dim: 5, rows: 500 });
  const state = stateAt(100);
  const picture = analyst()(state, { rows: sample, dim: 5 });
  assert.equal(picture.k, 6);
  assert.equal(picture.clusters.length, 6);
  for (let n = 0; n < 500; n++) {
    const apart = state.means.map((mean) =>
      mean.reduce((s, v, i) => s + (v / scale[i] - sample[5 * n + i]) ** 2, 0),
    );
    assert.equal(picture.labels[n], apart.indexOf(Math.min(...apart)));
  }
  for (let c = 0; c < 6; c++)
    for (let a = 0; a < 3; a++) {
      const own = [...picture.labels.keys()]
        .filter((n) => picture.labels[n] === c)
        .map((n) => picture.xyz[3 * n + a]);
      const mean = own.reduce((x, y) => x + y, 0) / own.length;
      const sd = Math.sqrt(picture.covariances[9 * c + 4 * a]);
      assert.ok(
        Math.abs(mean - picture.centres[3 * c + a]) < sd,
        'the mean of its points is the centre, or near it',
      );
    }
});

test('before the sample is there, and with D = 1 and K = 1', () => {
  const small = world({ clusters: 1, dim: 1, rows: 300 });
  const picture = analyst()(small.stateAt(3), { rows: small.sample, dim: 1 });
  assert.equal(picture.k, 1);
  assert.equal(picture.clusters[0].nearest, null);
  assert.ok([...picture.xyz, ...picture.covariances].every(Number.isFinite));
  assert.ok(
    new Set([...picture.xyz].filter((_, i) => i % 3 === 1)).size > 100,
    'points are spread out across',
  );
  assert.deepEqual(
    picture.xyz,
    analyst()(small.stateAt(3), { rows: small.sample, dim: 1 }).xyz,
    'always the same way',
  );
  assert.equal(analyst()(small.stateAt(3), null).labels.length, 0);
});

test('colours stay with their clusters when a split or merge renumbers them', () => {
  const first = keepSlots(null, [[0], [10], [20]]);
  assert.deepEqual(first.slots, [0, 1, 2]);
  const split = keepSlots(first, [[9], [11.5], [20], [0.2]]);
  assert.deepEqual(split.slots, [1, 3, 2, 0]);
  const merged = keepSlots(split, [[20], [0.1], [9.8]]);
  assert.deepEqual(merged.slots, [2, 0, 1]);
  assert.deepEqual(keepSlots(merged, [[0, 0]]).slots, [0], 'data of another shape start anew');
});

test('while the run goes colours stay; when it is over they are those of the report', () => {
  const { sample, stateAt } = world({ clusters: 6, dim: 5, rows: 50 });
  const analyse = analyst();
  const own = ({ clusters }: ReturnType<typeof analyse>, key: 'slot' | 'colour') =>
    clusters.map((cluster) => cluster[key]);
  const opened = analyse(stateAt(100), { rows: sample, dim: 5 });
  assert.deepEqual(own(opened, 'colour'), [0, 1, 2, 3, 4, 5], 'so they are when the page is opened');
  const state = stateAt(100);
  for (const column of [state.means, state.covariances, state.weights, state.sizes]) column.reverse();
  assert.deepEqual(own(analyse(state, null), 'colour'), [5, 4, 3, 2, 1, 0]);
  const last = analyse({ ...state, counts: [1, 2, 3, 4, 5, 6] }, null, true);
  assert.deepEqual(own(last, 'colour'), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(own(last, 'slot'), [5, 4, 3, 2, 1, 0], 'what is pinned stays so');
  assert.ok(last.counted && !opened.counted);
  assert.deepEqual(
    last.clusters.map(({ rows }) => rows),
    [1, 2, 3, 4, 5, 6],
  );
});
