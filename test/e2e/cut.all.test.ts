// The tree of merges of whole runs, and the cuts of it: dpmesh cut, predict --clusters, the library.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { fitted } from '../fitted.ts';
import {
  changedCopy,
  changeRunFile,
  D,
  dpmesh,
  easyData,
  eventsOf,
  jsonOf,
  K,
  known,
  library,
  ofType,
  type ProcessResult,
  QUICK,
  refused,
  resultHashes,
  resumed,
  runFileOf,
  scratch,
  times,
  trainArgs,
  unfinish,
  writeRows,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const { cut, openRun, predict, UserError } = await library();
const ROWS = 600;
const easy = easyData(folder, 'easy', ROWS);
const json = (run: string, name: string) => JSON.parse(readFileSync(join(path(run), name), 'utf8'));
const labelsOf = (file: string) => readNpy(file).data as Int32Array;

function countsOf(labels: Int32Array): number[] {
  const counts: number[] = [];
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

/** Six clusters in 30 columns: two pairs with much in common, and two others. */
function graphData(): string {
  const [d, n, k] = [30, 600, 6];
  const rng = generator(3n, 'graph data');
  const centres = Array.from({ length: k }, () => Array.from({ length: d }, () => rng.normal()));
  for (const pair of [1, 3])
    centres[pair] = centres[pair].map((value, i) => 0.7 * centres[pair - 1][i] + 0.6 * value);
  const row = (i: number) => centres[i % k].map((value) => 2 * value + rng.normal());
  return writeRows(path('graph.npy'), times(n, row));
}

/** Four clusters far from each other, of which one is two: 600 rows and 200, four and a half standard deviations apart. */
function doubleData(): string {
  const rng = generator(3n, 'double');
  const centres = [
    [0, 0],
    [0, 40],
    [40, 0],
    [40, 40],
    [44.5, 40],
  ];
  const shares = [4, 4, 4, 2, 6].flatMap((share, centre) => Array<number>(share).fill(centre));
  const row = (i: number) => centres[shares[i % shares.length]].map((value) => value + rng.normal());
  return writeRows(path('double.npy'), times(2000, row));
}

/** What tree.json says about the next splits, checked against the rest of it. */
function nextOf(run: string): { cluster: number; sizes: [number, number]; height: number }[] {
  const { likelihood, sizes, next } = json(run, 'tree.json');
  const sign = likelihood === 'graph' ? 1 : -1;
  for (const [i, { cluster, sizes: parts, height }] of next.entries()) {
    assert.equal(parts[0] + parts[1], sizes[cluster]);
    assert.ok(parts[0] >= parts[1] && parts[1] > 0);
    assert.ok(i === 0 || sign * (height - next[i - 1].height) >= 0);
  }
  return next;
}

/** As the command line says it. */
const sentence = ({ cluster, sizes: [one, other], height }: ReturnType<typeof nextOf>[number]) =>
  `cluster ${cluster} would split next, into about ${one} and ${other} rows${height < 0 ? ', against the evidence' : ''}`;

describe('of Gaussian clusters', () => {
  before(async () => {
    await fitted('gaussian', path('run'));
    assert.equal(runFileOf(path('run')).result.k, K);
  });

  test('the tree has the sizes of the labels, and its hash is in run.json', () => {
    const { likelihood, clusters, sizes, joins } = json('run', 'tree.json');
    assert.deepEqual([likelihood, clusters, joins.length], ['gaussian', K, K - 1]);
    assert.deepEqual(sizes, countsOf(labelsOf(join(path('run'), 'labels.npy'))));
    assert.equal(joins.at(-1).size, ROWS);
    assert.ok('tree.json' in json('run', 'run.json').files);
  });

  test('a cut joins what the tree joins first, and numbers by size', async () => {
    const before = resultHashes(path('run'));
    const { joins } = json('run', 'tree.json');
    const out = path('four.npy');
    const ended = await dpmesh(['cut', '--run', path('run'), '--clusters', K - 2, '--out', out, '--json']);
    const { run, rows, clusters, ...rest } = jsonOf(ended);
    assert.deepEqual([run, rows, rest], [path('run'), ROWS, { out, next: nextOf('run') }]);
    assert.equal(clusters.length, K - 2);
    const joined = clusters.filter(({ from }: { from: number[] }) => from.length > 1);
    assert.ok(
      joined.some(({ from }: { from: number[] }) => [joins[0].a, joins[0].b].every((c) => from.includes(c))),
    );
    const [labels, own] = [labelsOf(out), labelsOf(join(path('run'), 'labels.npy'))];
    for (const [row, label] of labels.entries()) assert.ok(clusters[label].from.includes(own[row]), `${row}`);
    const counts = countsOf(labels);
    assert.deepEqual(
      counts,
      clusters.map(({ rows }: { rows: number }) => rows),
    );
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => b - a),
    );
    assert.deepEqual(resultHashes(path('run')), before);
  });

  test('without --out, a table, and the cluster that would split next', async () => {
    const shown = async (clusters: number) =>
      (await dpmesh(['cut', '--run', path('run'), '--clusters', clusters])).stdout.split('\n');
    assert.deepEqual((await shown(K)).slice(K + 1), ['', sentence(nextOf('run')[0]), '']);
    const [head, ...lines] = await shown(2);
    assert.match(head, /^cluster +rows +share {2}joined from$/);
    const cells = lines.slice(0, 2).map((line) => /^ +(\d) +([\d,]+) +([\d.]+) % {2}([\d, ]+)$/.exec(line)!);
    assert.deepEqual(cells.flatMap(([, , , , from]) => from.split(', ').map(Number)).sort(), [
      ...Array(K).keys(),
    ]);
    const [one, other] = cells.map(([, , count]) => Number(count.replace(',', '')));
    assert.equal(one + other, ROWS);
  });

  test('a cluster that is two would split next, into these', async () => {
    const data = doubleData();
    // So few rows count that the two are one.
    const flags = ['--coarsening', 40, ...QUICK];
    assert.equal(jsonOf(await dpmesh(trainArgs(data, path('double'), '--workers', 1, ...flags))).k, 4);
    const [first, ...others] = nextOf('double');
    assert.deepEqual(json('double', 'tree.json').sizes, [800, 400, 400, 400]);
    assert.equal(first.cluster, 0);
    assert.ok(Math.abs(first.sizes[0] - 600) < 40 && first.height > 0, JSON.stringify(first));
    for (const { height } of others) assert.ok(height < 0);
    // Where more count, they are two.
    refused(await dpmesh(['cut', '--run', path('double'), '--clusters', 5]), '--coarsening 0 --sample 0, so');
    const finer = trainArgs(data, path('finer'), '--workers', 1, '--coarsening', 0, '--sample', 0);
    assert.equal(jsonOf(await dpmesh(finer)).k, 5);
  });

  test('predict gives the same labels, and the sums of the responsibilities', async () => {
    const [out, soft, four] = ['p.npy', 's.npy', 'cut.npy'].map(path);
    const flags = ['--run', path('run'), '--clusters', 4];
    const ended = await dpmesh(['predict', ...flags, '--data', easy.data, '--out', out, '--soft', soft]);
    assert.equal(ended.stdout, `${out}: labels of ${ROWS} rows, clusters 0 to 3\n`);
    assert.equal((await dpmesh(['cut', ...flags, '--out', four])).stdout, ended.stdout.replace(out, four));
    assert.deepEqual(readFileSync(out), readFileSync(four));
    const [joined, all] = [readNpy(soft), readNpy(join(path('run'), 'responsibilities.npy'))];
    assert.deepEqual(joined.shape, [ROWS, 4]);
    const { clusters } = await cut({ run: path('run'), clusters: 4 });
    for (let row = 0; row < ROWS; row++)
      clusters.forEach(({ from }, group) => {
        const sum = from.reduce((s, cluster) => s + all.data[row * all.shape[1] + cluster], 0);
        assert.ok(Math.abs(joined.data[4 * row + group] - sum) < 1e-6);
      });
  });

  test('as a table, with what names the rows', async () => {
    const [values, ids] = [
      easy.rows.slice(0, 1800),
      Array.from({ length: 600 }, (_, row) => `"no. ${row}, a"`),
    ];
    const lines = ids.map((id, row) => [id, ...values.slice(3 * row, 3 * row + 3)].join());
    writeFileSync(path('named.csv'), ['id,x,y,z', ...lines, ''].join('\n'));
    const run = path('named');
    assert.ok(jsonOf(await dpmesh(trainArgs(path('named.csv'), run, '--id', 'id', ...known()))).k > 2);
    const out = path('two.csv');
    assert.equal((await dpmesh(['cut', '--run', run, '--clusters', 2, '--out', out])).code, 0);
    const { labels } = await cut({ run, clusters: 2 });
    const expected = ids.map((id, row) => `${id},${labels[row]}`);
    assert.equal(readFileSync(out, 'utf8'), ['id,cluster', ...expected, ''].join('\n'));
    // Rows without names are numbered.
    await cut({ run: path('run'), clusters: 2, out: path('numbers.csv') });
    assert.match(readFileSync(path('numbers.csv'), 'utf8'), /^row,cluster\n0,[01]\n1,[01]\n/);
    writeFileSync(join(run, 'labels.csv'), 'id,cluster\nno. 0,1\n');
    await assert.rejects(cut({ run, clusters: 2, out: path('three.csv') }), /labels.csv/);
  });

  test('in the library, in memory and in a file', async () => {
    const inMemory = await cut({ run: path('run'), clusters: 3 });
    const out = path('library.npy');
    const inFile = await cut({ run: path('run'), clusters: 3, out });
    assert.deepEqual(inMemory.labels, labelsOf(out));
    // Columns of an array have no names, and a number in the run is none of the cut.
    assert.match(JSON.stringify(json('run', 'clusters.json')), /"name":"cluster 3","namedBy":"number"/);
    assert.ok(inMemory.clusters.every(({ name }) => name === undefined));
    assert.deepEqual(inFile.labels, inMemory.labels);
    assert.deepEqual(inFile.clusters, inMemory.clusters);
    assert.deepEqual([inMemory.next, inFile.next], [nextOf('run'), nextOf('run')]);
    const data = { values: easy.rows, columns: D };
    const found = await predict({ run: path('run'), data, clusters: 3, soft: true });
    assert.deepEqual([found.labels, found.k, found.responsibilities!.length], [inMemory.labels, 3, 3 * ROWS]);
    // All clusters, as they are.
    const { result } = await openRun(path('run'));
    assert.deepEqual((await cut({ run: path('run'), clusters: K })).labels, result!.labels);
  });

  test('new rows never get a unit that had no rows', async () => {
    // More clusters than there are: some units end without rows.
    const flags = ['--init-k', 14, '--max-epochs', 2, '--sample', 400, '--workers', 1];
    jsonOf(await dpmesh(trainArgs(easy.data, path('empty'), ...flags)));
    const { clusters } = json('empty', 'tree.json');
    const values = Float32Array.from({ length: 1000 * D }, (_, i) => 60 * Math.sin(i * i));
    const data = { values, columns: D };
    const { labels, k, responsibilities } = await predict({ run: path('empty'), data, clusters, soft: true });
    assert.equal(k, clusters);
    labels.forEach((label, row) => {
      assert.ok(label < clusters);
      const sum = responsibilities!.subarray(row * k, (row + 1) * k).reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 1) < 1e-5);
    });
  });
});

