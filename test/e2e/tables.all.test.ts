// What people are told of the parts and the missing values of a table, by train and predict.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dpmesh, scratch } from './support.ts';

const cwd = scratch();

test('a table in parts, with missing values', async () => {
  mkdirSync(join(cwd, 'people'));
  const row = (i: number) => `p${i},${i % 9 ? 20 + (i % 7) : ''},${30 + (i % 11)}`;
  const part = (from: number) => Array.from({ length: 40 }, (_, i) => `${row(from + i)}\n`).join('');
  for (const [name, rows] of Object.entries({ a: part(0), b: part(40), c: '' }))
    writeFileSync(join(cwd, 'people', `${name}.csv`), `id,age,size\n${rows}`);
  const pattern = join('people', '*.csv');
  const flags = ['--id', 'id', '--workers', 1, '--max-epochs', 2, '--no-report', '--no-http'];
  const trained = await dpmesh(['train', pattern, ...flags, '--impute', 'median'], { cwd });
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stderr, /people\/\*\.csv: 1 of its files has no rows/);
  assert.match(trained.stderr, /9 missing values are filled with the median: age 9$/m);
  const run = join('runs', 'people');
  assert.doesNotMatch(trained.stderr, /have the name of/);
  assert.ok(existsSync(join(cwd, run, 'labels.csv')));

  writeFileSync(join(cwd, 'new.csv'), 'id;age;size\nq;;31,5\nr;;\n');
  const predicted = await dpmesh(['predict', run, 'new.csv', '--out', 'new-labels.csv'], { cwd });
  assert.equal(predicted.code, 0, predicted.stderr);
  assert.match(
    predicted.stderr,
    /3 missing values are filled with the medians of the run .*: age 2, size 1$/m,
  );
  // No flags of `train`.
  assert.match(
    predicted.stderr,
    /warning: new\.csv: it is read as utf-8, with semicolons between columns and decimal commas; rows without any value.*: 1, the first is line 3$/m,
  );

  const dropped = await dpmesh(['train', pattern, ...flags, '--impute', 'drop', '--out', 'dropped'], { cwd });
  assert.equal(dropped.code, 0, dropped.stderr);
  const refused = await dpmesh(['predict', 'dropped', 'new.csv', '--out', 'none.csv'], { cwd });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /line 2, column age: "" is a missing value, and the run dropped fills none: /);
  assert.equal(refused.stderr.split('\n').length, 2);
});

test('names and dates of rows are left out by train and predict alike', async () => {
  const flags = ['--workers', 1, '--max-epochs', 2, '--no-report', '--no-http'];
  const rows = Array.from({ length: 60 }, (_, i) => [(i * 7) % 20, 20_260_101 + (i % 31), (i * 5) % 11]);
  const labels: Buffer[] = [];
  for (const [name, header, columns] of [
    ['plain', 'age,size', ([age, , size]: number[]) => [age, size]],
    ['named', 'id,age,day,size', (row: number[], i: number) => [900 - 2 * i, ...row]],
    ['bare', '', (row: number[], i: number) => [900 - 2 * i, ...row]],
  ] as const) {
    const lines = [...(header ? [header] : []), ...rows.map((row, i) => columns(row, i).join(','))];
    writeFileSync(join(cwd, `${name}.csv`), `${lines.join('\n')}\n`);
    const trained = await dpmesh(['train', `${name}.csv`, ...flags, '--out', name], { cwd });
    assert.equal(trained.code, 0, trained.stderr);
    assert.equal(/is left out; to cluster by it/.test(trained.stderr), name !== 'plain', trained.stderr);
    const dry = await dpmesh(['train', `${name}.csv`, '--dry-run', '--json'], { cwd });
    const plan = JSON.parse(dry.stdout);
    assert.deepEqual(
      [plan.columns, plan.leftOut],
      [2, { plain: [], named: ['id', 'day'], bare: ['1', '3'] }[name]],
    );
    const predicted = await dpmesh(['predict', name, `${name}.csv`, '--out', `${name}.npy`], { cwd });
    assert.equal(predicted.code, 0, predicted.stderr);
    labels.push(readFileSync(join(cwd, name, 'labels.npy')), readFileSync(join(cwd, `${name}.npy`)));
  }
  for (const other of labels) assert.deepEqual(other, labels[0]);
});

test('names that come again are counted', async () => {
  const rows = Array.from({ length: 60 }, (_, i) => `p${i % 50},${(i * 7) % 20},${(i * 5) % 11}\n`).join('');
  writeFileSync(join(cwd, 'again.csv'), `id,age,size\n${rows}`);
  const flags = ['--id', 'id', '--workers', 1, '--max-epochs', 2, '--no-report', '--no-http'];
  const { code, stderr } = await dpmesh(['train', 'again.csv', ...flags], { cwd });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /warning: --id id: 10 of 60 rows have the name of a row before them/);
});
