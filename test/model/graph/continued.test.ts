import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clustersIn, continuedPartition, withVotes } from '../../../model/graph/continued.ts';
import { partition, quality } from '../../../model/graph/louvain.ts';
import { degrees } from '../../../model/graph/weights.ts';
import { generator } from '../../../model/random.ts';
import { graphOf, randomGraph } from './support.ts';

const N = 120;
/** Four groups of rows that are linked more among each other. */
const group = (row: number) => Math.floor((4 * row) / N);
const groups = Int32Array.from({ length: N }, (_, row) => group(row));
const grouped = (seed: number) => randomGraph(seed, N, (i, j) => (group(i) === group(j) ? 0.4 : 0.03));
const continued = (graph: ReturnType<typeof graphOf>, start: Int32Array, gamma = 1, fewest = 1) => {
  const degree = degrees(graph);
  const total = degree.reduce((a, b) => a + b, 0);
  return continuedPartition({ graph, degree, total }, gamma, generator('1', 'go-on'), start, fewest);
};
const isSame = (a: Int32Array, b: Int32Array) =>
  a.every((label, i) => a.every((other, j) => (label === other) === (b[i] === b[j])));

describe('votes of neighbours', () => {
  // 0 – 1 – 2 – 3 – 4, where 3 is linked with 4 most; 5 with 0 and 4 alike; 6 – 7 apart.
  const chain = graphOf(8, [
    [0, 1, 1],
    [1, 2, 1],
    [2, 3, 1],
    [3, 4, 2],
    [5, 0, 1],
    [5, 4, 1],
    [6, 7, 1],
  ]);

  test('come nearest first, of the label that a row is linked with most, the lower one of equals', () => {
    const labels = Int32Array.of(0, -1, -1, -1, 1, -1, -1, -1);
    assert.deepEqual([...withVotes(chain, labels)], [0, 0, 0, 1, 1, 0, -1, -1]);
    assert.deepEqual([...labels], [0, -1, -1, -1, 1, -1, -1, -1], 'the argument is as it was');
  });

  test('leave labels that there are, and rows that no label reaches', () => {
    const known = Int32Array.of(3, 2, 1, 0, 1, 2, 3, 0);
    assert.deepEqual(withVotes(chain, known), known);
    const none = new Int32Array(8).fill(-1);
    assert.deepEqual(withVotes(chain, none), none);
  });
});

describe('a partition that goes on', () => {
  test('from the groups, of which some rows are elsewhere, comes back to these', () => {
    for (let seed = 0; seed < 5; seed++) {
      const graph = grouped(seed);
      const wrong = groups.map((own, row) => (row % 7 ? own : (own + 1) % 4));
      const found = continued(graph, wrong);
      assert.ok(isSame(found, groups), `seed ${seed}`);
      assert.ok(isSame(continued(graph, found), found), 'where it stays');
    }
  });

  test('cuts groups that were one, and joins those that were two', () => {
    const graph = grouped(11);
    assert.ok(isSame(continued(graph, new Int32Array(N)), groups));
    assert.ok(
      isSame(
        continued(
          graph,
          groups.map((own, row) => 2 * own + (row % 2)),
        ),
        groups,
      ),
    );
  });

  test('is of no less quality than the one before, and about that of one from nothing', () => {
    for (let seed = 0; seed < 20; seed++) {
      const graph = randomGraph(seed, N, (i, j) => 0.02 + 0.2 * Math.exp(-Math.abs(i - j) / 10));
      const gamma = [0.5, 1, 2][seed % 3];
      const q = (labels: Int32Array) => quality(graph, labels, gamma);
      const good = partition(graph, gamma, generator(`${seed}`, 'good'));
      const rng = generator(`${seed}`, 'start');
      const start = good.map((label) => (rng.uniform() < 0.3 ? rng.below(clustersIn(good)) : label));
      const found = q(continued(graph, start, gamma));
      const anew = q(partition(graph, gamma, generator(`${seed}`, 'anew')));
      assert.ok(found > q(start));
      assert.ok(found > anew - 0.03, `${found}, from nothing ${anew}`);
      assert.ok(q(continued(graph, good, gamma)) >= q(good) - 1e-12);
    }
  });

  test('has no cluster of fewer rows than asked for, but where it is linked with no other', () => {
    const edges: [number, number, number][] = [];
    for (const [from, to] of [
      [0, 20],
      [20, 23],
      [23, 26],
    ])
      for (let i = from; i < to; i++) for (let j = from; j < i; j++) edges.push([i, j, 1]);
    edges.push([19, 20, 0.1]);
    const found = continued(graphOf(26, edges), new Int32Array(26), 1, 10);
    assert.equal(clustersIn(found), 2);
    assert.equal(found[20], found[0]);
    assert.notEqual(found[23], found[0]);
  });

  test('of rows without edges stays as it is', () => {
    assert.deepEqual([...continued(graphOf(3, []), Int32Array.of(0, 1, 0))], [0, 1, 0]);
  });
});
