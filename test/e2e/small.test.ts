import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-small-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const dpmesh = (...args: string[]) =>
  spawnSync(process.execPath, ['dist/cli/main.js', ...args], { encoding: 'utf8', timeout: 60_000 });

test('1,500 rows, 188 a shard, are enough to find eight clusters with the default flags', () => {
  const [data, labels] = [join(folder, 'x.npy'), join(folder, 'y.npy')];
  const size = ['--clusters', '8', '--points', '1500', '--dim', '5', '--seed', '1'];
  assert.equal(dpmesh('synth', '--out', data, '--labels', labels, ...size).status, 0);
  const run = dpmesh('train', '--data', data, '--labels', labels, '--out', join(folder, 'run'), '--json');
  const { k, nmi } = JSON.parse(run.stdout);
  assert.equal(k, 8);
  assert.ok(nmi > 0.98, `NMI ${nmi}`);
});

for (const [flag, rest] of [
  ['--lr', []],
  ['--sub-lr', ['--lr', '0.01']],
] as const)
  test(`${flag} at which training diverges is named, with exit code 2 and no stack trace`, () => {
    const data = join(folder, `${flag}.npy`);
    const size = ['--clusters', '4', '--points', '2000', '--dim', '3', '--seed', '2'];
    assert.equal(
      dpmesh('synth', '--out', data, '--labels', join(folder, `${flag}-y.npy`), ...size).status,
      0,
    );
    const out = join(folder, flag);
    const run = dpmesh('train', '--data', data, '--no-http', '--out', out, flag, '1e30', ...rest);
    assert.equal(run.status, 2);
    assert.match(
      run.stderr,
      new RegExp(`\ndpmesh: training diverged in epoch \\d+: ${flag} 1e\\+30 is too large`),
    );
    assert.doesNotMatch(run.stderr, /\n {4}at /);
  });