describe('of clusters of a graph', () => {
  const data = graphData();
  let shown: ProcessResult;
  before(async () => {
    const args = ['--likelihood', 'graph', '--no-http', '--workers', 1];
    shown = await dpmesh(['train', '--data', data, '--out', path('graph'), ...args]);
  });

  test('the pairs with much in common join first, at resolutions that fall', async () => {
    const { k } = json('graph', 'run.json').result;
    assert.equal(k, 6);
    const { likelihood, joins } = json('graph', 'tree.json');
    assert.equal(likelihood, 'graph');
    for (let j = 1; j < joins.length; j++) assert.ok(joins[j].height <= joins[j - 1].height);
    const next = nextOf('graph');
    assert.equal(next.length, 6);
    assert.ok(next[0].height > joins[0].height);
    const classOf = new Map<number, number>();
    for (const [row, label] of labelsOf(join(path('graph'), 'labels.npy')).entries())
      classOf.set(label, row % 6);
    const { clusters } = await cut({ run: path('graph'), clusters: 4 });
    const groups = clusters.map(({ from }) => from.map((cluster) => classOf.get(cluster)!).sort());
    assert.deepEqual(
      groups.sort((a, b) => a[0] - b[0]),
      [[0, 1], [2, 3], [4], [5]],
    );
  });

  test('below the height of a join there are fewer clusters, far above more; at that which was chosen as many', async () => {
    const { resolution } = json('graph', 'run.json').likelihood;
    const { height } = json('graph', 'tree.json').joins[0];
    for (const [given, is] of [
      [0.7 * height, 'fewer'],
      [resolution, 'as many'],
      [8 * resolution, 'more'],
    ] as const) {
      const args = trainArgs(data, path(is), '--resolution', given, '--likelihood', 'graph');
      const { k, stability } = jsonOf(await dpmesh(args));
      assert.equal(k < 6 ? 'fewer' : k > 6 ? 'more' : 'as many', is, String(k));
      assert.ok(stability.agreement > 0);
    }
    assert.deepEqual(
      labelsOf(join(path('as many'), 'labels.npy')),
      labelsOf(join(path('graph'), 'labels.npy')),
    );
  });

  test('predict --clusters gives the labels of the cut', async () => {
    const { labels } = await predict({ run: path('graph'), data, clusters: 4 });
    assert.deepEqual(labels, (await cut({ run: path('graph'), clusters: 4 })).labels);
  });

  test('the result says how well partitions of other samples agree', async () => {
    const { stability } = json('graph', 'run.json').result;
    assert.equal(stability.count, 12);
    assert.ok(stability.k[0] <= 6 && stability.k[1] >= 6 && stability.agreement > 0.8);
    assert.deepEqual(ofType(eventsOf(path('graph')), 'done')[0].stability, stability);
    assert.deepEqual((await openRun(path('graph'))).result!.stability, stability);
    assert.equal((await openRun(path('run'))).result!.stability, null);
    // On the terminal and in the report.
    const { stdout } = shown;
    const text =
      /^clusters \(K\) +6 \((12 partitions of other samples: K [\d–]+, agreement 1?\.\d\d)\)$/m.exec(stdout)!;
    assert.ok(text, stdout);
    const page = readFileSync(join(path('graph'), 'report', 'report.html'), 'utf8');
    assert.ok(page.includes(`<dd id="now-k">6 <small>(${text[1]})</small></dd>`));
    assert.ok(page.includes('id="dendrogram-t"'));
  });
});

