import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';

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

/** Five clusters of synth, spoilt, clustered: how many, how well, and whether float32 sums were good enough. */
function spoilt(name: string, spoil: (row: Float32Array, i: number) => number[]) {
  const [clean, labels] = [join(folder, `${name}-clean.npy`), join(folder, `${name}-y.npy`)];
  const size = ['--clusters', '5', '--points', '3000', '--dim', '3', '--seed', '3'];
  assert.equal(dpmesh('synth', '--out', clean, '--labels', labels, ...size).status, 0);
  const { data: values } = readNpy(clean);
  const rows = Array.from({ length: 3000 }, (_, i) =>
    spoil(values.subarray(3 * i, 3 * i + 3) as Float32Array, i),
  );
  const data = join(folder, `${name}.npy`);
  writeNpy(data, '<f4', [3000, rows[0].length], Float32Array.from(rows.flat()));
  const out = join(folder, name);
  const flags = ['--no-http', '--no-report', '--json', '--out', out];
  const run = dpmesh('train', '--data', data, '--labels', labels, ...flags);
  assert.equal(run.status, 0, run.stderr);
  const pivoted = readFileSync(join(out, 'events.jsonl'), 'utf8').includes('"pivoted-statistics"');
  return { ...JSON.parse(run.stdout), pivoted };
}

test('one row a hundred widths away does not hide the clusters', () => {
  const { k, nmi } = spoilt('outlier', (row, i) => [...row].map((value) => (i === 17 ? 1000 : value)));
  assert.ok(k >= 5 && k <= 7 && nmi > 0.95, `K ${k}, NMI ${nmi}`);
});

test('a column that nearly repeats another costs time, not the result', () => {
  const { k, nmi, pivoted } = spoilt('nearly', (row, i) => [...row, row[0] + 1e-3 * Math.sin(i * i)]);
  assert.ok(k === 5 && nmi > 0.98 && pivoted, `K ${k}, NMI ${nmi}, ${pivoted}`);
});
