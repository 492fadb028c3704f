import assert from 'node:assert/strict';
import test from 'node:test';
import { median } from 'd3-array';
import { classify } from '../../../model/state.ts';
import { bytesIn, type StateOf } from '../../../page/drawing/api.ts';
import { tableRows } from '../../../page/drawing/clusters.ts';
import { type DisplaySample, sampledRows } from '../../../page/drawing/display-sample.ts';
import { assignSlots, createMap, createViewer, curveHeight } from '../../../page/drawing/model-view.ts';
import { axesText, ellipsesText, pointScene, pointsPicture } from '../../../page/drawing/points.ts';
import { colourOf } from '../../../page/drawing/svg.ts';
import { inCut, treePicture } from '../../../page/drawing/tree-picture.ts';
import { treeOf, world } from '../browser/world.ts';

/** Views of states, with labels by their mixtures. */
function createAnalyser() {
  const viewOf = createViewer();
  return (state: StateOf, sample: DisplaySample | null, isOver = false) => {
    const floats = (base64: string) => new Float32Array(bytesIn(base64).buffer);
    assert.ok('mixture' in state.classifier);
    const { weights, bias, constant } = state.classifier.mixture;
    const mixture = { weights: floats(weights), bias: floats(bias), constant: floats(constant) };
    const groups = state.groups && Int32Array.from(state.groups);
    const labels = classify({ mixture, groups }, sample?.rows ?? new Float32Array(0));
    return viewOf(state, sample, labels, isOver);
  };
}

const displayed = (rows: Float32Array, dim: number): DisplaySample => ({
  rows,
  dim,
  numbers: sampledRows(rows.length / dim, (10 * rows.length) / dim),
});

test('labels are those of the nearest mean, and points lie near their centres', () => {
  const { sample, stateAt, scale } = world({ clusters: 6, dim: 5, rows: 500 });
  const state = stateAt(100);
  const view = createAnalyser()(state, displayed(sample, 5));
  assert.equal(view.k, 6);
  assert.equal(view.clusters.length, 6);
  for (let n = 0; n < 500; n++) {
    const squared = state.means.map((mean) =>
      mean.reduce((s, v, i) => s + (v / scale[i] - sample[5 * n + i]) ** 2, 0),
    );
    assert.equal(view.labels[n], squared.indexOf(Math.min(...squared)));
  }
  for (const [c, rows] of view.typical.entries()) {
    const labels = rows.map((row) => view.labels[view.rows.indexOf(row)]);
    assert.deepEqual(labels, Array(10).fill(c), 'typical rows are of their cluster');
  }
  for (let c = 0; c < 6; c++)
    for (let a = 0; a < 3; a++) {
      const own = [...view.labels.keys()].filter((n) => view.labels[n] === c).map((n) => view.xyz[3 * n + a]);
      const mean = own.reduce((x, y) => x + y, 0) / own.length;
      const sd = Math.sqrt(view.covariances[9 * c + 4 * a]);
      assert.ok(Math.abs(mean - view.centres[3 * c + a]) < sd, 'the mean of the points is near the centre');
    }
});

test('without a sample, and with D = 1 and K = 1', () => {
  const small = world({ clusters: 1, dim: 1, rows: 300 });
  const view = createAnalyser()(small.stateAt(3), displayed(small.sample, 1));
  assert.equal(view.k, 1);
  assert.deepEqual(view.clusters[0].nearest, []);
  assert.ok([...view.xyz, ...view.covariances].every(Number.isFinite));
  for (let i = 0; i < 300; i++) {
    const top = curveHeight(view.centres, view.covariances, 0, view.xyz[3 * i]);
    assert.ok(view.xyz[3 * i + 1] >= 0 && view.xyz[3 * i + 1] <= 1.0001 * top, 'points lie below the curve');
  }
  const again = createAnalyser()(small.stateAt(3), displayed(small.sample, 1));
  assert.deepEqual(view.xyz, again.xyz, 'always in the same way');
  assert.equal(createAnalyser()(small.stateAt(3), null).labels.length, 0);
});