describe('--clusters asks for about so many', () => {
  const train = (name: string, data: string, ...flags: (string | number)[]) =>
    dpmesh(trainArgs(data, path(name), '--workers', 1, ...flags));

  test('of the graph, by its resolution, as the advice of a cut says: fewer and more', async () => {
    const flags = ['--likelihood', 'graph'];
    for (const clusters of [4, 20]) {
      const name = `wanted-${clusters}`;
      const { k } = jsonOf(await train(name, easy.data, ...flags, '--clusters', clusters));
      assert.equal(k, clusters);
      const { stdout } = await dpmesh(['resolutions', path(name)]);
      assert.match(stdout, /^resolution {2}clusters {2}agreement\n( +[\d.]+ +\d+ +[\d.]+( {2}chosen)?\n)+$/);
      assert.equal(stdout.split('chosen').length, 2);
    }
    refused(await dpmesh(['resolutions', path('run')]), 'tried no resolutions');
  });

  test('of a mixture, by joining, in a net that has learned them; no more than the evidence supports', async () => {
    const wanted = ['--clusters', 2, ...QUICK, '--init-k', K];
    const { k, notes, epochs } = jsonOf(await train('joined', easy.data, ...wanted));
    assert.equal(k, 2);
    assert.match(notes[0], /^--clusters 2: training found 6 clusters, .* until 2 were left$/);
    // Interrupted between two of its joins.
    await train('resumed', easy.data, ...wanted, '--max-epochs', epochs - 1);
    jsonOf(await resumed(path('resumed'), '--max-epochs', 500));
    assert.deepEqual(resultHashes(path('resumed')), resultHashes(path('joined')));
    const more = jsonOf(await train('nine', easy.data, '--clusters', 9, ...QUICK, '--init-k', K));
    assert.equal(more.k, 6);
    const { labels } = await cut({ run: path('nine'), clusters: 2 });
    assert.deepEqual((await openRun(path('joined'))).result!.labels, labels, 'as a cut of its tree');
    assert.match(more.notes[0], /^--clusters 9: the evidence supports no more than 6 Gaussian clusters/);
  });
});

