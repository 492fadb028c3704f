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
