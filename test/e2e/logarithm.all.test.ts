// Columns with a long tail: a note that names them, and runs that cluster them by their logarithms.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { predict } from '../../library/predict-files.ts';
import { generator } from '../../model/random.ts';
import { dpmesh, jsonOf, refused, scratch, writeRows } from './support.ts';

const cwd = scratch();
const path = (name: string) => join(cwd, name);
const flags = ['--workers', 1, '--no-report', '--no-http', '--json'];

test('log-normal rows: a note, and one cluster by logarithms', async () => {
  const rng = generator('3', 'log-normal');
  const tail = () => Math.exp(0.8 * rng.normal());
  writeRows(
    path('tails.npy'),
    Array.from({ length: 1000 }, () => [tail(), tail(), tail()]),
  );
  const plain = jsonOf(
    await dpmesh(['train', 'tails.npy', ...flags, '--shapes', 'off', '--out', 'plain'], { cwd }),
  );
  assert.ok(plain.k > 2, String(plain.k));
  const note = /^columns 0, 1, 2 .* are skewed .*; try --log 1,2,3 \(counted from 1\)$/;
  assert.ok(
    plain.notes.some((text: string) => note.test(text)),
    plain.notes.join('\n'),
  );
  const trained = await dpmesh(['train', 'tails.npy', ...flags, '--log', 'auto', '--out', 'auto'], { cwd });
  assert.match(trained.stderr, /clustered by logarithms: --log 1,2,3/);
  assert.equal(jsonOf(trained).k, 1, trained.stdout);
});

test('a table whose clusters differ by a logarithm: named and predicted', async () => {
  const rng = generator('4', 'pay');
  const rows = Array.from({ length: 600 }, (_, i) => [
    Math.exp(0.8 * rng.normal()) * 1000,
    (i % 3) * 12 + rng.normal(),
  ]);
  const text = (all: readonly number[][]) => `pay,height\n${all.map((row) => row.join(',')).join('\n')}\n`;
  writeFileSync(path('people.csv'), text(rows));
  const trained = await dpmesh(['train', 'people.csv', ...flags, '--log', 'pay', '--out', 'people'], { cwd });
  assert.equal(jsonOf(trained).k, 3);
  const { clusters } = JSON.parse(readFileSync(path('people/clusters.json'), 'utf8'));
  assert.match(JSON.stringify(clusters), /"log\(pay\)"/);
  const labels = readNpy(path('people/labels.npy')).data;
  const predicted = async (name: string, data: string | { values: Float32Array; columns: number }) => {
    const out = path(`${name}.npy`);
    await predict({ run: path('people'), data, out });
    return readNpy(out).data;
  };
  assert.deepEqual(await predicted('table', path('people.csv')), labels);
  assert.deepEqual(await predicted('memory', { values: Float32Array.from(rows.flat()), columns: 2 }), labels);
  writeFileSync(path('turned.csv'), `height,pay\n${rows.map(([a, b]) => `${b},${a}`).join('\n')}\n`);
  assert.deepEqual(await predicted('turned', path('turned.csv')), labels);

  writeFileSync(path('unpaid.csv'), text([...rows, [0, 3]]));
  const unpaid = /unpaid\.csv: row 600 \(counted from 0\), column pay is 0, of which --log can take no/;
  refused(await dpmesh(['train', 'unpaid.csv', '--log', 'pay', '--out', 'unpaid'], { cwd }), unpaid);
  refused(await dpmesh(['predict', 'people', 'unpaid.csv', '--out', 'none.npy'], { cwd }), unpaid);
});
