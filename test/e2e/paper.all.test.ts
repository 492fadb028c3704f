// The paper's own schedule, on data like those of its figure: fifteen Gaussians in the plane, three columns of five.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { dpmesh, jsonOf, runFileOf, scratch, times, trainArgs, writeRows } from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const ROWS = 10_000;

function figure() {
  const { normal, uniform, below } = generator(2n, 'figure');
  const means = [-5, 0, 5].flatMap((x) => [-5, -3, 0, 3, 5].map((y) => [x, y]));
  // Roots of the covariances.
  const roots = means.map(() => times(4, (i) => (i % 3 ? 0 : 0.5) + 0.5 * uniform() - 0.3));
  const classes = Int32Array.from({ length: ROWS }, () => below(means.length));
  const rows = Array.from(classes, (own) => {
    const [a, b] = [normal(), normal()];
    const root = roots[own];
    return [means[own][0] + root[0] * a + root[1] * b, means[own][1] + root[2] * a + root[3] * b];
  });
  writeNpy(path('classes.npy'), '<i4', [ROWS], classes);
  return writeRows(path('figure.npy'), rows);
}

test('--schedule paper finds the clusters of its figure, from one', async () => {
  const data = figure();
  const run = (name: string, ...flags: (string | number)[]) =>
    dpmesh(trainArgs(data, path(name), '--labels', path('classes.npy'), '--schedule', 'paper', ...flags));
  const { k, ari } = jsonOf(await run('one', '--workers', 1));
  assert.ok(k >= 14 && k <= 16 && ari > 0.9, `K ${k}, ARI ${ari}`);
  assert.equal(runFileOf(path('one')).config.transform, 'auto');
  const { normalize } = JSON.parse(readFileSync(join(path('one'), 'model', 'transform.json'), 'utf8'));
  assert.ok(!normalize);
});
