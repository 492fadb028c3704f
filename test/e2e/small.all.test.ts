// Small and difficult data with the default flags.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { dpmesh, eventsOf, jsonOf, ofType, scratch, synth, times, trainArgs, writeRows } from './support.ts';

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

test('a column that nearly repeats another costs time, not the result', async () => {
  const { data, labels } = await synth(folder, 'clean', { clusters: 5, points: 3000, dim: 3, seed: 3 });
  const { data: values } = readNpy(data);
  const row = (i: number) => [...values.subarray(3 * i, 3 * i + 3), values[3 * i] + 1e-3 * Math.sin(i * i)];
  const [nearly, out] = [writeRows(join(folder, 'nearly.npy'), times(3000, row)), join(folder, 'nearly')];
  const { k, nmi } = jsonOf(await dpmesh(trainArgs(nearly, out, '--labels', labels, '--no-http')));
  assert.ok(k === 5 && nmi > 0.98, `K ${k}, NMI ${nmi}`);
  // Plain float32 sums were too imprecise.
  assert.ok(ofType(eventsOf(out), 'epoch').some(({ seconds }) => 'pivoted-statistics' in seconds));
});