test('colours stay with their clusters when a split or merge renumbers them', () => {
  const first = assignSlots(null, [[0], [10], [20]]);
  assert.deepEqual(first.slots, [0, 1, 2]);
  const split = assignSlots(first, [[9], [11.5], [20], [0.2]]);
  assert.deepEqual(split.slots, [1, 3, 2, 0]);
  const merged = assignSlots(split, [[20], [0.1], [9.8]]);
  assert.deepEqual(merged.slots, [2, 0, 1]);
  assert.deepEqual(assignSlots(merged, [[0, 0]]).slots, [0], 'data of another shape get new slots');
});

test('colours stay during the run; after it they are those of the report', () => {
  const { sample, stateAt } = world({ clusters: 6, dim: 5, rows: 50 });
  const analyse = createAnalyser();
  const own = ({ clusters }: ReturnType<typeof analyse>, key: 'slot' | 'colour') =>
    clusters.map((cluster) => cluster[key]);
  const opened = analyse(stateAt(100), displayed(sample, 5));
  assert.deepEqual(own(opened, 'colour'), [0, 1, 2, 3, 4, 5], 'initially colours follow the cluster numbers');
  const state = stateAt(100);
  for (const column of [state.means, state.covariances, state.weights, state.sizes]) column.reverse();
  assert.deepEqual(own(analyse(state, null), 'colour'), [5, 4, 3, 2, 1, 0]);
  const last = analyse({ ...state, counts: [1, 2, 3, 4, 5, 6] }, null, true);
  assert.deepEqual(own(last, 'colour'), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(own(last, 'slot'), [5, 4, 3, 2, 1, 0], 'slots stay, and with them the pinned cluster');
  assert.ok(last.counted && !opened.counted);
  for (const [c, { rows }] of last.clusters.entries()) assert.equal(rows, c + 1);
});

/** Six components of four clusters. */
const GROUPS = [0, 1, 0, 2, 1, 3];
const asGroups = (state: StateOf): StateOf => ({
  ...{ ...state, groups: GROUPS, counts: [40, 30, 20, 10] },
  splitRatio: [null, null, -2, -3],
});

test('clusters of several components: an ellipse for each, one number, and one line in the table', () => {
  for (const dim of [1, 5]) {
    const { sample, stateAt, scale } = world({ clusters: 6, dim, rows: 500 });
    const display = displayed(sample, dim);
    const state = asGroups(stateAt(100));
    const view = createAnalyser()(state, display, true);
    const parts = createAnalyser()(stateAt(100), display, true);
    assert.deepEqual([view.k, view.clusters.length, view.weights.length], [4, 4, 6]);
    assert.deepEqual(
      view.labels,
      parts.labels.map((component) => GROUPS[component]),
    );
    assert.deepEqual(
      view.clusters.map(({ rows, logRatio, colour }) => [rows, logRatio, colour]),
      [
        [40, null, 0],
        [30, null, 1],
        [20, -2, 2],
        [10, -3, 3],
      ],
    );
    assert.deepEqual([view.centres, view.covariances], [parts.centres, parts.covariances]);
    for (const { components } of view.clusters)
      for (const [i, component] of components.slice(1).entries())
        assert.ok(view.weights[component] <= view.weights[components[i]], 'the largest is in front');
    const scene = pointScene(view, { width: 600, height: 400 });
    assert.deepEqual(
      scene.outlines.map((outline) => outline.match(/M/g)!.length),
      [2, 2, 1, 1],
    );
    const each = pointScene(parts, { width: 600, height: 400 });
    assert.deepEqual(
      scene.centres,
      view.clusters.map(({ components: [largest] }) => each.centres[largest]),
    );
    for (const [c, rows] of view.typical.entries()) {
      const labels = rows.map((row) => view.labels[view.rows.indexOf(row)]);
      assert.deepEqual(labels, Array(rows.length).fill(c));
    }
    assert.equal(tableRows(view).split('\n').length, 4);
    assert.deepEqual(
      [...pointsPicture(view).matchAll(/font-weight="600"[^>]*>(\d)<\/text>/g)].map(([, id]) => id).sort(),
      ['0', '1', '2', '3'],
    );
    const dashed = (of: typeof view) => pointsPicture(of).match(/stroke-dasharray/g)?.length ?? 0;
    assert.deepEqual([dashed(view), dashed(parts)], [2, 0]);
    assert.match(ellipsesText(view), /; dashed, those of components of one cluster$/);
    assert.doesNotMatch(ellipsesText(parts), /dashed/);
    if (dim > 1) assert.match(axesText(view), /between components$/);
    const map = createMap()(view, display, scale);
    if (map.isMap) assert.equal(pointScene(map, { width: 600, height: 400 }).numbers.length, 4);
  }
});

test('at the end of a run, a cluster has the colour of its largest component, and so it stays', () => {
  const { sample, stateAt } = world({ clusters: 6, dim: 3, rows: 50 });
  const analyse = createAnalyser();
  const before = analyse(stateAt(100), displayed(sample, 3));
  const after = analyse(asGroups(stateAt(100)), displayed(sample, 3));
  assert.deepEqual(
    after.clusters.map(({ colour }) => colour),
    after.clusters.map(({ components: [largest] }) => before.clusters[largest].colour),
  );
});

test('a map has some of the points, at the same places in each state, with the labels of that state', () => {
  const { sample, stateAt, scale } = world({ clusters: 6, dim: 5, rows: 3_000 });
  const display = displayed(sample, 5);
  const analyse = createAnalyser();
  const mapped = createMap();
  const view = analyse(stateAt(100), display);
  const map = mapped(view, display, scale);
  assert.ok(map.isMap && !view.isMap);
  assert.equal(map.labels.length, 2_000);
  for (const row of [0, 1, 1234, 1999])
    assert.equal(map.labels[row], view.labels[Math.floor((row * 3_000) / 2_000)]);
  for (let i = 0; i < 2_000; i++) assert.equal(map.xyz[3 * i + 2], 0);
  for (let c = 0; c < 6; c++) {
    const own = [...map.labels.keys()].filter((n) => map.labels[n] === c);
    assert.ok(Math.abs(map.centres[3 * c] - median(own, (n) => map.xyz[3 * n])!) < 1e-4);
  }
  const later = mapped(analyse(stateAt(3), display), display, scale);
  assert.deepEqual(later.xyz, map.xyz);
  const without = mapped({ ...view, k: 7 }, display, scale).centres[3 * 6];
  assert.ok(Number.isNaN(without), 'a cluster without points');
});

test('two columns are a map already', () => {
  const { sample, stateAt, scale } = world({ clusters: 2, dim: 2, rows: 50 });
  const display = displayed(sample, 2);
  const view = createAnalyser()(stateAt(100), display);
  assert.equal(createMap()(view, display, scale), view);
});

test('the clusters of an update go by their labels: names, colours, nearest ones, and the tree', () => {
  const { sample, stateAt } = world({ clusters: 4, dim: 3, rows: 100 });
  const state = stateAt(100);
  const tree = treeOf(state.means, [40, 30, 20, 10]);
  const before = createAnalyser()({ ...state, tree }, displayed(sample, 3), true);
  const after = createAnalyser()({ ...state, tree, ids: [7, 0, 12, 3] }, displayed(sample, 3), true);
  const ids = [7, 0, 12, 3];
  assert.deepEqual(
    after.clusters.map(({ id, colour }) => [id, colour]),
    ids.map((id) => [id, id]),
  );
  assert.deepEqual(
    after.clusters.map(({ nearest: [first] }) => first.cluster),
    before.clusters.map(({ nearest: [first] }) => ids[first.cluster]),
  );
  assert.deepEqual(after.labels, before.labels, 'which are places in tables');
  const nameIn = (row: string) => /<span>(\d+)<\/span>/.exec(row)![1];
  assert.deepEqual(tableRows(after).split('\n').map(nameIn), ['7', '0', '12', '3']);
  const joined = inCut(after.clusters, after.tree!, 1).map(({ group }) => group);
  assert.deepEqual(joined, Array(4).fill('7, 0, … (4)'));
  const named = pointsPicture(after);
  for (const id of ids) {
    assert.match(named, new RegExp(`>${id}</text>`));
    assert.ok(named.includes(`stroke="${colourOf(id)}" stroke-width="2"`), `${id}`);
  }
  const drawn = treePicture(after.tree!);
  for (const id of ids) assert.ok(drawn.includes(`fill="${colourOf(id)}"`), `${id}`);
  assert.match(treePicture(before.tree!), />2<\/text>/);
  assert.doesNotMatch(drawn, /font-weight="600"[^>]*>2<\/text>/);
});
