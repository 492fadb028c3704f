// Small and difficult data with the default flags.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { dpmesh, eventsOf, jsonOf, ofType, scratch, synth, trainArgs } from './support.ts';

const folder = scratch();

test('1,500 rows, 750 per shard, are enough to find eight clusters with the default flags', async () => {
  const { data, labels } = await synth(folder, 'x', { clusters: 8, points: 1500, dim: 5, seed: 1 });
  const out = join(folder, 'run');
  const { k, nmi } = jsonOf(
    await dpmesh(['train', '--data', data, '--labels', labels, '--out', out, '--json']),
  );
  assert.equal(k, 8);
  assert.ok(nmi > 0.98, `NMI ${nmi}`);
});

test('three clusters that overlap in 333 rows, as measurements of three species do, are found whatever the number of shards', async () => {
  // Of each: rows, means, standard deviations, and the correlation of all columns.
  const species = [
    { n: 146, mean: [38.8, 18.3, 190.1, 3706], sd: [2.66, 1.22, 6.52, 459], correlation: 0.45 },
    { n: 68, mean: [48.8, 18.4, 195.8, 3733], sd: [3.34, 1.14, 7.13, 384], correlation: 0.58 },
    { n: 119, mean: [47.6, 15, 217.2, 5092], sd: [3.11, 0.99, 6.59, 501], correlation: 0.68 },
  ];
  const { normal } = generator(0n, 'three species');
  const rows = species.flatMap(({ n, mean, sd, correlation }, label) =>
    Array.from({ length: n }, () => {
      const common = normal();
      return [
        ...mean.map(
          (m, j) => m + sd[j] * (Math.sqrt(correlation) * common + Math.sqrt(1 - correlation) * normal()),
        ),
        label,
      ];
    }),
  );
  const data = join(folder, 'species.csv');
  writeFileSync(data, ['length,depth,flipper,mass,species', ...rows.map((row) => row.join())].join('\n'));
  for (const flags of [[], ['--shards', 8], ['--shards', 16]]) {
    const out = join(folder, `species${flags.join('')}`);
    const { k, ari } = jsonOf(await dpmesh(trainArgs(data, out, '--labels', `${data}:species`, ...flags)));
    assert.equal(k, 3, flags.join(' '));
    assert.ok(ari > 0.9, `${flags.join(' ')} ARI ${ari}`);
  }
});

for (const [flag, rest] of [
  ['--lr', []],
  ['--sub-lr', ['--lr', '0.01']],
] as const)
  test(`if training diverges because of ${flag}, the error names it; exit code 2, no stack trace`, async () => {
    const { data } = await synth(folder, flag, { clusters: 4, points: 2000, dim: 3, seed: 2 });
    const out = join(folder, `run${flag}`);
    const run = await dpmesh(['train', '--data', data, '--no-http', '--out', out, flag, '1e30', ...rest]);
    assert.equal(run.code, 2);
    assert.match(
      run.stderr,
      new RegExp(`\ndpmesh: training diverged in epoch \\d+: ${flag} 1e\\+30 is too large`),
    );
    assert.doesNotMatch(run.stderr, /\n {4}at /);
  });

/** Runs on five synthetic clusters changed by `spoil`. `pivoted`: whether plain float32 sums were too imprecise. */
async function runOnSpoiled(name: string, spoil: (row: Float32Array, i: number) => number[]) {
  const clean = await synth(folder, `${name}-clean`, { clusters: 5, points: 3000, dim: 3, seed: 3 });
  const { data: values } = readNpy(clean.data);
  const rows = Array.from({ length: 3000 }, (_, i) =>
    spoil(values.subarray(3 * i, 3 * i + 3) as Float32Array, i),
  );
  const data = join(folder, `${name}.npy`);
  writeNpy(data, '<f4', [3000, rows[0].length], Float32Array.from(rows.flat()));
  const out = join(folder, name);
  const json = jsonOf(await dpmesh(trainArgs(data, out, '--labels', clean.labels, '--no-http')));
  const pivoted = ofType(eventsOf(out), 'epoch').some(({ seconds }) => 'pivoted-statistics' in seconds);
  return { ...json, pivoted };
}

test('one row a hundred widths away does not hide the clusters', async () => {
  const { k, nmi } = await runOnSpoiled('outlier', (row, i) =>
    [...row].map((value) => (i === 17 ? 1000 : value)),
  );
  assert.ok(k >= 5 && k <= 7 && nmi > 0.95, `K ${k}, NMI ${nmi}`);
});

test('a column that nearly repeats another costs time, not the result', async () => {
  const { k, nmi, pivoted } = await runOnSpoiled('nearly', (row, i) => [
    ...row,
    row[0] + 1e-3 * Math.sin(i * i),
  ]);
  assert.ok(k === 5 && nmi > 0.98 && pivoted, `K ${k}, NMI ${nmi}, ${pivoted}`);
});
