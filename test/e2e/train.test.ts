import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { accuracy, contingency, nmi } from '../../model/scores.ts';
import { LAYERS, MODEL } from '../../run/model-file.ts';
import type { CliArgs } from '../bench/processes.ts';
import { exportedLabels } from './exported.ts';
import {
  D,
  dpmesh,
  easyData,
  eventsOf,
  jsonOf,
  K,
  labelsOf,
  ofType,
  QUICK,
  ROW_FILES,
  refused,
  runFileOf,
  scratch,
  sha256,
  spawned,
  type TestData,
  times,
  trainArgs,
} from './support.ts';

const KEYS = [
  ...['k', 'nmi', 'ari', 'acc', 'silhouette', 'loss', 'epochs', 'rounds', 'workers', 'rows', 'outliers'],
  ...['dim', 'seconds', 'out', 'noise', 'notes', 'replicates', 'stability', 'evidence'],
].sort();
const N = 3000;
const folder = scratch();
const easy = easyData(folder, 'easy', N);
const base = join(folder, 'base');
const path = (...names: string[]) => join(folder, ...names);

async function assertExported(run: string, { rows }: TestData, dim = D): Promise<void> {
  assert.deepEqual(await exportedLabels(run, rows, dim), Array.from(labelsOf(run).data));
}

/** Columns in the coordinates of the mixture, as documented in docs/run-directory.md. */
function coordinates(transform: string, rows: Float32Array, dim: number): number[][] {
  const columns = times(dim, (d) => Array.from(rows.filter((_, i) => i % dim === d)));
  return columns
    .filter((column) => new Set(column).size > 1)
    .map((column) => {
      const mean = column.reduce((a, b) => a + b, 0) / column.length;
      const variance = column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (column.length - 1);
      const [min, max] = [Math.min(...column), Math.max(...column)];
      if (transform === 'center') return column.map((x) => x - mean);
      if (transform === 'standard') return column.map((x) => (x - mean) / Math.sqrt(variance));
      if (transform === 'min-max') return column.map((x) => (x - min) / (max - min));
      return column;
    });
}

/** The mixture has the counts and means of the labelled rows, because the prior has almost no weight. */
function assertMixture(run: string, transform: string, rows: Float32Array, dim: number): void {
  const labels = labelsOf(run).data;
  const columns = coordinates(transform, rows, dim);
  const [means, counts] = ['means', 'counts'].map(
    (name) => readNpy(join(run, 'mixture', `${name}.npy`)).data,
  );
  for (let c = 0; c < counts.length; c++) {
    const own = [...labels.keys()].filter((i) => labels[i] === c);
    assert.equal(counts[c], own.length);
    for (const [d, column] of columns.entries()) {
      const mean = own.reduce((sum, i) => sum + column[i], 0) / own.length;
      const actual = means[c * columns.length + d];
      assert.ok(
        Math.abs(actual - mean) < 1e-3 * Math.max(1, Math.abs(mean)),
        `${c}, ${d}: ${actual} instead of ${mean}`,
      );
    }
  }
}

