import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { startDrawing } from '../../coordinator/report/drawing.ts';
import { type SavedTree, savedTree } from '../../data/saved/saved-clusters.ts';
import { generator } from '../../model/random.ts';
import { crosstab } from '../../report/crosstab.ts';
import { drawReport } from '../../report/draw.ts';
import { historyFrom } from '../../report/history.ts';
import { markerPath, markerStyle } from '../../report/markers.ts';
import { type ClusterView, clusterPicture } from '../../report/pictures/clusters.ts';
import { confusionPicture } from '../../report/pictures/confusion.ts';
import { dendrogramPicture } from '../../report/pictures/dendrogram.ts';
import { kPicture } from '../../report/pictures/k.ts';
import { lossPicture } from '../../report/pictures/losses.ts';
import { sizesPicture } from '../../report/pictures/sizes.ts';
import { subClusterPicture } from '../../report/pictures/sub-clusters.ts';
import { pngOf } from '../../report/png.ts';
import { sampleRanges } from '../../report/row-reader.ts';
import { ellipsePath, escaped, num, picture, text } from '../../report/svg.ts';
import { likeliestSplit } from '../../report/views.ts';
import { colourOf } from '../../view/palette.ts';
import { lossScale } from '../../view/scales.ts';
import { scratchFolder } from '../data/files.ts';

const { folder } = scratchFolder();
const rng = (purpose: string) => generator(1n, purpose);
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

test('an ellipse passes through the points at two standard deviations', () => {
  const [xx, xy, yy] = [4, 1.5, 1];
  const at: [number, number][] = [];
  ellipsePath([10, 20], [xx, xy, yy], 2, (x, y) => {
    at.push([x - 10, y - 20]);
    return '0 0';
  });
  const determinant = xx * yy - xy * xy;
  // Every third point is on the curve, the others are handles.
  for (const [x, y] of at.filter((_, i) => i % 3 === 0)) {
    const distance = (yy * x * x - 2 * xy * x * y + xx * y * y) / determinant;
    assert.ok(Math.abs(distance - 4) < 1e-9, String(distance));
  }
  assert.equal(at.length, 13);
});

describe('sampled rows', () => {
  test('are all rows, each once, if there are few', () => {
    for (const rows of [1, 15, 16, 17, 3999, 4000]) {
      const seen = sampleRanges(rows, 4000, 0n).flatMap(({ start, count }) =>
        Array.from({ length: count }, (_, i) => start + i),
      );
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        [...Array(rows).keys()],
      );
    }
  });

  test('are at most the wanted number, spread over the file, and depend only on the seed', () => {
    for (const rows of [4001, 70_000, 1e9]) {
      const ranges = sampleRanges(rows, 4000, 7n);
      assert.equal(
        ranges.reduce((sum, { count }) => sum + count, 0),
        4000,
      );
      const starts = ranges.map(({ start }) => start).sort((a, b) => a - b);
      starts.forEach((start, i) => {
        assert.ok(start >= (i * rows) / ranges.length - 1 && start + 16 <= rows);
        if (i) assert.ok(start >= starts[i - 1] + 16);
      });
      assert.deepEqual(sampleRanges(rows, 4000, 7n), ranges);
      if (rows > 5000) assert.notDeepEqual(sampleRanges(rows, 4000, 8n), ranges);
    }
  });

  test('are spread over the file in any prefix too', () => {
    const first = sampleRanges(1e6, 16_000, 0n).slice(0, 20);
    for (let part = 0; part < 4; part++)
      assert.ok(first.some(({ start }) => Math.floor(start / 250_000) === part));
  });
});

describe('markers', () => {
  test('the first 300 clusters differ in colour or shape; colours are those of the live page', () => {
    const markers = Array.from({ length: 300 }, (_, cluster) => markerStyle(cluster));
    assert.equal(new Set(markers.map((marker) => JSON.stringify(marker))).size, 300);
    for (const [cluster, { colour }] of markers.entries()) assert.equal(colour, colourOf(cluster));
  });

  test('all shapes are closed relative paths', () => {
    const shapes = new Set(Array.from({ length: 300 }, (_, cluster) => markerStyle(cluster).shape));
    assert.equal(shapes.size, 6);
    for (const shape of shapes) assert.match(markerPath(shape, 2), /^m[^M]*z$/);
  });
});

