// Tables in parts, with missing values, whose files change during a run; arrays in files of several.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { predict } from '../../library/predict.ts';
import { fixture, safetensorsOf, zipOf } from '../data/arrays/fixtures.ts';
import {
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  jsonOf,
  pageUrlOf,
  QUICK,
  refused,
  scratch,
  sha256,
  start,
  times,
  trainArgs,
  until,
} from './support.ts';

const cwd = scratch();
const path = (name: string) => join(cwd, name);

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
  const unfilled = await dpmesh(['predict', 'dropped', 'new.csv', '--out', 'none.csv'], { cwd });
  refused(unfilled, 'line 2, column age: "" is a missing value, and the run dropped fills none: ');
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

/** Two clusters in three files. */
function parts(name: string): string {
  const path = join(cwd, name);
  mkdirSync(path);
  for (const part of [0, 1, 2]) {
    const rows = times(300, (i) => `p${part}-${i},${(i % 2) * 50 + (i % 7)},${(i % 2) * 30 + (i % 11)}`);
    writeFileSync(join(path, `${part}.csv`), `id,x,y\n${rows.join('\n')}\n`);
  }
  return path;
}

const contents = (path: string) =>
  new Map(readdirSync(path).map((name) => [join(path, name), readFileSync(join(path, name), 'utf8')]));
function restore(path: string, files: Map<string, string>): void {
  rmSync(path, { recursive: true });
  mkdirSync(path);
  for (const [name, text] of files) writeFileSync(name, text);
}

/** A run on the folder that is asked to finish after the folder has changed and some more epochs have passed. */
async function disturbed(path: string, run: string, ...flags: string[]) {
  const args = trainArgs(path, run, '--workers', 2, '--http', '127.0.0.1:0', '--checkpoint-every', 0);
  const running = start([...args, ...ENDLESS, ...QUICK, ...flags]);
  await until('epochs', () => epochOf(run) >= 2, running);
  writeFileSync(join(path, '0.csv'), 'id,x,y\nother,7,7\n');
  rmSync(join(path, '1.csv'));
  writeFileSync(join(path, '9.csv'), 'id,x,y\nmore,1,1\n');
  const seen = epochOf(run);
  await until('more epochs', () => epochOf(run) >= seen + 2, running);
  await fetch(`${await pageUrlOf(running)}api/finish`, { method: 'POST' });
  return running.ended;
}

test('a run works on its copy; resume and another run take them for other data', async () => {
  const path = parts('changing');
  const files = contents(path);
  const run = join(cwd, 'changing-run');
  const ended = await disturbed(path, run, '--drop', 'id');
  assert.equal(jsonOf(ended).rows, 900);
  const labels = sha256(join(run, 'labels.npy'));
  const other = trainArgs(path, join(cwd, 'other'), '--drop', 'id', '--no-http', '--workers', 1);
  assert.equal(jsonOf(await dpmesh(other)).rows, 302);
  const resumed = await dpmesh(['resume', run, '--max-epochs', 1_000_001, '--no-http']);
  refused(resumed, 'has 302 rows × 2 columns, but had 900');
  restore(path, files);
  assert.equal(sha256(join(run, 'labels.npy')), labels);
});

test('names of rows are read from the files at the end', async () => {
  const path = parts('vanishing');
  const files = contents(path);
  const run = join(cwd, 'vanishing-run');
  const says = /vanishing(\/\d\.csv)? (changed while it was being read|cannot be read)/;
  refused(await disturbed(path, run, '--id', 'id'), says);
  restore(path, files);
  jsonOf(await dpmesh(['finish', run, '--json', '--no-report', '--no-http', '--workers', 2]));
  assert.match(readFileSync(join(run, 'labels.csv'), 'utf8'), /^p2-299,/m);
});

const { data, labels, rows } = easyData(cwd, 'easy', 1000);

test('an array of a file of several gives the bytes of the same .npy, for any number of workers', async () => {
  const members = { 'x.npy': readFileSync(data), 'y.npy': readFileSync(labels), 'z.npy': readFileSync(data) };
  writeFileSync(path('x.npz'), zipOf(members));
  const bytes = Buffer.from(rows.buffer);
  const tensor = { dtype: 'F32', shape: [1000, 3], data_offsets: [0, bytes.length] };
  writeFileSync(path('x.safetensors'), safetensorsOf({ x: tensor }, bytes));
  const results: Buffer[] = [];
  for (const [workers, file, ...flags] of [
    [1, 'easy.npy'],
    [2, 'x.npz', '--columns', 'x', '--labels', `${path('x.npz')}:y`],
    [3, 'x.safetensors'],
  ] as const) {
    const out = path(`run${workers}`);
    const ended = await dpmesh(
      trainArgs(path(file), out, '--workers', workers, '--max-epochs', 5, ...QUICK, ...flags),
    );
    jsonOf(ended);
    results.push(readFileSync(join(out, 'labels.npy')));
    assert.deepEqual(results.at(-1), results[0], file);
  }
  // The array has the name of the one in the run, or is the only one.
  const own = readNpy(path('run2/labels.npy')).data;
  for (const file of ['x.npz', 'x.safetensors'])
    assert.deepEqual((await predict({ run: path('run2'), data: path(file) })).labels, own);
});

test('the cells of an .h5ad have their own names in all results, and a dry run names its arrays', async () => {
  const cells = path('cells.h5ad');
  writeFileSync(cells, fixture('dense.h5ad'));
  const plan = await dpmesh(['train', cells, '--dry-run'], { cwd });
  assert.match(plan.stdout, /^arrays +X \(12, 4\), obsm\/X_pca \(12, 2\), .*such as --columns obsm\/X_pca$/m);
  assert.match(plan.stdout, /^names of rows +column obs_names$/m);
  const run = path('cells');
  jsonOf(await dpmesh(trainArgs(cells, run, '--workers', 1, '--columns', 'X_pca', ...QUICK)));
  const names = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, 3);
  const [title, ...first] = names(join(run, 'labels.csv')).map((line) => line.split(',')[0]);
  assert.deepEqual([title, ...first], ['obs_names', 'cell0', 'cell1']);
  const { clusters } = JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8'));
  for (const { row, id } of clusters[0].exemplars) assert.equal(id, `cell${row}`);
  await predict({ run, data: cells, out: path('cells.csv') });
  assert.deepEqual(
    names(path('cells.csv')).map((line) => line.split(',')[0]),
    [title, ...first],
  );
});
