import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { called } from '../e2e/in-process.ts';
import { jsonOf, scratch } from '../e2e/support.ts';

const folder = scratch();
const [x, y] = ['x.npy', 'y.npy'].map((name) => join(folder, name));
const synth = (...more: (string | number)[]) =>
  called(['synth', '--points', 2000, '--out', x, '--labels', y, ...more], folder);

test('synth rejects invalid values, and writes both files with the best possible NMI', async () => {
  for (const [args, says] of [
    [['--clusters', 0], /--clusters/],
    [['--points', 'many'], /--points/],
    [['--dim', 2.5], /--dim/],
    ...['-1', '1e3', '18446744073709551616'].map((seed) => [[`--seed=${seed}`], /--seed/] as const),
    [['--labels', x], /same file/],
    [['--out', join(folder, 'x.csv')], /--out must end in \.npy/],
  ] as const) {
    const { code, stderr } = await synth(...args);
    assert.deepEqual([code, stderr.split('\n').length], [2, 2], stderr);
    assert.match(stderr, says);
  }
  assert.deepEqual(readdirSync(folder), []);
  const { stdout } = await synth();
  assert.match(stdout, /best possible NMI 0\.9\d{3} \(posterior under the true parameters\)/);
  assert.ok(existsSync(x) && existsSync(y));
  assert.match((await synth()).stderr, /--force/);
  assert.equal(jsonOf(await synth('--force', '--json')).points, 2000);
});

test('synth replaces files alone, and only with --force', async () => {
  const labels = join(folder, 'precious.npy');
  writeFileSync(labels, 'precious');
  assert.match((await synth('--labels', labels, '--out', join(folder, 'new.npy'))).stderr, /--force/);
  mkdirSync(join(folder, 'folder.npy'));
  const { stderr } = await synth('--out', join(folder, 'folder.npy'), '--force');
  assert.match(stderr, /--out .* is not a file/);
  assert.equal(readFileSync(labels, 'utf8'), 'precious');
});

test('evaluate compares two label files', async () => {
  const [pred, labels] = ['a.csv', 'b.csv'].map((name) => join(folder, name));
  writeFileSync(pred, 'cluster\n7\n7\n9\n9\n9\n');
  writeFileSync(labels, 'class\ncat\ncat\ndog\ndog\ncat\n');
  const { stdout } = await called(['evaluate', pred, labels]);
  assert.match(stdout, /^NMI {3}0\.\d{4}\nARI {3}.*\nACC {3}0\.8000\nK {5}2 \(2 true\)\nrows {2}5\n$/);
  const json = jsonOf(await called(['evaluate', pred, labels, '--json']));
  assert.deepEqual([json.acc, json.k, json.classes, json.rows], [0.8, 2, 2, 5]);
  writeFileSync(labels, 'class\ncat\ndog\n');
  assert.match((await called(['evaluate', pred, labels])).stderr, /a\.csv has 5 labels, .*b\.csv has 2/);
});
