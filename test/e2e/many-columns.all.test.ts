// Whole runs on rows of many columns: the graph likelihood, and a Gaussian mixture on signal axes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { readNpy, writeNpy } from '../../data/npy.ts';
import type * as Library from '../../index.ts';
import { generator } from '../../model/random.ts';
import {
  dpmesh,
  easyData,
  embeddedData,
  eventsOf,
  jsonOf,
  K,
  labelsOf,
  MANY,
  ofType,
  type ProcessResult,
  resultHashes,
  scratch,
  sha256,
  type TestData,
  thinData,
  trainArgs,
} from './support.ts';

const ROWS = 1200;
const folder = scratch();
const path = (name: string) => join(folder, name);
const json = (...parts: string[]) => JSON.parse(readFileSync(join(...parts), 'utf8'));
const library = (): Promise<typeof Library> => import(new URL('../../dist/index.js', import.meta.url).href);
const QUICK = ['--no-http', '--split-merge-every', 3] as const;

/** A run without a page, by default with two workers. */
const train = (data: string, name: string, ...flags: (string | number)[]) =>
  dpmesh(trainArgs(data, path(name), '--workers', 2, ...QUICK, ...flags));

/** Exit 2 and one line that says this. */
function refused({ code, stderr }: ProcessResult, says: RegExp): void {
  const wrong = stderr.split('\n').filter((line) => /^dpmesh: (?!warning)/.test(line));
  assert.deepEqual([code, wrong.length], [2, 1], stderr);
  assert.match(wrong[0], says);
}

/** Outliers in one column, as many as may be set apart. */
function withOutliers({ rows, classes }: TestData, name: string, count: number) {
  const changed = rows.slice();
  for (let i = 0; i < count; i++) changed[(100 * i + 7) * MANY + 3] = i % 2 ? 1e4 : -2e4;
  const data = path(`${name}.npy`);
  writeNpy(data, '<f4', [ROWS, MANY], changed);
  return { data, rows: changed, classes };
}

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

    test('the same bytes by three workers', async () => {
      const other = `${kind}-3`;
      jsonOf(await train(of.data, other, '--workers', 3, '--soft'));
      assert.deepEqual(resultHashes(path(other)), resultHashes(run));
      assert.equal(
        sha256(join(path(other), 'responsibilities.npy')),
        sha256(join(run, 'responsibilities.npy')),
      );
    });

    test('is said on the terminal, in events, in run.json and in the report', () => {
      assert.ok(ended.stderr.split('\n').includes(text), ended.stderr);
      const events = eventsOf(run);
      const [event, ...others] = ofType(events, 'likelihood');
      assert.deepEqual([event.likelihood, event.why, others.length], [kind, why, 0]);
      assert.equal(events[events.indexOf(event) - 1].type, 'start');
      const { likelihood, config } = json(run, 'run.json');
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
      assert.match(page, /what it gains with the graph likelihood/);
    });

    test('a run of its run.json is the same', async () => {
      const again = path(`${kind}-again`);
      const args = ['--config', join(run, 'run.json'), '--out', again, '--no-report', '--no-http', '--json'];
      jsonOf(await dpmesh(['train', ...args]));
      assert.deepEqual(resultHashes(again), resultHashes(run));
    });

    test('predict gives the rows of the run its labels, and the same responsibilities', async () => {
      const [labels, soft] = ['labels', 'soft'].map((name) => path(`${kind}-${name}.npy`));
      const args = ['predict', '--run', run, '--data', of.data, '--out', labels, '--soft', soft];
      assert.equal((await dpmesh(args)).code, 0);
      assert.deepEqual(readNpy(labels).data, labelsOf(run).data);
      assert.deepEqual(readNpy(soft).data, readNpy(join(run, 'responsibilities.npy')).data);
      const { predict } = await library();
      const values = Float32Array.from(
        [3, 700].flatMap((row) => [...of.rows.subarray(row * MANY, (row + 1) * MANY)]),
      );
      const found = await predict({ run, data: { values, columns: MANY } });
      assert.deepEqual(
        [...found.labels],
        [3, 700].map((row) => labelsOf(run).data[row]),
      );
    });

    test('evaluate, openRun and draw know what to do with it', async () => {
      const { stdout, code } = await dpmesh([
        'evaluate',
        '--labels',
        of.labels,
        '--pred',
        join(run, 'labels.npy'),
        '--json',
      ]);
      assert.equal(code, 0);
      assert.equal(JSON.parse(stdout).ari, 1);
      const { openRun } = await library();
      const saved = await openRun(run);
      assert.equal(saved.result!.k, K);
      assert.deepEqual(saved.result!.labels, labelsOf(run).data);
      const mixture = saved.mixture();
      const wanted = kind === 'graph' ? [K, MANY, K * MANY] : [K, 3, K * 9];
      assert.deepEqual([mixture.k, mixture.dim, mixture.covariances.length], wanted);
      const { pictures, notes } = await saved.draw({ out: path(`${kind}-drawn`) });
      assert.deepEqual(pictures, ['clusters', 'map', 'dendrogram', 'k', 'losses']);
      assert.deepEqual(notes, []);
    });

    test('the exported model gives raw rows the labels of the run', async () => {
      const { modelTopology, weightsManifest } = json(run, 'model', 'model.json');
      const weightData = new Uint8Array(readFileSync(join(run, 'model', 'weights.bin'))).buffer;
      const weightSpecs = weightsManifest[0].weights;
      const model = await loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
      const found = model.predict(tf.tensor2d(of.rows, [ROWS, MANY])) as tf.Tensor;
      const responsibilities = found.dataSync();
      // Clusters are apart: no last bit decides.
      labelsOf(run).data.forEach((label, row) => {
        const own = [...responsibilities.subarray(row * K, (row + 1) * K)];
        assert.equal(own.indexOf(Math.max(...own)), label, `row ${row}`);
      });
    });

    test('rows far off in one column are labelled, and hide nothing', async () => {
      const odd = withOutliers(of, `${kind}-odd`, 4);
      const ended = await train(odd.data, `${kind}-odd`, '--labels', of.labels);
      const { k, outliers, acc } = jsonOf(ended);
      assert.deepEqual([k, outliers], [K, 4]);
      assert.ok(acc >= 1 - 4 / ROWS, String(acc));
      assert.match(
        ended.stderr,
        /warning: .*: rows with column 3 \(counted from 0\) below \S+ or above \S+ are so far/,
      );
      const labels = path(`${kind}-odd-labels.npy`);
      assert.equal(
        (await dpmesh(['predict', '--run', path(`${kind}-odd`), '--data', odd.data, '--out', labels])).code,
        0,
      );
      assert.deepEqual(readNpy(labels).data, labelsOf(path(`${kind}-odd`)).data);
    });

    test('replicates train on halves of the sample, with the same result for any number of workers', async () => {
      const found = [];
      for (const workers of [1, 3]) {
        const name = `${kind}-replicates-${workers}`;
        found.push(jsonOf(await train(of.data, name, '--workers', workers, '--replicates', 2)).replicates);
        const labels = labelsOf(path(name)).data as Int32Array;
        assert.deepEqual(labels, labelsOf(run).data, 'the run itself is as it was');
      }
      const [{ agreement, ...one }, other] = found;
      assert.deepEqual(other, { agreement, ...one });
      assert.deepEqual(one, { count: 2, k: [K, K], ks: [K, K] });
      // All rows, or all but one that is between two clusters.
      assert.ok(agreement > 0.998, `agreement ${agreement}`);
    });
  });

