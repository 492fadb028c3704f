// Runs that learn features: what comes of the codes, and runs whose encoder or rows are not as they were.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { writeNpy } from '../../data/npy.ts';
import { readModel } from '../../run/model-file.ts';
import { runFiles } from '../../run/run-files.ts';
import {
  changedCopy,
  changeRunFile,
  checkpointsOf,
  dpmesh,
  embeddedData,
  eventsOf,
  jsonOf,
  labelsOf,
  ofType,
  refused,
  resultHashes,
  resumed,
  runFileOf,
  scratch,
  trainArgs,
  undisturbedHashes,
  unfinish,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const EPOCHS = 12;
const FLAGS = [
  ...['--encoder', 'autoencoder', '--encoder-hidden', '48,24', '--latent', 6, '--encoder-epochs', EPOCHS],
  ...[
    '--encoder-batch',
    16,
    '--encoder-steps',
    8,
    '--no-http',
    '--split-merge-every',
    3,
    '--max-epochs',
    9,
    '--checkpoint-every',
    0,
  ],
] as const;
const { data, labels, rows } = embeddedData(folder, 'rows', 600);
const trained = (run: string) => ofType(eventsOf(run), 'encoder-epoch').map(({ epoch }) => epoch);

describe('a run with an encoder', () => {
  const run = path('run');
  let expected: string[];
  before(async () => {
    expected = await undisturbedHashes(data, run, ...FLAGS, '--labels', labels);
  });

  test('keeps the names of the columns of a table, by which predict knows them', async () => {
    const [table, other] = [path('table.csv'), path('table')];
    const head = Array.from({ length: 40 }, (_, column) => `c${column}`);
    const lines = Array.from({ length: 600 }, (_, i) => [...rows.subarray(40 * i, 40 * (i + 1))].join());
    writeFileSync(table, [head.join(), ...lines].join('\n'));
    const flags = [...FLAGS, '--encoder-epochs', 1, '--max-epochs', 4, '--no-report'];
    const { code, stderr } = await dpmesh(trainArgs(table, other, ...flags));
    assert.equal(code, 0, stderr);
    const { names } = readModel(runFiles(other));
    assert.deepEqual(names, head);
    writeFileSync(table, [[...head.slice(0, 39), 'other'].join(), ...lines].join('\n'));
    refused(await dpmesh(['predict', '--run', other, '--data', table, '--out', path('p.npy')]), 'c39');
  });

  test('takes images as rows of pixels, and shows in the report what clusters look like', async () => {
    const [images, other] = [path('images.npy'), path('images')];
    writeNpy(images, '<f4', [rows.length / 40, 5, 8], rows);
    const { code, stderr } = await dpmesh([
      'train',
      ...['--data', images, '--out', other, '--workers', 2, '--json', ...FLAGS, '--labels', labels],
    ]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readFileSync(join(other, 'labels.npy')), readFileSync(join(run, 'labels.npy')));
    const svg = readFileSync(join(other, 'report/exemplars.svg'), 'utf8');
    assert.match(svg, /decoded/);
    const k = new Set(labelsOf(other).data).size;
    assert.ok(svg.match(/<image /g)!.length >= 2 * k, 'a decoded and a real image of each cluster at least');
  });

  test('learns, and says so', () => {
    const epochs = ofType(eventsOf(run), 'encoder-epoch');
    assert.deepEqual(
      trained(run),
      Array.from({ length: EPOCHS }, (_, i) => i + 1),
    );
    const [first, last] = [epochs[0], epochs.at(-1)!];
    assert.ok(last.loss < 0.8 * first.loss && last.loss > 0, `${first.loss} → ${last.loss}`);
    for (const { wall, bytes, seconds, of } of epochs) {
      assert.ok(wall > 0 && bytes > 0 && seconds['encoder-steps'] > 0);
      assert.equal(of, EPOCHS);
    }
    const { data: about, result } = runFileOf(run);
    assert.equal(about.dim, 40);
    assert.equal(about.codes.dim, 6);
    assert.equal(result.dim, 40);
    assert.match(ofType(eventsOf(run), 'likelihood')[0].why, /latent vectors/);
  });

  /** A copy of the run, as one that was killed when its encoder had learned. */
  const encoded = (name: string) =>
    changedCopy(run, path(name), (at) => {
      unfinish(at, 'labels.npy', 'model', 'mixture', 'codes.npy');
      for (const file of checkpointsOf(at))
        if (file !== 'encoder.ckpt') rmSync(join(at, 'checkpoints', file));
    });

  test('without codes or with a damaged encoder, a resumed run makes them again', async () => {
    const out = encoded('damaged');
    writeFileSync(join(out, 'checkpoints', 'encoder.ckpt'), 'nothing');
    jsonOf(await resumed(out));
    assert.deepEqual(resultHashes(out), expected);
    assert.match(
      ofType(eventsOf(out), 'warning')
        .map(({ message }) => message)
        .join(),
      /trained again/,
    );
  });

  test('of rows that have changed since does not resume', async () => {
    const moved = path('moved.npy');
    const bytes = readFileSync(data);
    bytes.writeFloatLE(7, bytes.length - 4);
    writeFileSync(moved, bytes);
    const out = encoded('changed');
    changeRunFile(out, ({ config }) => Object.assign(config, { data: moved }));
    refused(await resumed(out), /differs from what the run began with|has changed since the run began/);
  });
});

test('an encoder that diverges is a mistake of the user', async () => {
  const ended = await dpmesh(trainArgs(data, path('diverged'), ...FLAGS, '--encoder-lr', 1e15));
  refused(ended, /lower --encoder-lr than 1(e\+|0{15})/);
});

test('rows that are all equal have no features to learn', async () => {
  const same = path('same.npy');
  writeNpy(same, '<f4', [100, 40], new Float32Array(4000).fill(1));
  refused(await dpmesh(trainArgs(same, path('same'), ...FLAGS)), 'same.npy: all 100 rows are equal');
});

/** Its encoder then learns from the clusters of its codes. */
const ALTERNATING = [...FLAGS, '--encoder-epochs', 8, '--max-epochs', 12, '--alternations', 2];
const alternations = (run: string) => ofType(eventsOf(run), 'alternation');

describe('a run with alternations', () => {
  const run = path('alternating');
  before(async () => {
    await undisturbedHashes(data, run, ...ALTERNATING, '--labels', labels);
  });

  test('says what each brought', () => {
    const { alternations: brought } = runFileOf(run).result;
    const events = alternations(run);
    assert.ok(events.length >= 1 && events.length <= 2);
    assert.equal(brought.length, events.length + 1);
    for (const [i, { alternation, of, k, agreement }] of events.entries()) {
      assert.deepEqual([alternation, of], [i + 1, 2]);
      assert.deepEqual({ k, agreement }, brought[i]);
    }
    assert.equal(brought[0].agreement, null);
    assert.ok(brought[1].agreement > 0.5 && brought[1].agreement <= 1);
    // Fewer only where labels no longer change.
    if (events.length === 1) assert.ok(brought[1].agreement >= 0.99);
    const passes = ofType(eventsOf(run), 'encoder-epoch').map(({ epoch, of }) => `${epoch}/${of}`);
    assert.deepEqual(passes.slice(7, 10), ['8/8', '1/2', '2/2']);
  });
});
