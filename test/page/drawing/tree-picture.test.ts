import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heightScale } from '../../../page/drawing/charts.ts';
import type { Cluster } from '../../../page/drawing/model-view.ts';
import { COLOURS } from '../../../page/drawing/svg.ts';
import {
  cutText,
  groupName,
  hasJoins,
  inCut,
  nextSplitText,
  treeLayout,
  treeLegend,
  treePicture,
} from '../../../page/drawing/tree-picture.ts';

/** Clusters of these sizes, each joined with the group of all before it. */
const chain = (sizes: number[], heights: number[]) => ({
  sizes,
  joins: heights.map((height, i) => ({ a: i ? i + 1 : 0, b: i ? sizes.length + i - 1 : 1, height })),
});

test('places of joins: the larger branch above, each in the middle of its two', () => {
  const { leaves, branches } = treeLayout({
    sizes: [50, 40, 30, 20],
    joins: [
      { a: 2, b: 3, height: 0 },
      { a: 1, b: 4, height: 0.2 },
      { a: 0, b: 5, height: 0.4 },
    ],
  });
  // 30 + 20 rows are above 40, and 90 above 50.
  assert.deepEqual(
    leaves.map(({ from: [only] }) => only),
    [2, 3, 1, 0],
  );
  const ends = [
    { height: null, y: 0.5, first: 2 },
    { height: null, y: 1.5, first: 3 },
  ];
  assert.deepEqual(branches[0], { at: { height: 0, y: 1, first: 2 }, ends, left: 3 });
  assert.deepEqual(
    branches.map(({ at, left }) => [at.height, at.y, at.first, left]),
    [
      [0, 1, 2, 3],
      [0.2, 1.75, 1, 2],
      [0.4, 2.625, 0, 1],
    ],
  );
  assert.equal(branches[2].ends[1], branches[1].at);
  const alone = {
    leaves: [{ node: 0, rows: 9, from: [0], height: null }],
    ...{ nodes: [0], middles: [0.5], height: 1, branches: [] },
  };
  assert.deepEqual(treeLayout({ sizes: [9], joins: [] }), alone);
});

test('of more than 60 clusters the last 59 joins are shown, of groups', () => {
  const sizes = Array.from({ length: 500 }, (_, c) => 500 - c);
  const { leaves, branches } = treeLayout(chain(sizes, [...sizes.slice(1).keys()]));
  assert.deepEqual([leaves.length, branches.length], [60, 59]);
  for (const [i, { left }] of branches.entries()) assert.equal(left, 59 - i);
  const { from, rows } = leaves[0];
  assert.deepEqual([from.length, rows], [441, (441 * (500 + 60)) / 2]);
  assert.equal(groupName({ from }), '0, 1, … (441)');
});

test('a height of 0 is at 0 of the axis, and apart from the others on a logarithmic one', () => {
  const linear = heightScale([0.8, 0.04, 0], [10, 110]);
  assert.equal(linear(0), 10);
  assert.ok(linear(0.04) > 12);
  const log = heightScale([8, 0.04, 0], [10, 110]);
  assert.equal(log(0), 10);
  assert.ok(log(0.04) >= 22 && log(0.04) < log(8) && log(8) <= 110);
  assert.deepEqual(log.ticks(), [0, 0.01, 0.1, 1, 10]);
  assert.deepEqual(log.ticks().map(log.tickFormat()), ['0', '0.01', '0.1', '1', '10']);
  const below = heightScale([-1, 0, 90], [0, 91]);
  assert.ok(below(-1) < below(0));
});

test('names of groups', () => {
  assert.equal(groupName({ from: [3] }), '3');
  assert.equal(groupName({ from: [3, 7] }), '3, 7 (2)');
  assert.equal(groupName({ from: [3, 7, 9] }), '3, 7, … (3)');
});

const BARE = { rows: 1, weight: 0.1, spread: 1, nearest: [], logRatio: null, group: null };
const clustersOf = (colours: readonly number[]): Cluster[] =>
  colours.map((colour, slot) => ({ ...BARE, id: slot, slot, colour, components: [slot] }));
const colours = (clusters: Cluster[]) => clusters.map(({ colour }) => colour);

/** Clusters 1 and 3 join first, then 0 and 2, then these two, then cluster 4. */
const tree = {
  likelihood: 'gaussian' as const,
  measure: 'nats a row',
  sizes: [50, 40, 30, 20, 5],
  joins: [
    { a: 1, b: 3, height: 0.1 },
    { a: 0, b: 2, height: 0.2 },
    { a: 5, b: 6, height: 0.25 },
    { a: 4, b: 7, height: 0.7 },
  ],
};

test('clusters of a group have the colour of its lowest cluster, and say which they are joined with', () => {
  // A cluster without rows is not in the tree.
  const clusters = clustersOf([7, 8, 9, 10, 11, 12]);
  assert.equal(inCut(clusters, tree, 5), clusters);
  assert.deepEqual(colours(inCut(clusters, tree, 4)), [7, 8, 9, 8, 11, 12]);
  assert.deepEqual(colours(inCut(clusters, tree, 3)), [7, 8, 7, 8, 11, 12]);
  const two = inCut(clusters, tree, 2);
  assert.deepEqual(colours(two), [7, 7, 7, 7, 11, 12]);
  assert.deepEqual(
    two.map(({ group }) => group),
    [...Array(4).fill('0, 1, … (4)'), null, null],
  );
  assert.deepEqual(colours(inCut(clusters, tree, 1)), [7, 7, 7, 7, 7, 12]);
});

