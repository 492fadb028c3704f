// Whole runs on rows of many columns: the graph likelihood, and a Gaussian mixture on signal axes.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { readModel } from '../../run/model-file.ts';
import { runFiles } from '../../run/run-files.ts';
import {
  dpmesh,
  easyData,
  embeddedData,
  eventsOf,
  jsonOf,
  K,
  labelsOf,
  library,
  MANY,
  ofType,
  type ProcessResult,
  refused,
  resultHashes,
  runFileOf,
  scratch,
  start,
  thinData,
  times,
  trainArgs,
  until,
  writeRows,
} from './support.ts';

const ROWS = 600;
const folder = scratch();
const path = (name: string) => join(folder, name);
const QUICK = ['--no-http', '--split-merge-every', 3] as const;

/** A run without a page. */
const train = (data: string, name: string, ...flags: (string | number)[]) =>
  dpmesh(trainArgs(data, path(name), ...QUICK, ...flags));

const modelOf = (name: string) => readModel(runFiles(path(name)));
const embedded = embeddedData(folder, 'embedded', ROWS);
const thin = thinData(folder, 'thin', ROWS);

for (const [kind, of, why] of [
  ['graph', embedded, 'no small number of directions of the 40 columns stands out from the others'],
  ['gaussian', thin, 'only 3 directions of the 40 columns stand out from noise'],
] as const)
  describe(`the likelihood that the data decide on: ${kind}`, () => {
    const run = path(kind);
    const text = `${kind === 'graph' ? 'graph' : 'Gaussian'} likelihood: ${why}`;
    let ended: ProcessResult;
    before(async () => {
      const args = ['train', '--data', of.data, '--labels', of.labels, '--out', run, '--workers', 1];
      ended = await dpmesh([...args, ...QUICK, '--soft', '--json']);
      const { k, ari, notes } = jsonOf(ended);
      assert.deepEqual([k, ari, notes], [K, 1, []]);
    });

    test('is said on the terminal, in events, in run.json and in the report', () => {
      assert.ok(ended.stderr.split('\n').includes(text), ended.stderr);
      const events = eventsOf(run);
      const [event, ...others] = ofType(events, 'likelihood');
      assert.deepEqual([event.likelihood, event.why, others.length], [kind, why, 0]);
      assert.equal(events[events.indexOf(event) - 1].type, 'start');
      const { likelihood, config } = runFileOf(run);
      const { resolution, stability, ...rest } = likelihood;
      assert.deepEqual(rest, { name: kind, why });
      assert.deepEqual([config.likelihood, config.transform, config.hidden], ['auto', 'auto', null]);
      const page = readFileSync(join(run, 'report', 'report.html'), 'utf8');
      assert.ok(page.includes(`${kind}: ${why}`));
      if (kind === 'gaussian') {
        assert.deepEqual([resolution, stability], [undefined, undefined]);
        return;
      }
      assert.ok(resolution > 0 && stability > 0.9 && stability <= 1, JSON.stringify(likelihood));
      assert.match(page, /resolution γ [\d.]+; stability (1\.00|0\.9\d)/);
      assert.match(page, /what the graph likelihood gains/);
    });

    test('openRun and draw know what to do with it', async () => {
      const saved = await (await library()).openRun(run);
      assert.deepEqual(saved.result!.labels, labelsOf(run).data);
      const mixture = saved.mixture();
      const wanted = kind === 'graph' ? [K, MANY, K * MANY] : [K, 3, K * 9];
      assert.deepEqual([mixture.k, mixture.dim, mixture.covariances.length], wanted);
      const { pictures, notes } = await saved.draw({ out: path(`${kind}-drawn`) });
      assert.deepEqual(pictures, ['clusters', 'clusters-dark', 'dendrogram', 'k', 'losses']);
      assert.deepEqual(notes, []);
    });
  });

