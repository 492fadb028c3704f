import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { decode } from 'fast-png';
import { UserError } from '../../../base/user-error.ts';
import { imageShape, imageUri } from '../../../data/images/folder.ts';
import type { Source } from '../../../data/source.ts';
import type { PastUpdate } from '../../../model/stream/findings.ts';
import type { MergeTree } from '../../../page/drawing/api.ts';
import { kChart, lossChart, lossScale } from '../../../page/drawing/charts.ts';
import { clusterCards } from '../../../page/drawing/clusters.ts';
import { mapPicture } from '../../../page/drawing/map-picture.ts';
import type { ModelView } from '../../../page/drawing/model-view.ts';
import { pairsTable } from '../../../page/drawing/panels.ts';
import { pointsPicture } from '../../../page/drawing/points.ts';
import { riverPicture } from '../../../page/drawing/river.ts';
import { colourOf, inDark, markerPath, markerStyle, num, picture, text } from '../../../page/drawing/svg.ts';
import { escaped } from '../../../page/drawing/text.ts';
import { treePicture } from '../../../page/drawing/tree-picture.ts';
import { crosstab } from '../../../page/report/crosstab.ts';
import { drawReport } from '../../../page/report/draw.ts';
import { startDrawing } from '../../../page/report/drawing.ts';
import { exemplarPicture } from '../../../page/report/exemplar-picture.ts';
import { exemplarView } from '../../../page/report/exemplars.ts';
import { reportPage } from '../../../page/report/page.ts';
import { pngOf } from '../../../page/report/png.ts';
import { byLabels, nodeNames } from '../../../run/described.ts';
import { readHistory } from '../../../run/event-log.ts';
import { scratchFolder } from '../../data/files.ts';
import { contentsOf, historyOf, K, sampledMap, updatesOf, viewOf } from './contents.ts';

const { folder } = scratchFolder();
const MOST_BYTES = 1e6;

