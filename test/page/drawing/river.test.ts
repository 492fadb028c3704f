import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PastUpdate, withUpdate } from '../../../model/stream/findings.ts';
import { riverOf, riverPicture, riverTable, updateTexts } from '../../../page/drawing/river.ts';
import { colourOf } from '../../../page/drawing/svg.ts';
import { updatesOf } from '../report/contents.ts';

const history = updatesOf();

test('a band of each cluster, as wide as its share, in an order that stays; new ones below their parents', () => {
  const { columns } = riverOf(history);
  assert.deepEqual(
    columns.map((column) => [...column.keys()]),
    [
      [0, 1, 2],
      [0, 1, 2, 3],
      [0, 4, 1],
      [0, 4, 1, 3],
    ],
  );
  for (const [i, column] of columns.entries()) {
    let top = 0;
    for (const [id, { from, to }] of column) {
      assert.ok(Math.abs(from - top) < 1e-12);
      assert.ok(Math.abs(to - from - history[i].sizes[id] / history[i].rows) < 1e-12);
      top = to;
    }
    assert.ok(Math.abs(top - 1) < 1e-12);
  }
});

test('bands flow on, out of each other and into each other, and all of a band is used at both ends', () => {
  const { columns, flows } = riverOf(history);
  const links = flows.map((all) => all.map(({ from, to }) => [from, to]));
  // The last one begins.
  assert.deepEqual(links[0], [
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  // The last one ends.
  assert.deepEqual(links[1], [
    [0, 0],
    [1, 1],
    [0, 4],
    [2, 0],
    [3, 3],
  ]);
  for (const [i, all] of flows.entries())
    for (const [side, column] of [columns[i], columns[i + 1]].entries())
      for (const [id, { from, to }] of column) {
        const parts = all
          .filter((flow) => (side ? flow.to : flow.from) === id)
          .map((flow) => (side ? flow.end : flow.start))
          .sort((a, b) => a.from - b.from);
        assert.equal(parts[0].from, from);
        assert.ok(Math.abs(parts.at(-1)!.to - to) < 1e-12);
        for (const [j, part] of parts.slice(1).entries())
          assert.ok(Math.abs(part.from - parts[j].to) < 1e-12);
      }
  const [, , split, merged, gone] = flows[1];
  const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a}, not ${b}`);
  near(split.end.to - split.end.from, 400 / 3000);
  near(merged.start.to - merged.start.from, 400 / 2000);
  near(gone.end.from, 1);
  near(gone.end.to, 1);
});

test('of many clusters the largest have bands, and the others one together, as have those that are not known', () => {
  const sizes = Object.fromEntries(Array.from({ length: 60 }, (_, id) => [id, 60 - id]));
  const many: PastUpdate[] = [0, 1].map((update) => ({
    ...{ update, rows: 2000, sizes },
    lineage: update ? [{ what: 'split', id: 50, from: [2, 55] }] : [],
  }));
  const { columns, flows } = riverOf(many);
  assert.equal(columns[0].size, 25);
  const { from, to } = columns[0].get(-1)!;
  const shown = Array.from({ length: 24 }, (_, id) => 60 - id).reduce((a, b) => a + b);
  assert.ok(Math.abs(to - from - (1 - shown / 2000)) < 1e-12);
  assert.deepEqual(
    flows[0].filter((flow) => flow.from !== flow.to).map((flow) => [flow.from, flow.to]),
    [[2, -1]],
  );
  assert.match(riverPicture(many), />others · /);
});

test('the picture says it all in words too, and clusters have their colours', () => {
  const drawn = riverPicture(history);
  const titles = [...drawn.matchAll(/<path [^>]*fill="(#\w+)"[^>]*><title>([^<]*)<\/title>/g)];
  const fillOf = (said: string) => titles.find(([, , title]) => title === said)?.[1];
  assert.equal(fillOf('cluster 3 is new (update 1)'), colourOf(3));
  assert.equal(fillOf('cluster 4 is new, split from 0 (update 2)'), colourOf(4));
  assert.equal(fillOf('cluster 2 was merged into 0 (update 2)'), colourOf(2));
  assert.equal(fillOf('cluster 3 is gone (update 2)'), colourOf(3));
  assert.equal(fillOf('cluster 1: 30.0 % to 30.0 % of all rows, update 0 to 1'), colourOf(1));
  assert.match(drawn, /from the first run to update 3: 1 new, 1 split off, 1 merged, 1 gone, 1 returned\./);
  assert.deepEqual(updateTexts(history), [
    'Update 3: cluster 3 has returned',
    'Update 2: cluster 3 is gone; cluster 4 is new, split from 0; cluster 2 was merged into 0',
    'Update 1: cluster 3 is new',
  ]);
  assert.deepEqual(riverTable(history).slice(0, 3), [
    ['update', 'cluster', 'rows'],
    [0, 0, 500],
    [0, 1, 300],
  ]);
});

test('of a thousand updates the last hundred are kept, and of each the largest clusters', () => {
  const ids = Array.from({ length: 300 }, (_, i) => i + 7);
  const sizes = ids.map((_, i) => 1000 - i);
  let all: PastUpdate[] = [];
  for (let update = 0; update < 1000; update++) all = withUpdate(all, update, ids, sizes, []);
  assert.deepEqual([all.length, all[0].update, all.at(-1)!.update], [100, 900, 999]);
  assert.deepEqual(Object.keys(all[0].sizes).map(Number), ids.slice(0, 200));
  assert.equal(
    all[0].rows,
    sizes.reduce((a, b) => a + b),
  );
});
