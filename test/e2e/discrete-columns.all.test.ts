// Tables with columns that are not continuous, beside what test/recipes has of them.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { generator } from '../../model/random.ts';
import { dpmesh, jsonOf, QUICK, refused, scratch, trainArgs, writeRows } from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const ROWS = 1000;
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
  const train = (out: string, ...more: (string | number)[]) =>
    dpmesh(trainArgs(data, out, '--categorical', 'plan', ...QUICK, ...more));
  before(() => {
    const line = (row: number[], i: number) => [...row, ...flags[i], plans[i]].join(',');
    writeFileSync(data, ['a,b,c,d,member,vip,plan', ...rows.map(line)].join('\n'));
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
    const ended = await dpmesh([
      'train',
      '--data',
      writeRows(`${out}.npy`, data),
      '--out',
      out,
      '--workers',
      1,
      '--json',
      ...QUICK,
    ]);
    assert.equal(jsonOf(ended).k, k, name);
  }
  assert.match(readFileSync(path('latent/report/report.html'), 'utf8'), /have two values/);
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
  assert.equal(jsonOf(await dpmesh(trainArgs(data, path('tail'), ...QUICK))).k, 1);
});