describe('the graph likelihood', () => {
  test('replicates train on halves of the sample', async () => {
    const ended = await train(embedded.data, 'replicates', '--replicates', 2);
    const { agreement, clusters, ...rest } = jsonOf(ended).replicates;
    const labels = labelsOf(path('replicates')).data as Int32Array;
    assert.deepEqual(labels, labelsOf(path('graph')).data, 'the run itself is as it was');
    assert.deepEqual(rest, { count: 2, k: [K, K], ks: [K, K] });
    assert.equal(clusters.length, K);
    for (const jaccard of clusters) assert.ok(jaccard > 0.99, `Jaccard ${jaccard}`);
    // All rows, or all but one that is between two clusters.
    assert.ok(agreement > 0.998, `agreement ${agreement}`);
  });

  test('of few columns, where it is asked for: of the columns as they are after --transform', async () => {
    // In units that differ by a thousand, which standard deviations make up for.
    const few = easyData(folder, 'few', ROWS, ([x, y, z]) => [x, 1000 * y, 1e6 * z]);
    const flags = ['--likelihood', 'graph', '--labels', few.labels, '--soft'] as const;
    const ended = await train(few.data, 'few', ...flags);
    const { ari } = jsonOf(ended);
    assert.ok(ari > 0.95, `ARI ${ari}`);
    assert.ok(ended.stderr.includes('\ngraph likelihood: asked for\n'), ended.stderr);
    const { scale, unit, before } = modelOf('few').model;
    assert.deepEqual([[...scale!.columns], unit, before], [[0, 1, 2], undefined, undefined]);
    const { shape, data } = readNpy(join(path('few'), 'mixture', 'means.npy'));
    assert.equal(shape[1], 3);
    assert.ok(
      (data as Float64Array).every((value) => Math.abs(value) < 5),
      'in standard deviations',
    );
  });

  test('of other features, where a transform is given', async () => {
    const flags = ['--likelihood', 'graph', '--transform', 'pca:8', '--labels', embedded.labels];
    const { k, ari } = jsonOf(await train(embedded.data, 'pca', ...flags));
    assert.deepEqual([k, ari], [K, 1]);
    assert.equal(modelOf('pca').model.project!.bias.length, 8);
  });

  test('is not taken where a transform or the Gaussian likelihood is asked for', async () => {
    const once = ['--max-epochs', 1] as const;
    const standard = jsonOf(await train(embedded.data, 'standard', '--transform', 'standard', ...once));
    const gaussian = jsonOf(await train(embedded.data, 'of-all', '--likelihood', 'gaussian', ...once));
    assert.deepEqual(resultHashes(path('of-all')), resultHashes(path('standard')));
    assert.deepEqual([standard.dim, gaussian.dim], [MANY, MANY]);
    assert.equal(readNpy(join(path('of-all'), 'mixture', 'means.npy')).shape[1], MANY);
    assert.equal(runFileOf(path('standard')).likelihood, undefined);
    assert.deepEqual(ofType(eventsOf(path('standard')), 'likelihood'), []);
  });

  test('options that it does not use are named in a warning, and change nothing', async () => {
    const once = ['--max-epochs', 1] as const;
    const { epochs, notes } = jsonOf(await train(embedded.data, 'short', ...once));
    assert.equal(epochs, 1);
    assert.match(
      notes.join('\n'),
      /^training ended at --max-epochs 1 while K still changed \(1 → 6\).*$/,
      'says only that it was too short',
    );
    const unused = ['--init-k', 5, '--alpha', 3, '--covariance', 'diag'] as const;
    const ended = await train(embedded.data, 'unused', ...once, ...unused);
    jsonOf(ended);
    assert.match(
      ended.stderr,
      /^dpmesh: warning: the graph likelihood does not use --alpha, --covariance, --init-k; --likelihood gaussian does$/m,
    );
    assert.deepEqual(resultHashes(path('unused')), resultHashes(path('short')));
  });

  test('K 1: its notes say nothing of Gaussians', async () => {
    const { rows } = embeddedData(folder, 'shuffled', ROWS);
    // Each column in another order: the same columns, without clusters.
    const shuffled = rows.map(
      (_, p) => rows[(((p % MANY) * 977 + Math.floor(p / MANY)) % ROWS) * MANY + (p % MANY)],
    );
    writeNpy(path('none.npy'), '<f4', [ROWS, MANY], shuffled);
    const { k, notes } = jsonOf(await train(path('none.npy'), 'none', '--likelihood', 'graph'));
    assert.equal(k, 1);
    assert.match(notes[0], /^K is 1: partitions of other samples differ at every resolution/);
    assert.equal(runFileOf(path('none')).likelihood.stability, null);
  });
});

