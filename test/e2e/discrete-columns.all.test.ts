// Tables with columns that are not continuous.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { ariOfLabels } from '../../model/scores.ts';
import { dpmesh, jsonOf, refused, runFileOf, scratch, trainArgs, writeRows } from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const ROWS = 2000;
const D = 4;
const rng = generator(5n, 'discrete columns');
const CENTRES = Array.from({ length: 4 }, () => Array.from({ length: D }, () => 5 * rng.normal()));
const PLANS = ['basic', 'free', 'pro'];
const classes = Int32Array.from({ length: ROWS }, () => rng.below(4));
const rows = Array.from(classes, (c) => CENTRES[c].map((centre) => centre + rng.normal()));
const flags = rows.map(() => [rng.uniform() < 0.4 ? 1 : 0, rng.uniform() < 0.02 ? 1 : 0]);
const plans = rows.map(() => PLANS[Math.min(2, rng.below(4))]);

describe('four Gaussians beside flags and categories that tell nothing', () => {
  const data = path('table.csv');
  const run = path('run');
  const train = (out: string, ...more: (string | number)[]) =>
    dpmesh(trainArgs(data, out, '--categorical', 'plan', ...more));
  before(async () => {
    const line = (row: number[], i: number) => [...row, ...flags[i], plans[i]].join(',');
    writeFileSync(data, ['a,b,c,d,member,vip,plan', ...rows.map(line)].join('\n'));
    assert.equal(jsonOf(await train(run, '--workers', 2)).k, 4);
  });

  test('are four clusters, and the run says what the columns are', () => {
    const found = readNpy(join(run, 'labels.npy')).data as Int32Array;
    assert.ok(ariOfLabels(Int32Array.from(found), classes) > 0.95);
    assert.match(
      runFileOf(run).likelihood.why,
      /^columns member, vip have two values, and column plan has categories: /,
    );
  });

  test('with diagonal covariances', async () => {
    assert.equal(jsonOf(await train(path('diag'), '--covariance', 'diag')).k, 4);
  });

  test('with a transform that mixes columns, are among others, and it says so', async () => {
    const ended = await train(path('mixed'), '--transform', 'pca:4', '--max-epochs', 1);
    assert.match(ended.stderr, /warning: --categorical: each category of plan is a column of 0 and 1 /);
  });

  test('text that is not named as categories is refused, with the flag', async () => {
    refused(await dpmesh(['train', '--data', data, '--out', path('no')]), '--categorical plan');
  });
});

test('columns of two values alone: as many clusters as there are, or one', async () => {
  const shares = [0, 1, 2].map(() => Array.from({ length: 10 }, () => (rng.uniform() < 0.5 ? 0.08 : 0.92)));
  const of = Int32Array.from({ length: ROWS }, () => rng.below(3));
  const latent = Array.from(of, (c) => shares[c].map((share) => (rng.uniform() < share ? 1 : 0)));
  const independent = rows.map(() => shares[0].map(() => (rng.uniform() < 0.3 ? 1 : 0)));
  for (const [name, data, k] of [
    ['latent', latent, 3],
    ['independent', independent, 1],
  ] as const) {
    const out = path(name);
    const ended = await dpmesh(['train', '--data', writeRows(`${out}.npy`, data), '--out', out, '--json']);
    assert.equal(jsonOf(ended).k, k, name);
  }
  assert.match(readFileSync(path('latent/report/report.html'), 'utf8'), /have two values/);
});

test('ratings are spread over their steps in training alone', async () => {
  const centres = CENTRES.map((_, c) => Array.from({ length: 8 }, (_, j) => ((c >> (j % 2)) % 2 ? 4 : 2)));
  const ratings = Array.from(classes, (c) =>
    centres[c].map((centre) => Math.max(1, Math.min(5, Math.round(centre + 0.8 * rng.normal())))),
  );
  const [data, one] = [writeRows(path('ratings.npy'), ratings), path('ratings')];
  const ended = await dpmesh(trainArgs(data, one, '--workers', 1));
  assert.equal(jsonOf(ended).k, 4);
  const found = readNpy(join(one, 'labels.npy')).data as Int32Array;
  assert.ok(ariOfLabels(Int32Array.from(found), classes) > 0.9);
  assert.match(runFileOf(one).likelihood.why, /^columns .* have few values, at equal steps: /);
  const equal = new Map<string, number>();
  for (const [i, row] of ratings.entries()) {
    const label = equal.get(row.join()) ?? found[i];
    assert.equal(found[i], label);
    equal.set(row.join(), label);
  }
});

test('zero-inflated columns: shares of zeros and Gaussians of the others', async () => {
  const values = rows.map((row) => row.map((value, j) => (j < 2 && rng.uniform() < 0.5 ? 0 : value)));
  const [data, one] = [writeRows(path('zeros.npy'), values), path('zeros')];
  const ended = await dpmesh(trainArgs(data, one, '--workers', 1));
  assert.equal(jsonOf(ended).k, 4);
  const found = readNpy(join(one, 'labels.npy')).data as Int32Array;
  assert.ok(ariOfLabels(Int32Array.from(found), classes) > 0.9);
  assert.match(
    runFileOf(one).likelihood.why,
    /^columns 0 \(0\), 1 \(0\) \(counted from 0\) have one exact value /,
  );
});

test('cells with one value in few rows are unknown ones, which no ONNX model fills', async () => {
  const shared = rows.map((row) => row.map((value, j) => (rng.uniform() < 0.06 ? j - 0.5 : value)));
  const [data, one] = [writeRows(path('imputed.npy'), shared), path('imputed')];
  const ended = await dpmesh(trainArgs(data, one, '--workers', 1));
  assert.equal(jsonOf(ended).k, 4);
  const found = readNpy(join(one, 'labels.npy')).data as Int32Array;
  assert.ok(ariOfLabels(Int32Array.from(found), classes) > 0.95);
  assert.match(jsonOf(ended).notes[0], /^column 0 .* is -0\.5 in \d % of the rows, .* treated as unknown/);
  refused(
    await dpmesh(['export', one, '--onnx', path('imputed.onnx')]),
    'fills unknown cells by a regression on other rows, for which ONNX has no operator: use dpmesh serve or predict',
  );
});

test('a heavy tail beside columns of two values is one cluster', async () => {
  const tail = rows.map(() => {
    const scale = Math.sqrt([1, 2, 3].reduce((sum) => sum + rng.normal() ** 2, 0) / 3);
    return Array.from({ length: D }, () => rng.normal() / scale);
  });
  const data = writeRows(
    path('tail.npy'),
    tail.map((row, i) => [...row, ...flags[i]]),
  );
  assert.equal(jsonOf(await dpmesh(trainArgs(data, path('tail')))).k, 1);
});