describe('a run', () => {
  let ended: Awaited<ReturnType<typeof dpmesh>>;
  before(async () => {
    ended = await spawned(
      trainArgs(easy.data, base, '--labels', easy.labels, '--workers', 2, '--soft', ...QUICK),
    );
  });

  test('finds the clusters and reports them in one JSON object', () => {
    const json = jsonOf(ended);
    assert.deepEqual(Object.keys(json).sort(), KEYS);
    assert.equal(json.k, K);
    const table = contingency(Int32Array.from(labelsOf(base).data), easy.classes);
    assert.deepEqual([json.nmi, json.acc], [nmi(table), accuracy(table)]);
    assert.ok(json.nmi > 0.95 && json.ari > 0.95 && json.acc > 0.95, JSON.stringify(json));
    const { rows, dim, workers, out } = json;
    assert.deepEqual({ rows, dim, workers, out }, { rows: N, dim: D, workers: 2, out: base });
    for (const name of ['silhouette', 'epochs', 'rounds', 'seconds', 'loss'])
      assert.ok(Number.isFinite(json[name]) && json[name] > 0, name);
  });

  test('says which refused split and merge were nearest to another K', () => {
    const { evidence } = jsonOf(ended);
    assert.deepEqual(runFileOf(base).result.evidence, evidence);
    const { split, merge } = evidence;
    assert.ok(split.refused.clusters[0] < K && split.refused.nats < split.refused.needed);
    const [a, b] = merge.refused.clusters;
    assert.ok(a !== b && Math.max(a, b) < K && merge.refused.nats < 0);
    // That of the clusters that the proposal was of, whose rows are all in the sample.
    const counts = times(K, (c) => labelsOf(base).data.filter((label: number) => label === c).length);
    assert.deepEqual(merge.refused.sizes.toSorted(), [counts[a], counts[b]].toSorted());
    assert.ok(split.accepted.nats > split.accepted.needed);
  });

  test('logs its progress on stderr', () => {
    assert.match(ended.stderr, /^3,000 rows × 5, 4 shards$/m);
    assert.match(ended.stderr, /^epoch +\d+ {2}split {2}K 1 → 2$/m);
    assert.match(ended.stderr, /^epoch +\d+ {2}settled {2}K 6$/m);
    assert.doesNotMatch(ended.stderr, /\[K|warning|Error/);
  });

  test('leaves a complete run directory', () => {
    const files = readdirSync(base, { recursive: true }).map(String);
    const checkpoints = files.filter((name) => /^checkpoints\/epoch-\d{6}\.ckpt$/.test(name));
    assert.equal(checkpoints.length, 3);
    assert.deepEqual(
      files.filter((name) => !checkpoints.includes(name)).sort(),
      [
        'checkpoints',
        'clusters.json',
        'events.jsonl',
        'labels.csv',
        ...ROW_FILES,
        'mixture',
        ...['counts', 'covariances', 'means', 'weights'].map((name) => `mixture/${name}.npy`),
        'model',
        MODEL,
        ...Object.values(LAYERS),
        'responsibilities.npy',
        'run.json',
        'stream',
        'stream/sample.npy',
        'stream/state.ckpt',
        'tree.json',
      ].sort(),
    );
    const { config, data, result, dpmesh: version, identity } = runFileOf(base);
    assert.deepEqual(result, jsonOf(ended));
    assert.deepEqual([config.data, config.labels, config.soft], [easy.data, easy.labels, true]);
    assert.deepEqual([config.splitMergeEvery, config.lr, config.priorScale], [3, 0.01, 1]);
    assert.deepEqual([data.rows, data.dim, data.dtype], [N, D, 'float32']);
    assert.match(data.fingerprint, /^[0-9a-f]{32}$/);
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.match(identity, /^wasm\//);
  });

  test('has a mixture of the labelled rows', () => {
    const of = (name: string) => readNpy(join(base, 'mixture', `${name}.npy`));
    assert.deepEqual(
      [of('means').shape, of('covariances').shape],
      [
        [K, D],
        [K, D, D],
      ],
    );
    assertMixture(base, 'standard', easy.rows, D);
    const weights = Array.from(of('weights').data);
    assert.ok(Math.abs(weights.reduce((a, b) => a + b, 0) - 1) < 1e-9);
  });

  test('records events in order', () => {
    const events = eventsOf(base);
    const json = jsonOf(ended);
    assert.deepEqual(
      ofType(events, 'epoch').map(({ epoch }) => epoch),
      Array.from({ length: json.epochs }, (_, i) => i + 1),
    );
    assert.equal(ofType(events, 'worker').length, 2);
    assert.equal(ofType(events, 'worker-gone').length, 0);
    const [begin] = ofType(events, 'start');
    assert.deepEqual([begin.rows, begin.dim, begin.sample, begin.shards], [N, D, N, 4]);
    const [end, ...more] = ofType(events, 'end');
    assert.deepEqual([end.k, end.reason, end.epoch, more.length], [K, 'settled', json.epochs, 0]);
    const done = events.at(-1)!;
    assert.ok(done.type === 'done' && done.rowsRead === 2 * N, JSON.stringify(done));
    const times = events.map(({ time }) => Date.parse(time));
    assert.deepEqual(
      times,
      times.slice().sort((a, b) => a - b),
    );
    for (const step of ofType(events, 'step')) {
      const proposals = events.filter((event) => event.type === step.kind && event.epoch === step.epoch);
      if (step.changed) assert.ok(proposals.some((event) => 'accepted' in event && event.accepted));
    }
  });

  test('has responsibilities that sum to one and whose largest is the label', () => {
    const { shape, data } = readNpy(join(base, 'responsibilities.npy'));
    assert.deepEqual(shape, [N, K]);
    const labels = labelsOf(base).data;
    for (let i = 0; i < N; i++) {
      const row = Array.from(data.subarray(i * K, (i + 1) * K));
      assert.ok(Math.abs(row.reduce((a, b) => a + b, 0) - 1) < 1e-5, `row ${i}: ${row}`);
      assert.equal(row.indexOf(Math.max(...row)), labels[i], `row ${i}: ${row}`);
    }
  });

  test('predicts the same labels and responsibilities, byte for byte', async () => {
    const [out, soft] = [path('p.npy'), path('ps.npy')];
    const { code, stderr, stdout } = await dpmesh([
      ...['predict', '--run', base, '--data', easy.data, '--out', out, '--soft', soft],
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /labels of 3000 rows, clusters 0 to 5/);
    assert.deepEqual(
      [out, soft].map(sha256),
      ['labels.npy', 'responsibilities.npy'].map((name) => sha256(join(base, name))),
    );
  });

  test('evaluate gives the scores that it reported', async () => {
    const args = ['evaluate', '--pred', join(base, 'labels.npy'), '--labels', easy.labels, '--json'];
    const { nmi, ari, acc, k, rows } = jsonOf(await dpmesh(args));
    const json = jsonOf(ended);
    assert.deepEqual([nmi, ari, acc, k, rows], [json.nmi, json.ari, json.acc, K, N]);
  });

  test('exports a model with the same labels', () => assertExported(base, easy));

  test('can be repeated from its run.json with the same bytes', async () => {
    const again = path('again');
    jsonOf(await dpmesh(['train', '--config', join(base, 'run.json'), '--out', again, '--json']));
    for (const name of [
      'labels.npy',
      'responsibilities.npy',
      'model/model.safetensors',
      'mixture/covariances.npy',
    ])
      assert.equal(sha256(join(again, name)), sha256(join(base, name)), name);
    assert.deepEqual(runFileOf(again).config, runFileOf(base).config);
  });

  test('is overwritten only with --force, and then completely', async () => {
    const out = path('forced');
    const args = trainArgs(easy.data, out, '--workers', 1, '--max-epochs', 1);
    jsonOf(await dpmesh([...args, '--soft']));
    const kept = join(out, 'notes.txt');
    writeFileSync(kept, 'mine');
    const files = () => readdirSync(out, { recursive: true }).map(String).sort();
    const before = files();
    refused(await dpmesh(args), /^dpmesh: --out .* already exists.*--force$/);
    assert.deepEqual(files(), before);
    jsonOf(await dpmesh([...args, '--force']));
    // Files of the previous run are gone, other files stay.
    assert.deepEqual(
      files(),
      before.filter((name) => name !== 'responsibilities.npy'),
    );
    assert.equal(ofType(eventsOf(out), 'start').length, 1);
  });
});

test('a config file is YAML of flags, with dashes or not; flags win; without labels scores are null', async () => {
  const file = path('config.yaml');
  const lines = [
    ...[`data: ${easy.data}`, 'schedule: paper', 'max-epochs: 50   # comment', 'splitMergeEvery: 4'],
    ...['hidden: [10, 5]', 'seed: "18446744073709551615"', 'early-stop: no', 'soft: "yes"'],
  ];
  writeFileSync(file, lines.join('\n'));
  const out = path('yaml');
  const flags = ['--max-epochs', 2, '--report=no', '--lr', 0.02, '--local-steps', 5];
  const json = jsonOf(
    await dpmesh(['train', '--config', file, '--out', out, '--json', '--workers', 1, ...flags]),
  );
  assert.deepEqual(Object.keys(json).sort(), KEYS);
  assert.deepEqual([json.nmi, json.ari, json.acc, json.epochs, json.k], [null, null, null, 2, 1]);
  const expected = {
    ...{ maxEpochs: 2, splitMergeEvery: 4, hidden: [10, 5], seed: '18446744073709551615' },
    ...{ earlyStop: false, soft: true, lr: 0.02, localSteps: 5 },
    // Defaults of that schedule.
    ...{ transform: 'auto', priorScaleChoice: 'isotropic', sample: 0, shards: 1 },
  };
  assert.deepEqual({ ...runFileOf(out).config, ...expected }, runFileOf(out).config);
});

/** Few columns, for which no net is trained; one is constant. */
const constant = easyData(folder, 'constant', 1200, ([a, b, c]) => [a, 7, b, c]);

const few = easyData(folder, 'few', 1200);

/** Fewer units for one worker, with the same steps. */
const FEWER_SHARDS = ['--shards', 2, '--batch-size', 64];

describe('options', { concurrency: 2 }, () => {
  const runs: { flags: CliArgs; data?: TestData; dim?: number; slack?: number; least?: number }[] = [
    {
      flags: ['--local-steps', 1, '--split-merge-every', 12, '--lr', 0.03, '--sub-lr', 0.03],
      slack: 1,
      least: 0.9,
    },
    { flags: ['--transform', 'min-max', '--hidden', '20,20'] },
    // Normalization spreads the cluster at the origin over the sphere, which many Gaussians cover.
    { flags: ['--transform', 'normalize'], slack: 18, least: 0.85 },
    { flags: ['--transform', 'center'], data: constant, dim: 4 },
  ];
  for (const [i, { flags, data = few, dim = D, slack = 0, least = 0.95 }] of runs.entries())
    test(`${flags.join(' ')}${data === constant ? ', a constant column' : ''}`, async () => {
      const run = path(`option-${i}`);
      const args = trainArgs(data.data, run, '--labels', data.labels, '--workers', 1);
      const json = jsonOf(await dpmesh([...args, ...QUICK, ...FEWER_SHARDS, ...flags]));
      assert.ok(json.k >= K - slack && json.k <= K + slack, `K ${json.k}`);
      assert.ok(json.nmi > least, `NMI ${json.nmi}`);
      assert.equal(json.loss === null, data === constant);
      await assertExported(run, data, dim);
      const transform = flags[0] === '--transform' ? String(flags[1]) : 'standard';
      if (transform !== 'normalize') assertMixture(run, transform, data.rows, dim);
    });
});

test('of more workers than shards all read, which a warning says, and the bytes are the same', async () => {
  const flags: CliArgs = [...QUICK, '--shards', 2, '--sample', 150, '--no-http'];
  const by = (workers: number) =>
    trainArgs(easy.data, path(`by-${workers}`), '--workers', workers).concat(flags);
  const three = await spawned(by(3));
  const one = await dpmesh(by(1));
  for (const { code, stderr } of [one, three]) assert.equal(code, 0, stderr);
  const [labels, others] = [1, 3].map((workers) => sha256(path(`by-${workers}/labels.npy`)));
  assert.equal(others, labels);
  assert.match(three.stderr, /all 3 workers read and label rows, but .* at most 2, .*--shards 4 would let/);
  assert.doesNotMatch(one.stderr, /read and label rows/);
});