describe('small or odd data of many columns', () => {
  const { normal } = generator(5n, 'odd embeddings');
  const put = (name: string, rows: number, value: (row: number, column: number) => number, dim = 100) =>
    writeRows(
      path(`${name}.npy`),
      times(rows, (row) => times(dim, (column) => value(row, column))),
    );
  const noise = (row: number, column: number) => Math.sin(12.9898 * row + 78.233 * column + row * column) * 3;

  test('few rows', async () => {
    for (const [rows, flags] of [
      [2, []],
      [5, ['--shards', 5]],
      [ROWS, ['--sample', 5, '--shards', 12]],
    ] as const) {
      const name = `${rows}${flags.join('')}`;
      for (const likelihood of ['auto', 'graph']) {
        const ended = await train(
          put(name, rows, noise),
          `${name}-${likelihood}`,
          ...flags,
          '--likelihood',
          likelihood,
        );
        if (rows === 2 && likelihood === 'graph')
          refused(ended, /needs at least 3 rows in the sample, there are 2/);
        else assert.equal(jsonOf(ended).rows, rows);
      }
    }
    refused(
      await train(put('30', 30, noise), 'none-drawn', '--sample', 1, '--seed', 5),
      /none of the 30 rows was drawn/,
    );
  });

  test('equal rows, but for one; constant columns', async () => {
    const equal = put('equal', 300, (_, column) => column);
    refused(await train(equal, 'equal'), /all 300 rows are equal/);
    const butOne = put('but-one', 300, (row, column) => (row ? column : column + 1));
    assert.ok(jsonOf(await train(butOne, 'but-one')).k <= 2);
    // Of so many, there would be a sketch.
    const ofMany = (row: number, column: number) => (column < 2995 ? 3 : 2 * normal() + 20 * (row % 3));
    const few = await train(put('few-vary', 600, ofMany, 3000), 'few-vary');
    assert.equal(jsonOf(few).k, 3);
    assert.match(few.stderr, /warning: .*dropped 2995 constant columns/);
    assert.match(few.stderr, /^Gaussian likelihood: only 5 of the 3000 columns vary$/m);
  });

  test('few rows of noise have no axes and one cluster; clusters that stand out are found', async () => {
    const { stderr, ...ended } = await train(put('noise', 50, normal, 384), 'noise');
    const { k, notes } = jsonOf({ stderr, ...ended });
    assert.equal(k, 1);
    assert.match(stderr, /^graph likelihood: no small number of directions of the \d+ columns/m);
    assert.match(notes[0], /^K is 1 in 50 rows, few for a graph of nearest neighbours; bring more rows$/);
    const centres = times(3, () => times(384, () => 2 * normal()));
    const three = put('three', 50, (row, column) => centres[row % 3][column] + normal(), 384);
    const found = await train(three, 'three');
    assert.equal(jsonOf(found).k, 3);
    assert.match(found.stderr, /^Gaussian likelihood: only 2 directions of the 384 columns stand out/m);
  });

  test('parts of single rows are no clusters, though all samples agree on them', async () => {
    const data = put('singles', 28, generator(1n, 'odd embeddings').normal, 60);
    const { k, stability } = jsonOf(await train(data, 'singles', '--likelihood', 'graph'));
    assert.deepEqual([k, stability], [1, null]);
  });

  test('rows of zeros, half of all, are a cluster, and said; a few copies are not worth a warning', async () => {
    const isZero = (i: number) => (i * 7919) % 10 < 5;
    const own = (row: number, column: number) => embedded.rows[row * MANY + column];
    const zeros = put('zeros', ROWS, (row, column) => (isZero(row) ? 0 : own(row, column)), MANY);
    const ended = await train(zeros, 'zeros');
    assert.equal(jsonOf(ended).k, K + 1, ended.stderr);
    assert.match(
      ended.stderr,
      /^dpmesh: warning: .*zeros\.npy: 300 of the 600 rows in the sample are the same as another one, as rows of zeros are/m,
    );
    assert.equal(new Set(labelsOf(path('zeros')).data.filter((_, i) => isZero(i))).size, 1);
    const few = put('a-few', ROWS, (row, column) => own(row < 30 ? 0 : row, column), MANY);
    const fine = await train(few, 'a-few', '--max-epochs', 1);
    jsonOf(fine);
    assert.doesNotMatch(fine.stderr, /the same as another/);
  });

  test('near copies count once, are listed, and have the labels of their groups', async () => {
    const { normal } = generator(11n, 'copies');
    // Every fifth row six times, in file order with noise of a fiftieth, or the same.
    const count = 400;
    const originals = times(count, (row) => embedded.rows.subarray(row * MANY, (row + 1) * MANY));
    const copied = originals.filter((_, row) => row % 5 === 0);
    const rows: ArrayLike<number>[] = [...originals];
    for (let i = 0; i < 5; i++)
      rows.push(...copied.map((row, j) => (j % 2 ? row : row.map((value) => value + 0.02 * normal()))));
    const data = writeRows(path('near.npy'), rows);
    const { k, notes } = jsonOf(await train(data, 'near'));
    assert.equal(k, K);
    assert.match(
      notes[0],
      /^400 of the 800 rows in the sample are near copies of 80 others .* \(copies\.npy lists them\); .*--keep-copies$/,
    );
    const found = readNpy(join(path('near'), 'copies.npy')).data;
    const expected = times(rows.length, (row) => {
      if (row < count) return row % 5 ? -1 : row;
      return 5 * ((row - count) % copied.length);
    });
    assert.deepEqual([...found], expected);
    const labels = labelsOf(path('near')).data;
    const others = [...labels.keys()].filter((row) => found[row] >= 0 && labels[row] !== labels[found[row]]);
    assert.deepEqual(others, []);
    const kept = jsonOf(await train(data, 'kept', '--keep-copies', '--max-epochs', 1));
    assert.ok(!existsSync(join(path('kept'), 'copies.npy')));
    assert.doesNotMatch(kept.notes.join('\n'), /near copies/);
    assert.notDeepEqual(resultHashes(path('kept')), resultHashes(path('near')));
  });

  test('copies by the thousand of three rows, all nearest rows copies', async () => {
    const three = times(3, () => times(64, normal));
    const rows = times(1000, (i) => (i % 5 ? three[i % 3] : times(64, (j) => (j + 1) ** -0.3 * normal())));
    const ended = await train(writeRows(path('copies.npy'), rows), 'copies', '--likelihood', 'graph');
    const { k } = jsonOf(ended);
    assert.ok(k >= 4, `K ${k}`);
    const labels = labelsOf(path('copies')).data;
    for (const copied of three)
      assert.equal(new Set(rows.flatMap((row, i) => (row === copied ? labels[i] : []))).size, 1);
    assert.match(ended.stderr, /warning: .* 800 of the 1,000 rows in the sample are the same/);
  });

  test('a likelihood that does not suit the columns is warned of', async () => {
    const low = put('low', 200, (row) => normal() + 20 * (row % 3), 2);
    const ended = await train(low, 'low', '--likelihood', 'graph');
    assert.ok(jsonOf(ended).k >= 1);
    assert.match(
      ended.stderr,
      /^dpmesh: warning: the graph likelihood is for rows of many columns, or along curves and surfaces: in 2 .*--likelihood gaussian/m,
    );
    assert.doesNotMatch((await train(low, 'auto')).stderr, /warning/);
    // The cost of a full covariance is said before anything else.
    const wide = trainArgs(put('cost', 40, normal, 1536), path('cost'), '--likelihood', 'gaussian');
    const running = start([...wide, '--workers', 1, '--no-http']);
    await until('the warning', () => running.stderr().includes('\n'), running);
    running.kill('SIGINT');
    assert.match(
      (await running.ended).stderr,
      /^dpmesh: warning: .*cost\.npy: full covariance in 1,536 columns is 1,181,952 parameters for each cluster \(9\.5 MB .* of a core .* min for 10 clusters .*leave out --likelihood gaussian/,
    );
  });

  test('two rings are two clusters, of pieces', async () => {
    const { normal, uniform } = generator(5n, 'rings');
    const rings = writeRows(
      path('rings.npy'),
      times(900, (row) => {
        const angle = 2 * Math.PI * uniform();
        return [Math.cos, Math.sin].map((of) => (1 + (row % 2)) * of(angle) + 0.05 * normal());
      }),
    );
    const { k, notes } = jsonOf(await train(rings, 'rings'));
    assert.equal(k, 2);
    assert.match(notes.join('\n'), /K is 2, of [0-9]+ components/);
  });

  test('very many columns, by a sketch: clusters in few of them', async () => {
    const sparse = put(
      'sketched',
      400,
      (row, column) => noise(row, column) + (column % 8 === row % 4 ? 2 : 0),
      3000,
    );
    const run = await train(sparse, 'sketched');
    assert.equal(jsonOf(run).k, 4, run.stderr);
  });

  test('NaN; more columns than fit', async () => {
    const bad = put('nan', 100, (row, column) =>
      row === 7 && column === 3 ? Number.NaN : noise(row, column),
    );
    refused(await train(bad, 'nan'), /1 of 100 rows have NaN .* row 7, column 3/);
    const wide = put('wide', 16, noise, 17_000);
    refused(await train(wide, 'wide'), /17000 columns are more than 16384; reduce them first/);
    const flags = ['--likelihood', 'graph', '--transform', 'standard'];
    refused(
      await train(wide, 'wide', ...flags),
      /17,000 columns are too many for the graph likelihood; leave out --transform/,
    );
  });

  test('new rows with what cannot be computed are refused; one row and rows of zeros are labelled', async () => {
    const run = path('graph');
    const labels = path('odd-labels.npy');
    const predict = (rows: string, ...more: string[]) =>
      dpmesh(['predict', '--run', run, '--data', rows, '--out', labels, ...more]);
    refused(await predict(put('39', 5, noise, 39)), '39 columns', `trained on ${MANY}`);
    writeNpy(path('empty.npy'), '<f4', [0, MANY], []);
    refused(await predict(path('empty.npy')), 'empty.npy has no rows');
    for (const [value, says] of [
      [-Infinity, 'remove the row or fill'],
      [1e30, 'maximum (1e18); remove'],
    ] as const) {
      const rows = put('bad', 9, (row, column) => (row === 6 && column === 31 ? value : 1), MANY);
      refused(await predict(rows), 'bad.npy', 'row 6, column 31', says);
    }
    assert.ok(!existsSync(labels));
    for (const [count, value] of [
      [1, noise],
      [3, () => 0],
    ] as const) {
      const fine = put('fine', count, value, MANY);
      assert.equal((await predict(fine, '--force', '--clusters', '2')).code, 0);
      assert.equal(readNpy(labels).data.length, count);
    }
  });
});

test('pieces of a skewed cluster are not taken for clusters of unlike covariances', async () => {
  const rng = generator(3n, 'unlike');
  // Of this draw: of others they are taken for clusters.
  for (let i = 0; i < 603 * 34; i++) rng.normal();
  const row = () => times(34, () => -Math.log(rng.uniform()));
  const skewed = writeRows(path('skewed.npy'), times(800, row));
  assert.equal(jsonOf(await train(skewed, 'skewed')).k, 1);
  assert.equal(runFileOf(path('skewed')).likelihood.name, 'graph');
});
