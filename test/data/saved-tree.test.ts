import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { runFiles } from '../../run/run-files.ts';
import { readSavedTree } from '../../run/saved-tree.ts';
import { type SavedTree, savedTree } from '../../run/tree.ts';
import { scratchFolder } from './files.ts';

const { folder } = scratchFolder();
let runs = 0;
/** A run directory with this tree.json. */
function runWith(content: unknown): string {
  const run = join(folder, `run-${++runs}`);
  mkdirSync(run);
  writeFileSync(join(run, 'tree.json'), typeof content === 'string' ? content : JSON.stringify(content));
  return run;
}

const tree = savedTree(
  { likelihood: 'gaussian', measure: 'nats a row' },
  {
    sizes: [50, 40, 30],
    joins: [
      { a: 1, b: 2, height: 0.1 },
      { a: 0, b: 3, height: 0.4 },
    ],
  },
);

describe('tree.json', () => {
  test('has the rows of each join, and is read as it was written', () => {
    assert.deepEqual(
      tree.joins.map(({ size }) => size),
      [70, 120],
    );
    assert.deepEqual(readSavedTree(runFiles(runWith(tree))), tree);
    const graph = {
      ...tree,
      likelihood: 'graph',
      joins: tree.joins.map((own) => ({ ...own, height: -own.height })),
    };
    assert.deepEqual(readSavedTree(runFiles(runWith(graph))), graph);
    const single = { ...tree, clusters: 1, sizes: [7], joins: [] };
    assert.deepEqual(readSavedTree(runFiles(runWith(single))), single);
  });

  test('is null where there is none, and an error where it is missing', () => {
    const run = join(folder, 'none');
    mkdirSync(run);
    assert.equal(readSavedTree(runFiles(run)), null);
    assert.throws(
      () => readSavedTree(runFiles(run, { 'tree.json': 'ab' })),
      /tree\.json is damaged \(it is missing\)/,
    );
    assert.throws(() => readSavedTree(runFiles(runWith(tree), { 'tree.json': 'ab' })), /SHA-256/);
  });

  test('may say which clusters split next, in the order in which they would', () => {
    const next = [
      { cluster: 1, sizes: [28, 12], height: 0.03 },
      { cluster: 0, sizes: [26, 24], height: 0.03 },
      { cluster: 2, sizes: [29, 1], height: -0.02 },
    ] as const;
    const both = savedTree({ likelihood: 'gaussian', measure: 'nats a row' }, tree, next);
    assert.deepEqual(both, { ...tree, next });
    assert.deepEqual(readSavedTree(runFiles(runWith(both))), both);
    const none = { ...tree, next: [] };
    assert.deepEqual(readSavedTree(runFiles(runWith(none))), none);
    const single = { likelihood: 'graph', measure: 'γ', clusters: 1, sizes: [7], joins: [] };
    const graph = { ...single, next: [{ cluster: 0, sizes: [4, 3], height: 1.5 }] };
    assert.deepEqual(readSavedTree(runFiles(runWith(graph))), graph);
  });

  test('may have trees of components within clusters', () => {
    const own = { cluster: 0, components: [0, 1, 2], sizes: [30, 15, 4] };
    const joins = [
      { a: 1, b: 2, height: 0.2 },
      { a: 0, b: 3, height: 5 },
    ];
    const both = savedTree({ likelihood: 'gaussian', measure: 'nats a row' }, tree, [], [{ ...own, joins }]);
    assert.deepEqual(
      both.components![0].joins.map(({ size }) => size),
      [19, 49],
    );
    assert.deepEqual(readSavedTree(runFiles(runWith(both))), both);
  });

  const ring = {
    cluster: 1,
    components: [1, 2],
    sizes: [30, 10],
    joins: [{ a: 0, b: 1, height: 1, size: 40 }],
  };
  const withJoin = (i: number, change: object): SavedTree => ({
    ...tree,
    joins: tree.joins.map((own, j) => (i === j ? { ...own, ...change } : own)),
  });
  const withNext = (...next: (readonly [cluster: unknown, sizes: unknown, height: unknown])[]) => ({
    ...tree,
    next: next.map(([cluster, sizes, height]) => ({ cluster, sizes, height })),
  });
  const rising = withNext([0, [26, 24], 1], [1, [28, 12], 2]);
  for (const [name, content, says] of [
    ['is no JSON', '{', /JSON/],
    ['is a list', [], /its content is not/],
    ['has another likelihood', { ...tree, likelihood: 'other' }, /likelihood is not/],
    ['has a line break in its measure', { ...tree, measure: 'a\nb' }, /measure is not/],
    ['has a join too few', { ...tree, joins: tree.joins.slice(1) }, /1 joins of 3 clusters/],
    ['joins a cluster twice', withJoin(1, { a: 1 }), /joins\.1 is of 1 and 3/],
    ['joins what is not there yet', withJoin(0, { b: 4 }), /joins\.0 is of 1 and 4/],
    ['has another size', withJoin(0, { size: 71 }), /joins\.0 has 71 rows, not 70/],
    ['has a height that is no number', withJoin(0, { height: null }), /joins\.0\.height is not/],
    ['turns back', withJoin(1, { height: 0.05 }), /joins\.1 is out of order/],
    ['rises where it must fall', { ...tree, likelihood: 'graph' }, /joins\.1 is out of order/],
    ['splits a cluster that is not there', withNext([3, [2, 1], 0]), /next\.0 is of 3/],
    ['splits a cluster twice', withNext([1, [20, 20], 0], [1, [20, 20], 0]), /next\.1 is of 1/],
    ['splits into other rows', withNext([1, [28, 13], 0]), /next\.0 has 41 rows, not 40/],
    ['splits off no rows', withNext([1, [40, 0], 0]), /next\.0\.sizes\.1 is not/],
    ['splits into three', withNext([1, [20, 10, 10], 0]), /next\.0\.sizes is not/],
    ['splits at no height', withNext([1, [20, 20], null]), /next\.0\.height is not/],
    ['splits last what it would first', rising, /next\.1 is out of order/],
    [
      'has components of no cluster',
      { ...tree, components: [{ ...ring, cluster: 3 }] },
      /components\.0 are of 3/,
    ],
    ['has components of one twice', { ...tree, components: [ring, ring] }, /components\.1 are of 1/],
    [
      'splits what has components',
      { ...withNext([1, [20, 20], 0]), components: [ring] },
      /components\.0 are of 1/,
    ],
    [
      'joins too few components',
      { ...tree, components: [{ ...ring, joins: [] }] },
      /components\.0: it has 0 joins of 2 clusters/,
    ],
    [
      'splits last what it would first, of a graph',
      {
        ...withNext([1, [28, 12], 2], [0, [26, 24], 1]),
        likelihood: 'graph',
        joins: tree.joins.map((own) => ({ ...own, height: -own.height })),
      },
      /next\.1 is out of order/,
    ],
  ] as const)
    test(`that ${name} is refused`, () =>
      assert.throws(
        () => readSavedTree(runFiles(runWith(content))),
        (error: Error) =>
          error instanceof UserError && !error.message.includes('\n') && says.test(error.message),
      ));
});