/** Well-formed, without NaN, with unique ids and no dangling references. Knows only the tags and attributes that we write. */
function assertSound(svg: string): void {
  assert.ok(svg.length < MOST_BYTES, `${svg.length} bytes`);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined|null/);
  const open: string[] = [];
  const rest = svg.replace(
    /<(\/?)([a-zA-Z]+\d?)((?: [a-zA-Z-]+="[^"<]*")*)(\/?)>/g,
    (_, end, name, __, alone) => {
      if (end) assert.equal(open.pop(), name);
      else if (!alone) open.push(name);
      return '';
    },
  );
  assert.deepEqual(open, []);
  assert.doesNotMatch(rest, /[<>]|&(?!(amp|lt|gt|quot);)/, 'only tags and escaped text');
  const ids = [...svg.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const [, id] of svg.matchAll(/url\(#([^)]+)\)/g)) assert.ok(ids.includes(id));
}

test('the first 300 clusters differ in colour or shape; shapes are closed relative paths', () => {
  const markers = Array.from({ length: 300 }, (_, cluster) => markerStyle(cluster));
  assert.equal(new Set(markers.map((marker) => JSON.stringify(marker))).size, 300);
  for (const [cluster, { colour, shape }] of markers.entries()) {
    assert.equal(colour, colourOf(cluster));
    assert.match(markerPath(shape, 2), /^m[^M]*z$/);
  }
});

/** A tree of K clusters, each joined with all before it. */
const treeOf = (k: number, heightOf: (join: number) => number, likelihood = 'gaussian'): MergeTree => ({
  likelihood: likelihood as MergeTree['likelihood'],
  measure: 'nats a row',
  sizes: Array.from({ length: k }, (_, cluster) => 1e9 - cluster),
  joins: Array.from({ length: k - 1 }, (_, i) => ({
    a: i ? i + 1 : 0,
    b: i ? k + i - 1 : 1,
    height: heightOf(i),
  })),
});

/** Clusters and points that are all at one place. */
const atOnePlace = (): ModelView => {
  const { xyz, centres, covariances, ...view } = viewOf(2, 2, 10);
  return { ...view, xyz: xyz.fill(1), centres: centres.fill(1), covariances: covariances.fill(0) };
};

/** Clusters that come and go, by chance. */
const manyUpdates = (): PastUpdate[] =>
  Array.from({ length: 100 }, (_, update) => {
    const sizes = Array.from({ length: 200 }, (_, id) => [
      id,
      (id * 37 + update * 11) % 101 < 90 ? 300 - id : 0,
    ]);
    const rows = sizes.reduce((sum, [, size]) => sum + size, 0);
    return {
      ...{ update: 900 + update, rows, sizes: Object.fromEntries(sizes.filter(([, size]) => size > 0)) },
      lineage: update % 7 ? [] : [{ what: 'split', id: update, from: [3, 150] }],
    };
  });

const componentsIn = (cluster: number) => ({
  ...treeOf(cluster ? 2 : 100, (i) => i / 1e4),
  ...{ cluster, components: [] },
});

describe('pictures are sound', () => {
  const losses = (loss: (number | null)[]) => ({
    ...historyOf(loss.length).epochs,
    loss,
    subLoss: loss.map(() => null),
  });
  const zoomed = { width: 300, height: 200, from: 3, to: 9, at: 4 };
  const nine = treeOf(9, (i) => i);
  const cases: [string, () => string][] = [
    ['10 clusters', () => pointsPicture(viewOf(10, 5))],
    ['60 clusters', () => pointsPicture(viewOf(60, 5, 4000))],
    ['on a map', () => pointsPicture(viewOf(10, 5, 600, true))],
    ['all rows on a map', () => mapPicture(sampledMap(12, 20_000))],
    ['one row on a map', () => inDark(mapPicture(sampledMap(1, 1)))],
    ['2,000 clusters on a map', () => mapPicture(sampledMap(2000, 4000))],
    ['one cluster', () => pointsPicture(viewOf(1, 5))],
    ['one row', () => pointsPicture(viewOf(1, 2, 1))],
    ['no rows to show', () => pointsPicture(viewOf(4, 3, 0))],
    ['D = 1', () => pointsPicture(viewOf(4, 1))],
    ['D = 1, K = 1, no rows', () => pointsPicture(viewOf(1, 1, 0))],
    ['clusters without extent', () => pointsPicture(atOnePlace())],
    ['K of one epoch', () => kChart(historyOf(1), null)],
    ['K stays', () => kChart(historyOf(50), 3)],
    ['K over 10,000 epochs with 3,000 changes', () => kChart(historyOf(10_000, 3000), 10)],
    ['losses of nothing', () => lossChart(losses([null, null]))],
    ['one loss', () => lossChart(losses([0]))],
    ['negative losses', () => lossChart(losses([-1, -2, -3]))],
    ['losses of 10,000 epochs', () => lossChart(historyOf(10_000).epochs)],
    ['some epochs, one pointed at', () => kChart(historyOf(50, 9), null, zoomed)],
    ['a river of two updates', () => riverPicture(updatesOf().slice(0, 2))],
    ['a river in which all happens', () => riverPicture(updatesOf(), 420)],
    ['a river of a hundred updates of 200 clusters', () => riverPicture(manyUpdates())],
    ['a tree of two', () => treePicture(treeOf(2, (i) => i))],
    ['a tree at 0', () => treePicture(treeOf(30, () => 0))],
    ['a tree of a graph', () => treePicture(treeOf(61, (i) => Math.max(0, 40 - i), 'graph'))],
    ['a tree of 2,000', () => treePicture(treeOf(2000, (i) => 1e-7 * 1.02 ** i))],
    ['a tree that is cut', () => treePicture(nine, { left: 4, colours: [1, 2], width: 320 })],
    ['a tree with components', () => treePicture({ ...nine, components: [0, 7].map(componentsIn) })],
    [
      'components of a single cluster',
      () => treePicture({ ...nine, sizes: [90], joins: [], components: [componentsIn(0)] }),
    ],
    [
      'names that are markup',
      () => pairsTable('a', ['<b>'], ['<script>"&\u0000\ud800', 'b\u202e'], [[7, 1]]),
    ],
  ];
  for (const [name, draw] of cases) test(name, () => assertSound(draw()));

  test('there may be more losses than a call can have arguments', () => {
    assert.doesNotMatch(kChart(historyOf(200_000, 5), null), /NaN|Infinity|undefined/);
    assert.equal(lossScale(Array(200_000).fill(3), [0, 1])(3), 1);
  });

  test('of 60 clusters most have their number, and every point is drawn', () => {
    const drawn = pointsPicture(viewOf(60, 5, 4000));
    assert.ok([...drawn.matchAll(/ font-weight="600" class="ink"[^>]*>\d+</g)].length > 50);
    assert.ok([...drawn.matchAll(/M[\d.-]+ [\d.-]+(h0|m)/g)].length >= 4000);
  });

  test('NaN and infinity are rejected; markup, control characters and lone surrogates are escaped', () => {
    for (const value of [Number.NaN, Infinity]) assert.throws(() => num(value), UserError);
    assert.equal(num(-0.01), '0');
    assert.equal(escaped('<a href="x">&\u0007\ud800b'), '&lt;a href=&quot;x&quot;&gt;&amp;\ufffd\ufffdb');
  });

  test('a tree has the larger branch of each join above, and the number of clusters at each', () => {
    const textsOf = (svg: string) =>
      [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, found]) => found);
    const tree = { ...treeOf(4, (i) => i), sizes: [50, 40, 100, 20] };
    const texts = textsOf(treePicture(tree));
    // 100 rows are above 50 + 40, and all of these above 20.
    assert.deepEqual(texts.slice(-8), ['2', '100', '0', '50', '1', '40', '3', '20']);
    // Each number twice: its outline first.
    assert.deepEqual(texts.slice(texts.indexOf('nats a row') + 1, -8), ['3', '3', '2', '2', '1', '1']);
    assert.ok(textsOf(treePicture(treeOf(500, (i) => i))).includes('0, 1, … (441)'));
  });
});

describe('confusion', () => {
  const square = (n: number, count: (k: number, c: number) => number) =>
    crosstab(
      Array.from({ length: n }, (_, k) => Array.from({ length: n }, (_, c) => count(k, c))),
      Array.from({ length: n }, (_, c) => `class ${c}`),
    );
  const sum = (rows: number[][]) => rows.flat().reduce((a, b) => a + b, 0);

  test('clusters are in the order of their matched classes, unmatched ones last, without empty ones', () => {
    const rows = ['0 9 1', '0 0 0', '8 0 0', '0 3 2', '0 0 7'].map((row) => row.split(' ').map(Number));
    const { clusters, counts } = crosstab(rows, ['x', 'y', 'z']);
    assert.deepEqual(clusters, ['2', '0', '4', '3']);
    assert.deepEqual(counts, [rows[2], rows[0], rows[4], rows[3]]);
  });

  test('clusters are named by their labels', () => {
    const { clusters, mixedUp } = crosstab(
      [
        [9, 1],
        [0, 8],
      ],
      ['x', 'y'],
      [5, 2],
    );
    assert.deepEqual(clusters, ['5', '2']);
    assert.deepEqual(mixedUp, [{ cluster: '5', class: 'y', rows: 1, share: 0.1 }]);
  });

  test('beyond 40 the smallest are grouped, and no row is lost', () => {
    const { clusters, classes, counts } = square(100, (k, c) => (c === k ? 1000 + k : 1));
    assert.deepEqual([clusters.length, classes.length], [40, 40]);
    assert.deepEqual([clusters.at(-1), classes.at(-1)], ['61 others', '61 others']);
    assert.equal(sum(counts), 100 * 99 + 100 * 1000 + (100 * 99) / 2);
    for (const [i, row] of counts.entries()) assert.equal(row[i], Math.max(...row));
  });

  test('of 1,000 clusters that are the classes in another order, only the diagonal has rows', () => {
    const classOf = (k: number) => (k * 7 + 3) % 1000;
    // One mistake, which the picture sums with the rest, and the table names.
    const of = (k: number, c: number) =>
      k === 0 && c === 5 ? 9 : c === classOf(k) ? 50 + ((k * 13) % 400) : 0;
    const { clusters, classes, counts, mixedUp } = square(1000, of);
    assert.deepEqual([clusters.length, classes.length], [40, 40]);
    for (const [i, row] of counts.entries())
      for (const [j, count] of row.entries())
        assert.ok(i === j ? count > 0 : count === 0 || count === 9, `${i}, ${j}: ${count}`);
    for (const [i, name] of clusters.slice(0, -1).entries())
      assert.equal(classes[i], `class ${classOf(Number(name))}`);
    assert.deepEqual(
      mixedUp.map(({ cluster, class: name, rows }) => [cluster, name, rows]),
      [['0', 'class 5', 9]],
    );
  });

  test('with more clusters than classes, those without a match come after the matched ones', () => {
    const table = crosstab(
      Array.from({ length: 100 }, (_, k) => (k % 2 ? [k + 1, 0] : [0, k + 1])),
      ['odd', 'even'],
    );
    assert.deepEqual([table.clusters.length, table.clusters.at(-1)], [40, '61 others']);
    assert.deepEqual(table.clusters.slice(0, 4), ['99', '98', '97', '96']);
    assert.deepEqual(table.classes, ['odd', 'even']);
  });
});

test('cards go by labels, where these are not the numbers of clusters', () => {
  const described = {
    measure: 'nats a row',
    clusters: [8, 3, 5].map((id, cluster) => ({
      ...{ cluster, id, size: 9, share: 0.3, exemplars: [], apart: [] },
      border: [{ row: 7, other: (cluster + 1) % 3 }],
      evidence: { join: { clusters: [(cluster + 2) % 3], height: 0.25 }, split: null },
    })),
  };
  const cards = clusterCards(byLabels(described).clusters, null).split('\n');
  assert.match(cards[0], /fill="(#\w+)".*Cluster 8 .*\(to 3\).*joins 5 at/);
  assert.ok(cards[0].includes(colourOf(8)));
  assert.match(cards[2], /Cluster 5 .*\(to 8\).*joins 3 at/);
  const plain = contentsOf().described!;
  assert.deepEqual(byLabels(plain), plain);
});

test('cards, table and tree have the names of clusters, shown and never executed', () => {
  const plain = contentsOf();
  const { described, view } = plain;
  const clusters = described!.clusters.map((one, c) => ({
    ...one,
    ...(c === 0
      ? { name: '<img src=x> & שלום', namedBy: 'hand' }
      : { name: `cluster ${c}`, namedBy: 'number' }),
  }));
  const named = { ...plain, described: { ...described!, clusters } };
  const page = reportPage(named, [], false);
  assert.ok(!page.includes('<img src=x>'));
  assert.equal(page.split('<bdi>&lt;img src=x&gt; &amp; שלום</bdi>').length - 1, 2);
  assert.ok(!/<bdi>cluster [0-9]/.test(page), 'a number is no name');
  const tree = treePicture(view!.tree!, null, nodeNames(named.described));
  assert.ok(tree.includes('>0 &lt;img src=x&gt; &amp; שלום</text>'));
});

describe('a line that is not an event', () => {
  const line = (type: string, fields: string) => `{"time":"2026-11-24T00:00:00Z","type":"${type}",${fields}}`;
  const epoch = line('epoch', '"epoch":1,"k":1,"width":1,"loss":1,"subLoss":null,"seconds":{},"workers":{}');
  const split = line('split', '"epoch":1,"clusters":[0],"points":[3,4],"logRatio":5,"accepted":false');
  const step = line('step', '"epoch":6,"kind":"split","changed":1,"k":2');
  for (const bad of [
    ...['{"type":"epoch","epoch":1', '{"type":"epoch","epoch":"1"}', '[]', '17', 'null', '{"type":"resume"}'],
    epoch.replace('"loss":1', '"loss":"x"'),
    epoch.replace('"subLoss":null', '"subLoss":{}'),
    epoch.replace('"seconds":{}', '"seconds":{"moments":"x"}'),
    epoch.replace('"epoch":1', '"epoch":-1'),
    ...['"x"', '[]', 'true'].map((ratio) => split.replace('"logRatio":5', `"logRatio":${ratio}`)),
    split.replace('"points":[3,4]', '"points":null'),
    split.replace('"clusters":[0]', '"clusters":["a"]'),
    step.replace('"changed":1', '"changed":"1"'),
    step.replace('"kind":"split"', '"kind":"toString"'),
    '{"type":"end","epoch":1,"k":1,"reason":{}}',
  ])
    test(bad.slice(0, 60), () => {
      const damaged: number[] = [];
      const { past } = readHistory([epoch, bad, ''], (number) => damaged.push(number));
      assert.deepEqual([damaged, past.epochs.epoch], [[2], [1]]);
    });
});

test('a PNG is twice the size of the picture, at most 1 MB, with the bundled font, not that of the system', async () => {
  const png = await pngOf(pointsPicture(viewOf(60, 5, 4000)));
  const { width, height } = decode(png);
  assert.deepEqual([width, height], [1200, 1088]);
  assert.ok(png.length < MOST_BYTES);
  const attributes = { id: 'x', height: 40, title: 't', description: 'd' };
  const empty = await pngOf(picture(attributes));
  const thin = await pngOf(picture(attributes, text(20, 25, 'Größe Σ μ 12')));
  const bold = await pngOf(picture(attributes, text(20, 25, 'Größe Σ μ 12', { bold: true })));
  assert.ok(thin.length > empty.length + 500);
  assert.notDeepEqual(thin, bold);
});

test('drawing that is stopped rejects', async () => {
  const drawing = startDrawing();
  drawing.stop();
  await assert.rejects(drawing.draw({ run: 'nowhere', version: '0' }), /^Error: drawing was stopped/);
});

test('drawing for which there are no descriptors rejects', { skip: !existsSync('/proc/self/limits') }, () => {
  const script = `
    import { openSync } from 'node:fs';
    import { startDrawing } from './page/report/drawing.ts';
    try {
      for (;;) openSync('/dev/null', 'r');
    } catch {}
    const drawing = startDrawing();
    const problem = await drawing.draw({}).catch(({ message }) => message);
    drawing.stop();
    process.exitCode = /^its process ended: spawn .* EMFILE$/.test(problem) ? 7 : 1;
  `;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', script];
  const { status, stderr } = spawnSync('sh', ['-c', 'ulimit -n 200 && exec "$@"', 'sh', ...node], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 7, stderr);
});

/** The pixels of a data URI. */
const pixelsOf = (uri: string) => decode(Buffer.from(uri.replace('data:image/png;base64,', ''), 'base64'));

describe('the image of a row', () => {
  test('is known by the shape', () => {
    const grey = { height: 5, width: 6, channels: 1, planar: false };
    assert.deepEqual(imageShape([5, 6]), grey);
    assert.deepEqual(imageShape([5, 6, 1]), grey);
    assert.deepEqual(imageShape([5, 6, 3]), { ...grey, channels: 3 });
    assert.deepEqual(imageShape([3, 5, 6]), { ...grey, channels: 3, planar: true });
    for (const none of [undefined, [7], [2, 100], [5, 6, 2], [9, 9, 9], [1, 2, 3, 4]])
      assert.equal(imageShape(none), null, String(none));
  });

  test('has its pixels, in colour too', () => {
    const shape = { height: 4, width: 5, channels: 3, planar: false } as const;
    const values = Array.from({ length: 60 }, (_, i) => i * 4);
    const png = pixelsOf(imageUri(values, shape, [0, 255]));
    assert.deepEqual([png.width, png.height, png.channels], [5, 4, 3]);
    assert.deepEqual([...png.data], values);
    const planes = Array.from({ length: 60 }, (_, p) => values[(p % 20) * 3 + Math.floor(p / 20)]);
    assert.deepEqual([...pixelsOf(imageUri(planes, { ...shape, planar: true }, [0, 255])).data], values);
  });

  test('is scaled to the range and cut off there; a large one is thinned', () => {
    const small = { height: 4, width: 4, channels: 1, planar: false } as const;
    const { data } = pixelsOf(imageUri([-9, -1, 0, 1, ...Array(11).fill(0), 9], small, [-1, 1]));
    assert.deepEqual([...data.slice(0, 4), data.at(-1)], [0, 0, 128, 255, 255]);
    const large = { height: 200, width: 100, channels: 1, planar: false } as const;
    const values = Array.from({ length: 20_000 }, (_, i) => Math.floor(i / 100));
    const thin = pixelsOf(imageUri(values, large, [0, 255]));
    assert.deepEqual([thin.width, thin.height], [25, 50]);
    assert.deepEqual([thin.data[0], thin.data[25], thin.data.at(-1)], [0, 4, 196]);
  });
});

describe('exemplars', () => {
  const ROWS = 600;
  const source: Source = {
    rows: 10 * ROWS,
    dim: 16,
    dtype: 'uint8',
    shape: [4, 4],
    read: async (start, count) =>
      Float32Array.from({ length: count * 16 }, (_, i) => (start + Math.floor(i / 16)) % 200),
    stored: () => assert.fail('not asked for'),
    close() {},
  };
  const images = { source, shape: imageShape(source.shape)! };
  const view = viewOf(3, 5, ROWS);
  const typical = (cluster: number) => view.typical[cluster];

  test('are the images of typical rows, of the largest cluster first', async () => {
    const found = await exemplarView({ view, typical, images, codes: null });
    assert.deepEqual([found.range, found.k], [[0, 255], 3]);
    for (const { cluster, images: pixels, at } of found.clusters) {
      assert.deepEqual(at, view.typical[cluster].slice(0, 8));
      assert.deepEqual(
        pixels.map((values) => values[0]),
        at.map((row) => row % 200),
      );
    }
    const sizes = found.clusters.map(({ rows }) => rows);
    for (const [i, size] of sizes.slice(1).entries()) assert.ok(size <= sizes[i]);
    const svg = exemplarPicture(found);
    assertSound(svg);
    assert.doesNotMatch(svg, /decoded/);
    assert.ok((await pngOf(svg)).length > 1000);
  });

  test('with a decoder, the decoded mean of the rows’ codes too', async () => {
    const decode = (codes: Float32Array) => codes.map((value) => value + 1);
    const found = await exemplarView({ view, typical, images, codes: { source, decode } });
    for (const { cluster, decoded } of found.clusters) {
      const rows = [...view.rows].filter((_, i) => view.labels[i] === cluster);
      const mean = rows.reduce((sum, row) => sum + (row % 200), 0) / rows.length;
      assert.ok(Math.abs(decoded![5] - mean - 1) < 1e-3);
    }
    assert.match(exemplarPicture(found), />decoded</);
  });

  test('a mean of several components is not decoded', async () => {
    const clusters = view.clusters.map((cluster, c) => ({ ...cluster, components: c ? [c + 1] : [0, 1] }));
    const decode = (codes: Float32Array) => codes;
    const joined = { view: { ...view, clusters }, typical, images, codes: { source, decode } };
    for (const { cluster, decoded } of (await exemplarView(joined)).clusters)
      assert.equal(decoded === null, cluster === 0);
  });
});

test('the folder of a report has what the run has, and nothing of an earlier one', async () => {
  const at = join(folder, 'drawn');
  const { pictures } = await drawReport(at, contentsOf());
  assert.deepEqual(pictures, ['clusters', 'map', 'exemplars', 'river', 'dendrogram', 'k', 'losses']);
  const page = readFileSync(join(at, 'report.html'), 'utf8').replace(/<script.*?<\/script>/gs, '');
  assert.equal([...page.matchAll(/<article /g)].length, 2);
  assert.equal([...page.matchAll(/<tr data-cluster=/g)].length, K);
  assert.doesNotMatch(page, /NaN|undefined<|<!--[a-z/-]+-->/);
  // Machines are nobody's business to whom it is sent.
  assert.doesNotMatch(page, /a-host/);
  const none = {
    ...{ view: null, map: null, exemplars: null, described: null, confusion: null, outcome: null },
    updates: null,
  };
  const bare = await drawReport(at, { ...contentsOf(), ...none });
  assert.deepEqual(bare.pictures, ['k', 'losses']);
  for (const components of [[], [componentsIn(0)]]) {
    const tree = { ...treeOf(1, (i) => i), components };
    const one = { ...contentsOf(), ...none, view: { ...viewOf(1, 2), tree } };
    const { pictures } = await drawReport(join(folder, 'one'), one);
    assert.equal(pictures.includes('dendrogram'), components.length > 0);
  }
  assert.deepEqual(readdirSync(at).sort(), ['k.png', 'k.svg', 'losses.png', 'losses.svg', 'report.html']);
});