/** A view of K clusters and n rows. */
function view(k: number, dim: number, n = 4000): ClusterView {
  const draw = rng(`view ${k} ${dim}`);
  const components = Array.from({ length: k }, (_, cluster) => ({
    cluster,
    weight: 1 / k,
    centre: [20 * draw.normal(), dim > 1 ? 20 * draw.normal() : 0] as const,
    spread: (dim > 1 ? [1, 0.3, 0.5] : [1, 0, 0]) as [number, number, number],
  }));
  const cluster = Int32Array.from({ length: n }, () => draw.below(k));
  const along = (axis: 0 | 1) =>
    Float64Array.from(cluster, (c) => components[c].centre[axis] + draw.normal());
  return {
    dim,
    shares: [0.7, 0.2],
    components,
    points: { x: along(0), y: along(1), cluster, row: Float64Array.from(cluster.keys()) },
  };
}

const halves = (dim: number) =>
  [0, 1].map((i) => ({
    rows: 100 + i,
    centre: [3 * i, 0] as const,
    spread: (dim > 1 ? [1, 0.2, 1] : [1, 0, 0]) as [number, number, number],
  }));
const inside = (dim: number, n: number) => {
  const draw = rng('inside');
  const some = (next: () => number) => Float64Array.from({ length: n }, next);
  const row = some(draw.uniform);
  const points = { x: some(draw.normal), y: some(draw.normal), row, responsibility: some(draw.uniform) };
  return { cluster: 3, dim, halves: halves(dim), points };
};

/** A tree of K clusters, each joined with all before it. */
const treeOf = (k: number, heightOf: (join: number) => number) =>
  savedTree(
    { likelihood: 'gaussian', measure: 'nats a row' },
    {
      sizes: Array.from({ length: k }, (_, cluster) => 1e9 - cluster),
      joins: Array.from({ length: k - 1 }, (_, i) => ({
        a: i ? i + 1 : 0,
        b: i ? k + i - 1 : 1,
        height: heightOf(i),
      })),
    },
  );

const historyOf = (epochs: number, at: (epoch: number) => object = () => ({})) => ({
  epochs: Array.from({ length: epochs }, (_, i) => ({
    epoch: i + 1,
    k: 1,
    loss: null,
    subLoss: null,
    ...at(i + 1),
  })),
  steps: [],
  splits: [],
  proposed: { split: 0, merge: 0 },
  ended: null,
  sessions: 1,
});