describe('a cut that cannot be made', () => {
  const copyOf = (name: string, change: (run: string) => void) =>
    changedCopy(path('run'), path(name), change);
  const cutIn = (run: string, ...more: (string | number)[]) => dpmesh(['cut', '--run', run, ...more]);

  test('of more clusters than there are, of none, or of a fraction, or in another format', async () => {
    refused(
      await cutIn(path('run'), '--clusters', 7),
      `--clusters 7: ${path('run')} has K = 6, where its tree ends; ${sentence(nextOf('run')[0])}; for more`,
      'train with --likelihood graph --clusters 7, as',
    );
    refused(
      await cutIn(path('graph'), '--clusters', 7),
      `has K = 6, where its tree ends; ${sentence(nextOf('graph')[0])}`,
      'for more clusters, train with --clusters 7',
    );
    for (const clusters of [0, -1, 2.5, 'many', ''])
      refused(await cutIn(path('run'), '--clusters', clusters), '--clusters');
    refused(
      await cutIn(path('run'), '--clusters', 2, '--out', 'x.txt'),
      'x.txt must end in .npy, .csv or .parquet',
    );
    const args = ['--data', easy.data, '--out', path('never.npy'), '--clusters', 7];
    refused(await dpmesh(['predict', '--run', path('run'), ...args]), 'has K = 6');
    await assert.rejects(cut({ run: path('run'), clusters: 0 }), UserError);
    await assert.rejects(cut({ run: path('run') } as never), /cut needs the option clusters/);
    await assert.rejects(cut({ run: path('run'), clusters: 2, outt: 'x' } as never), /did you mean out/);
  });

  test('of no run, an unfinished one, or one without a tree', async () => {
    refused(await cutIn(folder, '--clusters', 2), 'is not a run directory');
    const early = copyOf('early', (run) => unfinish(run));
    refused(await cutIn(early, '--clusters', 2), `is not finished; continue it with: dpmesh resume ${early}`);
    const withoutHash = (run: string) => changeRunFile(run, ({ files }) => delete files['tree.json']);
    const old = copyOf('old', (run) => {
      rmSync(join(run, 'tree.json'));
      withoutHash(run);
    });
    refused(await cutIn(old, '--clusters', 2), 'has no tree.json', 'dpmesh train --config');
    // Its report has no tree, and says nothing of it.
    const ended = await dpmesh(['plot', '--run', old]);
    assert.deepEqual([ended.code, ended.stderr], [0, '']);
    assert.doesNotMatch(ended.stdout, /dendrogram/);
  });

  test('of damaged files, whether or not run.json has their hash', async () => {
    const text = readFileSync(join(path('run'), 'tree.json'), 'utf8');
    const tree = JSON.parse(text);
    const joins = [{ ...tree.joins[0], a: tree.joins[0].b }, ...tree.joins.slice(1)];
    const changed = [
      { ...tree, clusters: K + 1 },
      { ...tree, joins },
    ].map((each) => JSON.stringify(each));
    for (const torn of ['null', text.slice(0, -30), ...changed])
      for (const hashed of [true, false]) {
        const at = copyOf('torn', (run) => writeFileSync(join(run, 'tree.json'), torn));
        if (!hashed) changeRunFile(at, ({ files }) => delete files['tree.json']);
        refused(await cutIn(at, '--clusters', 2), 'tree.json is damaged', 'restore it');
      }
    const gone = copyOf('torn', (run) => rmSync(join(run, 'tree.json')));
    refused(await cutIn(gone, '--clusters', 2), 'tree.json is damaged (it is missing)');
    refused(await dpmesh(['plot', '--run', gone]), 'tree.json is damaged');
    const other = copyOf('other', (run) =>
      writeNpy(join(run, 'labels.npy'), '<i4', [ROWS], new Int32Array(ROWS)),
    );
    refused(await cutIn(other, '--clusters', 2, '--out', path('never.npy')), 'labels.npy is damaged');
  });

  test('into a file that exists, that is of the run, or a folder', async () => {
    const out = path('there.npy');
    writeFileSync(out, 'mine');
    refused(await cutIn(path('run'), '--clusters', 2, '--out', out), 'already exists', '--force');
    assert.equal(readFileSync(out, 'utf8'), 'mine');
    assert.equal((await cutIn(path('run'), '--clusters', 2, '--out', out, '--force')).code, 0);
    assert.equal(labelsOf(out).length, ROWS);
    const own = join(path('run'), 'labels.npy');
    refused(await cutIn(path('run'), '--clusters', 2, '--out', own, '--force'), "one of the run's own files");
    refused(await cutIn(path('run'), '--clusters', 2, '--out', folder, '--force'), 'not a file');
    refused(await cutIn(path('run'), '--clusters', 2, '--out', path('no/where.npy')), 'where.npy');
  });
});