describe('the graph likelihood', () => {
  test('of few columns, where it is asked for: of the columns as they are after --transform', async () => {
    // In units that differ by a thousand, which standard deviations make up for.
    const few = easyData(folder, 'few', ROWS, (row) => row.map((value, i) => value * 1000 ** i));
    const flags = ['--likelihood', 'graph', '--labels', few.labels, '--soft'] as const;
    const ended = await train(few.data, 'few', ...flags);
    const { ari } = jsonOf(ended);
    assert.ok(ari > 0.95, `ARI ${ari}`);
    assert.ok(ended.stderr.includes('\ngraph likelihood: asked for\n'), ended.stderr);
    const { columns, dim, normalize, before } = json(path('few'), 'model', 'transform.json');
    assert.deepEqual([columns, dim, normalize, before], [[0, 1, 2], 3, false, undefined]);
    const { shape, data } = readNpy(join(path('few'), 'mixture', 'means.npy'));
    assert.equal(shape[1], 3);
    assert.ok(
      (data as Float64Array).every((value) => Math.abs(value) < 5),
      'in standard deviations',
    );
    // Raw, only the third column counts.
    const raw = jsonOf(await train(few.data, 'few-raw', ...flags, '--transform', 'center'));
    assert.ok(raw.ari < ari, `${raw.ari}, ${ari}`);
  });

  test('of other features, where a transform is given', async () => {
    for (const [transform, dim] of [
      ['pca:8', 8],
      ['normalize', MANY],
    ] as const) {
      const flags = ['--likelihood', 'graph', '--transform', transform, '--labels', embedded.labels];
      const { k, ari } = jsonOf(await train(embedded.data, transform, ...flags));
      assert.deepEqual([k, ari], [K, 1], transform);
      assert.equal(json(path(transform), 'model', 'transform.json').dim, dim);
    }
  });

  test('is not taken where a transform or the Gaussian likelihood is asked for', async () => {
    const standard = jsonOf(await train(embedded.data, 'standard', '--transform', 'standard'));
    const gaussian = jsonOf(await train(embedded.data, 'of-all', '--likelihood', 'gaussian'));
    assert.deepEqual(resultHashes(path('of-all')), resultHashes(path('standard')));
    assert.deepEqual([standard.dim, gaussian.dim], [MANY, MANY]);
    assert.equal(readNpy(join(path('of-all'), 'mixture', 'means.npy')).shape[1], MANY);
    assert.equal(json(path('standard'), 'run.json').likelihood, undefined);
    assert.deepEqual(ofType(eventsOf(path('standard')), 'likelihood'), []);
  });

  test('options that it does not use are named in a warning, and change nothing', async () => {
    const ended = await train(embedded.data, 'unused', '--init-k', 5, '--alpha', 3, '--covariance', 'diag');
    jsonOf(ended);
    assert.match(
      ended.stderr,
      /^dpmesh: warning: the graph likelihood does not use --alpha, --covariance, --init-k; --likelihood gaussian does$/m,
    );
    assert.deepEqual(resultHashes(path('unused')), resultHashes(path('graph')));
    const plain = await train(embedded.data, 'plain', '--seed', 1);
    jsonOf(plain);
    assert.doesNotMatch(plain.stderr, /warning/);
  });

  test('with other nets, samples and shards', async () => {
    const labels = ['--labels', embedded.labels];
    for (const flags of [
      ['--hidden', '32,32'],
      ['--shards', 1],
      ['--sample', 0],
      ['--sample', 600],
      ['--local-steps', 1],
      ['--freeze', 0],
    ]) {
      const { k, ari } = jsonOf(await train(embedded.data, flags.join(''), ...flags, ...labels));
      assert.deepEqual([k, ari], [K, 1], flags.join(' '));
    }
    assert.deepEqual(
      json(path('--hidden32,32'), 'model', 'model.json')
        .weightsManifest[0].weights.map(({ shape }: { shape: number[] }) => shape)
        .slice(-6),
      [[MANY, 32], [32], [32, 32], [32], [32, K], [K]],
    );
  });

  test('K 1: its notes say nothing of Gaussians; after one epoch, only that it was too short', async () => {
    const { rows } = embeddedData(folder, 'shuffled', ROWS);
    // Each column in another order: the same columns, without clusters.
    const shuffled = rows.map(
      (_, p) => rows[(((p % MANY) * 977 + Math.floor(p / MANY)) % ROWS) * MANY + (p % MANY)],
    );
    writeNpy(path('none.npy'), '<f4', [ROWS, MANY], shuffled);
    const { k, notes } = jsonOf(await train(path('none.npy'), 'none', '--likelihood', 'graph'));
    assert.equal(k, 1);
    assert.match(notes[0], /^K is 1: partitions of other samples differ at every resolution/);
    assert.equal(json(path('none'), 'run.json').likelihood.stability, null);
    const short = jsonOf(await train(embedded.data, 'short', '--max-epochs', 1));
    assert.equal(short.epochs, 1);
    assert.match(
      short.notes.join('\n'),
      /^training ended at --max-epochs 1 while K still changed \(1 → 6\).*$/,
    );
  });
});