describe('pictures are sound', () => {
  const cases: [string, () => string][] = [
    ['10 clusters', () => clusterPicture(view(10, 5))],
    ['60 clusters', () => clusterPicture(view(60, 5))],
    ['5,000 clusters', () => clusterPicture(view(5000, 5))],
    ['one cluster', () => clusterPicture({ ...view(1, 5), shares: [0, 0] })],
    ['one row', () => clusterPicture(view(1, 2, 1))],
    ['no rows to show', () => clusterPicture(view(4, 3, 0))],
    ['D = 1', () => clusterPicture(view(4, 1))],
    ['D = 1, K = 1, no rows', () => clusterPicture(view(1, 1, 0))],
    [
      'clusters without extent',
      () => {
        const all = view(2, 2, 10);
        return clusterPicture({
          ...all,
          components: all.components.map((one) => ({
            ...one,
            centre: [1, 1] as const,
            spread: [0, 0, 0] as const,
          })),
          points: { ...all.points, x: new Float64Array(10).fill(1), y: new Float64Array(10).fill(1) },
        });
      },
    ],
    ['sub-clusters', () => subClusterPicture(inside(4, 1200))],
    ['sub-clusters, D = 1', () => subClusterPicture(inside(1, 1200))],
    ['sub-clusters, no rows', () => subClusterPicture(inside(2, 0))],
    ['K of one epoch', () => kPicture(historyOf(1), null)],
    ['K stays', () => kPicture(historyOf(50), 3)],
    ['losses of nothing', () => lossPicture(historyOf(5))],
    ['one loss', () => lossPicture(historyOf(1, () => ({ loss: 0 })))],
    [
      'negative loss',
      () => lossPicture(historyOf(9, (epoch) => ({ loss: -epoch, subLoss: epoch % 4 ? 1 : null }))),
    ],
    ['10,000 epochs', () => lossPicture(historyOf(10_000, (epoch) => ({ loss: 1 / epoch, subLoss: epoch })))],
    ['one size', () => sizesPicture([{ cluster: 0, rows: 1 }], 1)],
    [
      '30 sizes',
      () =>
        sizesPicture(
          Array.from({ length: 30 }, (_, cluster) => ({ cluster, rows: 1e9 + cluster })),
          3e10,
        ),
    ],
    [
      '60 sizes',
      () =>
        sizesPicture(
          Array.from({ length: 60 }, (_, cluster) => ({ cluster, rows: cluster + 1 })),
          1830,
        ),
    ],
    [
      '2,000 sizes',
      () =>
        sizesPicture(
          Array.from({ length: 20_000 }, (_, cluster) => ({ cluster, rows: cluster + 1 })),
          2e6,
        ),
    ],
    ['a tree of two', () => dendrogramPicture(treeOf(2, (i) => i))],
    ['a tree at 0', () => dendrogramPicture(treeOf(30, () => 0))],
    [
      'a tree of a graph',
      () => dendrogramPicture({ ...treeOf(61, (i) => Math.max(0, 40 - i)), likelihood: 'graph' }),
    ],
    ['a tree of 2,000', () => dendrogramPicture(treeOf(2000, (i) => 1e-7 * 1.02 ** i))],
    ['confusion of one', () => confusionPicture(crosstab([[7]], ['a']))],
    [
      'names that are markup',
      () => confusionPicture(crosstab([[7, 1]], ['<script>"&\u0000\ud800', 'b\u202e'])),
    ],
  ];
  for (const [name, draw] of cases) test(name, () => assertSound(draw()));

  test('K over 10,000 epochs with 3,000 changes', () => {
    const steps = Array.from({ length: 3000 }, (_, i) => ({
      epoch: 3 * (i + 1),
      kind: i % 2 ? ('merge' as const) : ('split' as const),
      changed: 1,
      k: i % 2 ? 1 : 2,
    }));
    assertSound(kPicture({ ...historyOf(10_000), steps }, 10));
  });

  test('K changes in more epochs, and there are more losses, than a call can have arguments', () => {
    const most = 200_000;
    const shown = kPicture(
      historyOf(most, (epoch) => ({ k: 1 + (epoch % 7) })),
      null,
    );
    assert.doesNotMatch(shown, /NaN|Infinity|undefined/);
    assert.equal(lossScale(Array(most).fill(3), [0, 1])(3), 1);
  });

  test('of 60 clusters most are labelled, and every point is drawn', () => {
    const drawn = clusterPicture(view(60, 5));
    const labels = [...drawn.matchAll(/ font-weight="600" class="ink"[^>]*>(\d+)</g)].map(([, name]) =>
      Number(name),
    );
    assert.ok(labels.length > 50, `${labels.length} labels`);
    assert.equal([...drawn.matchAll(/M[\d.-]+ [\d.-]+(h0|m)/g)].length >= 4000, true);
  });

  test('NaN and infinity are rejected', () => {
    assert.throws(() => num(Number.NaN), UserError);
    assert.throws(() => num(Infinity), UserError);
    assert.equal(num(-0.01), '0');
  });

  test('markup, control characters and lone surrogates are escaped', () => {
    assert.equal(escaped('<a href="x">&\u0007\ud800b'), '&lt;a href=&quot;x&quot;&gt;&amp;\ufffd\ufffdb');
  });
});