test('of more clusters than colours, groups have different ones as long as there are any', () => {
  const k = COLOURS.length + 4;
  // Each of the first four joins with the next one.
  const sizes = Array.from({ length: k }, (_, c) => k - c);
  const most = { ...tree, sizes, joins: [0, 1, 2, 3].map((i) => ({ a: 2 * i, b: 2 * i + 1, height: i })) };
  const clusters = clustersOf(sizes.map((_, c) => c));
  const of50 = colours(inCut(clusters, most, COLOURS.length));
  assert.equal(new Set(of50).size, COLOURS.length);
  // Clusters 8 … 49 keep theirs; 50 … 53 would have those of the groups of 0, 2, 4 and of cluster 3's.
  assert.deepEqual(of50.slice(0, 10), [0, 0, 2, 2, 4, 4, 6, 6, 8, 9]);
  assert.deepEqual(of50.slice(50).toSorted(), [1, 3, 5, 7]);
  const of53 = colours(inCut(clusters, most, k - 1));
  assert.equal(new Set(of53).size, COLOURS.length, 'the last three repeat');
});

test('the text of a cut has the next join, by the clusters of the groups', () => {
  assert.equal(cutText(tree, 5), '5 clusters; the next join is of 1 and 3 at 0.100 nats a row');
  assert.equal(cutText(tree, 3), '3 clusters; the next join is of 1, 3 (2) and 0, 2 (2) at 0.250 nats a row');
  assert.equal(cutText(tree, 1), '1 cluster');
  const graph = { ...tree, likelihood: 'graph' as const };
  assert.equal(cutText(graph, 2), '2 clusters; the next join is of 4 and 0, 1, … (4) at resolution γ 0.700');
});

test('the next splits: three at most, none if they are not known', () => {
  assert.equal(nextSplitText(tree), '');
  assert.equal(nextSplitText({ ...tree, next: [] }), '');
  const next = [3, 0, 1, 2].map((cluster) => ({ cluster, sizes: [1200, 4], height: -0.02 - cluster }));
  assert.equal(
    nextSplitText({ ...tree, next: next.slice(0, 1) }),
    'Next to split: cluster 3 into about 1,200 and 4 rows (at −3.02 nats a row).',
  );
  assert.match(
    nextSplitText({ ...tree, next }),
    /^Next to split: cluster 3 .*; then cluster 0 .*; then cluster 1 [^;]*$/,
  );
});

/** Six components of cluster 2. */
const six = {
  cluster: 2,
  components: [2, 3, 4, 5, 6, 7],
  ...chain([9, 7, 5, 4, 3, 2], [0, 0.1, 0.2, 0.5, 3]),
};

test('a cluster of several components has their joins beside it, in its colour', () => {
  const plain = treePicture(tree);
  assert.doesNotMatch(plain, /class="components"/);
  assert.doesNotMatch(treeLegend(tree), /components/);
  const ring = { ...tree, components: [six], ids: [4, 0, 9, 1, 2] };
  const drawn = treePicture(ring);
  const [, title, d, colour] =
    /<g class="components"><title>([^<]*)<\/title><rect [^>]*\/><path d="([^"]*)" fill="none" stroke="([^"]*)"/.exec(
      drawn,
    )!;
  assert.equal(title, 'Cluster 9: 6 components, joined as rows show no valleys between them');
  assert.equal(colour, COLOURS[9]);
  // Five joins, and from the cluster to the last of them.
  assert.equal(d.match(/M/g)!.length, 6);
  const lines = (svg: string) => svg.match(/class="inkline"/g)!.length;
  assert.equal(lines(drawn), lines(plain));
  assert.match(treeLegend(ring), /Dashed, on an axis of their own: components of a cluster, joined as rows/);
  const cut = treePicture(ring, { left: 2, colours: [1, 2, 1, 2, 5], width: 600 });
  assert.match(cut, new RegExp(`<g class="components">.*stroke="${COLOURS[1]}"`));
});

test('of a single cluster they are all there is, on an axis of that measure', () => {
  const one = { ...tree, ...chain([30], []) };
  assert.ok(!hasJoins(one) && hasJoins(tree));
  assert.equal(treeLegend(one), '');
  const ring = { ...one, components: [{ ...six, cluster: 0 }] };
  assert.ok(hasJoins(ring));
  for (const cut of [null, { left: 1, colours: [3], width: 320 }]) {
    const drawn = treePicture(ring, cut);
    assert.equal(drawn.match(/class="components"/g)!.length, 1);
    assert.doesNotMatch(drawn, /NaN|class="inkline"/);
    assert.match(drawn, /<desc[^>]*>How the components of a cluster join/);
    assert.equal(drawn.match(/nats a row/g)!.length, 1);
  }
  assert.equal(
    treeLegend(ring),
    `Components of the cluster, joined as rows show no valleys between them. Axis: ${tree.measure}.`,
  );
});

test('it takes more room, and none where it is one of a group', () => {
  const { nodes, middles, height } = treeLayout(tree, (node) => (node === 2 ? 3 : 1));
  assert.deepEqual(nodes, [0, 2, 1, 3, 4]);
  assert.deepEqual([middles, height], [[0.5, 2.5, 4.5, 5.5, 6.5], 7]);
  const sizes = Array.from({ length: 70 }, (_, c) => 70 - c);
  const many = { ...tree, ...chain(sizes, [...sizes.slice(1).keys()]), components: [six] };
  assert.doesNotMatch(treePicture(many), /class="components"/);
  assert.match(treePicture({ ...many, components: [{ ...six, cluster: 69 }] }), /class="components"/);
});