describe('small or odd data of many columns', () => {
  const put = (name: string, rows: number, value: (row: number, column: number) => number, dim = 100) => {
    writeNpy(
      path(`${name}.npy`),
      '<f4',
      [rows, dim],
      Float32Array.from({ length: rows * dim }, (_, p) => value(Math.floor(p / dim), p % dim)),
    );
    return path(`${name}.npy`);
  };
  const noise = (row: number, column: number) => Math.sin(12.9898 * row + 78.233 * column + row * column) * 3;

  test('few rows', async () => {
    for (const [rows, flags] of [
      [2, []],
      [4, []],
      [5, ['--shards', 5]],
      [30, []],
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
      await train(path('30.npy'), 'none-drawn', '--sample', 1, '--seed', 5),
      /none of the 30 rows was drawn/,
    );
  });

  test('equal rows, but for one; each row many times; constant columns', async () => {
    const { normal } = generator(0n, 'few columns vary');
    refused(
      await train(
        put('equal', 300, (_, column) => column),
        'equal',
      ),
      /all 300 rows are equal/,
    );
    const one = await train(
      put('but-one', 300, (row, column) => (row ? column : column + 1)),
      'but-one',
    );
    assert.ok(jsonOf(one).k <= 2);
    const copies = await train(
      put('copies', 600, (row, column) => noise(row % 20, column)),
      'copies',
    );
    assert.equal(jsonOf(copies).k, 20);
    const constant = await train(
      put('constant', 600, (row, column) => (column < 50 ? 3 : noise(row, column))),
      'constant',
    );
    assert.ok(jsonOf(constant).k >= 1);
    assert.match(constant.stderr, /warning: .*dropped 50 constant columns/);
    const few = await train(
      put('few-vary', 600, (row, column) => (column < 95 ? 3 : 2 * normal() + 20 * (row % 3))),
      'few-vary',
    );
    assert.equal(jsonOf(few).k, 3);
    assert.ok(few.stderr.includes('\nGaussian likelihood: only 5 of the 100 columns vary\n'), few.stderr);
    // Of so many, there would be a sketch.
    const ofMany = (row: number, column: number) => (column < 2995 ? 3 : 2 * normal() + 20 * (row % 3));
    const fewOfMany = await train(put('few-of-many', 600, ofMany, 3000), 'few-of-many');
    assert.equal(jsonOf(fewOfMany).k, 3);
    assert.match(fewOfMany.stderr, /only 5 of the 3000 columns vary/);
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
});