describe('confusion', () => {
  test('clusters are in the order of their matched classes, unmatched ones last, without empty ones', () => {
    const table = crosstab(
      [
        [0, 9, 1],
        [0, 0, 0],
        [8, 0, 0],
        [0, 3, 2],
        [0, 0, 7],
      ],
      ['x', 'y', 'z'],
    );
    assert.deepEqual(table.clusters, ['2', '0', '4', '3']);
    assert.deepEqual(table.counts, [
      [8, 0, 0],
      [0, 9, 1],
      [0, 0, 7],
      [0, 3, 2],
    ]);
  });

  test('beyond 40 the smallest are grouped, and no row is lost', () => {
    const n = 100;
    const counts = Array.from({ length: n }, (_, k) =>
      Array.from({ length: n }, (_, c) => (c === k ? 1000 + k : 1)),
    );
    const table = crosstab(
      counts,
      Array.from({ length: n }, (_, c) => `class ${c}`),
    );
    assert.deepEqual([table.clusters.length, table.classes.length], [40, 40]);
    assert.deepEqual([table.clusters.at(-1), table.classes.at(-1)], ['61 others', '61 others']);
    const sum = (rows: number[][]) => rows.flat().reduce((a, b) => a + b, 0);
    assert.equal(sum(table.counts), sum(counts));
    for (const [i, row] of table.counts.entries()) assert.equal(row[i], Math.max(...row));
    assertSound(confusionPicture(table));
  });

  test('of 100 and of 1,000 clusters that are the classes in another order, only the diagonal has rows', () => {
    for (const n of [100, 1000]) {
      const classOf = (k: number) => (k * 7 + 3) % n;
      const counts = Array.from({ length: n }, (_, k) =>
        Float64Array.from({ length: n }, (_, c) => (c === classOf(k) ? 50 + ((k * 13) % 400) : 0)),
      );
      // One mistake, which the picture sums with the rest, and the table names.
      counts[0][5] = 9;
      const table = crosstab(
        counts,
        Array.from({ length: n }, (_, c) => `class ${c}`),
      );
      assert.deepEqual([table.clusters.length, table.classes.length], [40, 40]);
      for (const [i, row] of table.counts.entries())
        for (const [j, count] of row.entries())
          assert.ok(i === j ? count > 0 : count === 0 || count === 9, `${i}, ${j}: ${count}`);
      for (const [i, name] of table.clusters.slice(0, -1).entries())
        assert.equal(table.classes[i], `class ${classOf(Number(name))}`);
      assert.deepEqual(
        table.mixedUp.map(({ cluster, class: name, rows }) => [cluster, name, rows]),
        [['0', 'class 5', 9]],
      );
      assertSound(confusionPicture(table));
    }
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

describe('history', () => {
  const line = (event: object) => `${JSON.stringify({ time: '2026-11-24T00:00:00Z', ...event })}\n`;
  const epoch = (at: number, k: number, loss: number) =>
    line({ type: 'epoch', epoch: at, k, width: k, loss, subLoss: null, seconds: {}, workers: {} });
  const split = (at: number, cluster: number, logRatio: number | null, accepted = false) =>
    line({ type: 'split', epoch: at, clusters: [cluster], points: [3, 4], logRatio, accepted });
  const step = (at: number, kind: string, changed: number, k: number) =>
    line({ type: 'step', epoch: at, kind, changed, k });

  test('of a resumed run: discarded epochs do not count, of a repeated epoch the last does', () => {
    const events =
      epoch(1, 1, 9) +
      epoch(2, 1, 8) +
      split(2, 0, 5, true) +
      step(2, 'split', 1, 2) +
      epoch(3, 2, 7) +
      line({ type: 'resume', epoch: 1, k: 1, from: 'x' }) +
      epoch(2, 1, 6) +
      split(2, 0, -5) +
      step(2, 'split', 0, 1) +
      line({ type: 'end', epoch: 2, k: 1, reason: 'settled' });
    const history = historyFrom(events.split('\n'), 'events.jsonl');
    assert.deepEqual(
      history.epochs.map(({ epoch, loss }) => [epoch, loss]),
      [
        [1, 9],
        [2, 6],
      ],
    );
    assert.deepEqual(history.steps, [{ epoch: 2, kind: 'split', changed: 0, k: 1 }]);
    assert.deepEqual([history.proposed.split, history.sessions, history.ended], [1, 2, 'settled']);
    assert.deepEqual(history.splits, [{ epoch: 2, cluster: 0, logRatio: -5, accepted: false, reason: null }]);
  });

  test('ratios of the last split step are kept only until clusters are renumbered', () => {
    const events = epoch(1, 2, 1) + split(1, 0, -5) + split(1, 1, -3) + step(1, 'split', 0, 2);
    assert.equal(historyFrom(events.split('\n'), '').splits.length, 2);
    assert.equal(
      historyFrom((events + epoch(2, 2, 1) + step(2, 'merge', 1, 1)).split('\n'), '').splits.length,
      0,
    );
  });

  test('a proposal that was refused for another reason than its ratio keeps the reason', () => {
    const refused = line({ ...JSON.parse(split(1, 0, 70)), reason: 'no valley' });
    const events = epoch(1, 1, 1) + split(1, 0, -5) + refused + step(1, 'split', 0, 1);
    const { splits } = historyFrom(events.split('\n'), '');
    assert.deepEqual(
      splits.map(({ logRatio, reason }) => [logRatio, reason]),
      [
        [-5, null],
        [70, 'no valley'],
      ],
    );
    assert.equal(likeliestSplit(splits)?.reason, 'no valley');
    assert.equal(likeliestSplit([{ ...splits[0], logRatio: null }]), null);
  });

  test('the error for a line that is not an event names the line', () => {
    for (const bad of [
      ...['{"type":"epoch","epoch":1', '{"type":"epoch","epoch":"1"}', '[]', '17', 'null'],
      epoch(1, 1, 1).replace('"loss":1', '"loss":"x"').trim(),
      epoch(1, 1, 1).replace('"subLoss":null', '"subLoss":{}').trim(),
      ...['"x"', '[]', 'true'].map((ratio) =>
        split(1, 0, 5).replace('"logRatio":5', `"logRatio":${ratio}`).trim(),
      ),
      split(1, 0, 5).replace('"points":[3,4]', '"points":null').trim(),
      split(1, 0, 5).replace('"clusters":[0]', '"clusters":["a"]').trim(),
      step(6, 'split', 1, 2).replace('"changed":1', '"changed":"1"').trim(),
      step(6, 'split', 1, 2).replace('"kind":"split"', '"kind":"toString"').trim(),
      epoch(1, 1, 1).replace('"seconds":{}', '"seconds":{"moments":"x"}').trim(),
      epoch(1, 1, 1).replace('"epoch":1', '"epoch":-1').trim(),
      '{"type":"resume"}',
      '{"type":"end","epoch":1,"k":1,"reason":{}}',
    ])
      assert.throws(
        () => historyFrom(`${epoch(1, 1, 1)}${bad}\n`.split('\n'), 'runs/x/events.jsonl'),
        (error: Error) => {
          assert.ok(error instanceof UserError, bad);
          return error.message.startsWith('runs/x/events.jsonl line 2 ');
        },
      );
  });
});

describe('PNG', () => {
  const ihdr = (png: Uint8Array) => {
    const bytes = Buffer.from(png);
    assert.deepEqual(bytes.subarray(0, 8), Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]));
    return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  };

  test('twice the size of the picture, at most 1 MB', async () => {
    const png = await pngOf(clusterPicture(view(60, 5)));
    assert.deepEqual(ihdr(png), [1200, 1000]);
    assert.ok(png.length < MOST_BYTES);
  });

  test('text is drawn with the bundled font, not with system fonts', async () => {
    const attributes = { id: 'x', height: 40, title: 't', description: 'd' };
    const empty = await pngOf(picture(attributes));
    const thin = await pngOf(picture(attributes, text(20, 25, 'Größe Σ μ 12')));
    const bold = await pngOf(picture(attributes, text(20, 25, 'Größe Σ μ 12', { bold: true })));
    assert.ok(thin.length > empty.length + 500);
    assert.notDeepEqual(thin, bold);
  });
});

test('drawing that is stopped rejects', async () => {
  const drawing = startDrawing();
  drawing.stop();
  await assert.rejects(drawing.draw({ run: 'nowhere', version: '0' }), /^Error: drawing was stopped/);
});

test('drawing for which there are no descriptors rejects', { skip: !existsSync('/proc/self/limits') }, () => {
  const script = `
    import { openSync } from 'node:fs';
    import { startDrawing } from './coordinator/report/drawing.ts';
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

describe('the tree of merges', () => {
  /** Text of the picture, in its order. */
  const textsOf = (svg: string) => [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);

  test('has the larger branch of each join above, and the number of clusters at each', () => {
    const tree = savedTree(
      { likelihood: 'gaussian', measure: 'nats a row' },
      {
        sizes: [50, 40, 30, 20],
        joins: [
          { a: 2, b: 3, height: 0.1 },
          { a: 1, b: 4, height: 0.2 },
          { a: 0, b: 5, height: 0.4 },
        ],
      },
    );
    const texts = textsOf(dendrogramPicture(tree));
    // 30 + 20 rows are above 40, and 90 above 50.
    assert.deepEqual(texts.slice(-8), ['2', '30', '3', '20', '1', '40', '0', '50']);
    // Each number twice: its outline first.
    assert.deepEqual(texts.slice(texts.indexOf('nats a row') + 1, -8), ['3', '3', '2', '2', '1', '1']);
  });

  test('of many clusters shows the last 59 joins, of groups', () => {
    const texts = textsOf(dendrogramPicture(treeOf(500, (i) => i)));
    const labels = texts.slice(texts.indexOf('nats a row') + 1 + 24);
    assert.equal(labels.length, 120);
    assert.ok(labels.includes('0, 1, … (441)'));
    assert.ok(labels.includes('499'));
  });

  describe('has below it, in the report,', () => {
    const pageOf = async (tree: SavedTree) => {
      const data = { rows: 10, dim: 2, dtype: '<f4', fingerprint: 'ab' };
      const { path } = await drawReport(folder, {
        ...{ name: 'run', run: { versions: {}, identity: null, config: {}, data, result: null } },
        ...{
          epoch: null,
          history: null,
          clusters: null,
          map: null,
          exemplars: null,
          subClusters: null,
          table: null,
          descriptions: null,
          tree,
        },
        ...{ confusion: null, classes: null, details: null, notes: [] },
      });
      return readFileSync(path, 'utf8');
    };
    const cellsOf = (page: string) =>
      [...page.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
        [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell]) => cell),
      );
    const about = (likelihood: 'gaussian' | 'graph') => ({ likelihood, measure: 'so and so' });

    test('the first five clusters that would split next', async () => {
      const next = [6, 0, 5, 1, 4, 3].map((cluster, i) => ({
        cluster,
        sizes: [900_000_000, 1e8 - cluster] as const,
        height: 0.0123456 - 0.01 * i,
      }));
      const page = await pageOf(
        savedTree(
          about('gaussian'),
          treeOf(7, (i) => i),
          next,
        ),
      );
      assert.match(page, /<figcaption>.*<\/figcaption>\n<h3>What would split next<\/h3>/);
      const [head, ...rows] = cellsOf(page);
      assert.deepEqual(head, ['cluster', 'rows of its parts', 'nats a row']);
      assert.deepEqual(
        rows.map(([cluster]) => cluster),
        ['6', '0', '5', '1', '4'],
      );
      assert.deepEqual(rows[0], ['6', '900,000,000 + 99,999,994', '0.01235']);
      assert.equal(rows[4][2], '−0.02765');
      assertSound(page.slice(page.indexOf('<h3>'), page.indexOf('</figure>')));
    });

    test('of a graph by their resolution; nothing where none is known', async () => {
      const graph = treeOf(3, (i) => 2 - i);
      const next = [{ cluster: 1, sizes: [999_999_998, 1] as const, height: 2.5 }];
      const page = await pageOf(savedTree(about('graph'), graph, next));
      assert.deepEqual(cellsOf(page), [
        ['cluster', 'rows of its parts', 'resolution γ'],
        ['1', '999,999,998 + 1', '2.5'],
      ]);
      for (const without of [graph, { ...graph, next: [] }]) {
        const text = await pageOf(without);
        assert.match(text, /id="dendrogram-t"/);
        assert.doesNotMatch(text, /split next|<table>/);
      }
    });
  });
});
