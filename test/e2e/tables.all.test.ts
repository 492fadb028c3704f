// Tables in parts, with missing values, whose files change during a run; arrays in files of several; names of columns.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { tellingNames } from '../../data/value-range.ts';
import { predict } from '../../library/predict-files.ts';
import { readModel } from '../../run/model-file.ts';
import { runFiles } from '../../run/run-files.ts';
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
  writeRows,
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

const ROWS = 800;
const easy = easyData(cwd, 'easy', ROWS, (row) => row.slice(0, 3));
const { data, labels, rows } = easy;

test('an array of a file of several gives the bytes of the same .npy, for any number of workers', async () => {
  const members = { 'x.npy': readFileSync(data), 'y.npy': readFileSync(labels), 'z.npy': readFileSync(data) };
  writeFileSync(path('x.npz'), zipOf(members));
  const bytes = Buffer.from(rows.buffer);
  const tensor = { dtype: 'F32', shape: [ROWS, 3], data_offsets: [0, bytes.length] };
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

const { classes } = easy;

/** The rows as a CSV; `columns`: which, in which order, `class` for the true classes. */
function csv(name: string, header: string | null, columns: (number | 'class')[] = [0, 1, 2]): string {
  const rows = Array.from({ length: ROWS }, (_, i) =>
    columns.map((column) => (column === 'class' ? classes[i] : easy.rows[3 * i + column])).join(','),
  );
  writeFileSync(path(name), `${[...(header === null ? [] : [header]), ...rows].join('\n')}\n`);
  return path(name);
}

const trained = async (name: string, data: string, ...flags: string[]) => {
  jsonOf(await dpmesh(trainArgs(data, path(name), '--workers', 1, '--max-epochs', 5, ...QUICK, ...flags)));
  return path(name);
};
const labelled = async (run: string, data: string) => (await predict({ run, data })).labels;

describe('the columns of a CSV with a header', () => {
  let run: string;
  let labels: Int32Array;
  before(async () => {
    run = await trained('run', csv('x.csv', 'a,b,c'));
    labels = readNpy(join(run, 'labels.npy')).data as Int32Array;
  });

  test('are recorded with the model', () => {
    const { names } = readModel(runFiles(run));
    assert.deepEqual(names, ['a', 'b', 'c']);
  });

  test('are found by their names, in any order and among others', async () => {
    for (const data of [
      csv('order.csv', 'a,c,b', [0, 2, 1]),
      csv('more.csv', 'class,b,a,c', ['class', 1, 0, 2]),
    ])
      assert.deepEqual(await labelled(run, data), labels, data);
  });

  test('that are missing are named', async () => {
    for (const [data, missing] of [
      [csv('names.csv', 'a,b,x'), '"c"'],
      [csv('case.csv', 'A,b,c'), '"a"'],
      [csv('lines.csv', 'a,"b\nb",c'), '"b"'],
    ]) {
      const args = ['predict', '--run', run, '--data', data, '--out', path('p.npy')];
      refused(await dpmesh(args), `${data} has no column ${missing}, which the run ${run} was trained on`);
    }
  });

  test('are not compared where one side has none', async () => {
    for (const data of [
      csv('same.csv', ' a ,"b",c'),
      csv('bare.csv', null),
      csv('numbered.csv', '0,1,2'),
      easy.data,
    ])
      assert.deepEqual(await labelled(run, data), labels, data);
    const { labels: inMemory } = await predict({ run, data: { values: easy.rows, columns: 3 } });
    assert.deepEqual(inMemory, labels);
    for (const [name, data] of [
      ['own-bare', path('bare.csv')],
      ['own-numbered', path('numbered.csv')],
    ])
      assert.deepEqual(await labelled(await trained(name, data), csv('other.csv', 'x,y,z')), labels);
  });

  test('that are only numbered are found by their numbers, and a number means no place among them', async () => {
    const data = csv('numbers.csv', '0,1,2');
    const own = await trained('numbers', data);
    assert.deepEqual(await labelled(own, csv('mixed.csv', '2,0,1', [2, 0, 1])), await labelled(own, data));
    const args = ['train', '--data', data, '--drop', '3', '--out', path('none')];
    refused(await dpmesh(args), /^dpmesh: --drop: \S+ has no column 3; did you mean /);
  });

  test('messages of predict name only its own flags, and what it reads before what it writes', async () => {
    const bare = await trained('bare-run', csv('bare.csv', null), '--drop', '3');
    const arrays = { 'x.npy': readFileSync(easy.data), 'y.npy': readFileSync(easy.data) };
    writeFileSync(path('arrays.npz'), zipOf(arrays));
    writeFileSync(path('there.npy'), '');
    for (const [own, data, says, out] of [
      [bare, csv('two.csv', null, [0, 1]), 'has no column 3', 'new.npy'],
      [run, path('arrays.npz'), 'choose one with a file of it alone, or by its name in the run', 'new.npy'],
      [run, path('nowhere.npy'), 'nowhere.npy cannot be read', 'there.npy'],
      [path('nowhere'), easy.data, 'not the directory of a finished run', 'there.npy'],
    ]) {
      const ended = await dpmesh(['predict', own, data, '--out', path(out)]);
      refused(ended, says);
      for (const [flag] of ended.stderr.matchAll(/--[a-z-]+/g))
        assert.ok(['--run', '--out'].includes(flag), ended.stderr);
    }
  });

  test('that have no names and look like each other are warned about', async () => {
    const value = (row: number, column: number) =>
      easy.rows[3 * row + column] * 10 ** column + (column === 1 ? 100 : 0);
    const file = (name: string, order: number[]) =>
      writeRows(
        path(name),
        times(ROWS, (row) => order.map((column) => value(row, column))),
      );
    const own = await trained('unnamed', file('own.npy', [0, 1, 2]));
    const said = async (data: string) =>
      (await dpmesh(['predict', own, data, '--out', path('unnamed.csv'), '--force'])).stderr;
    assert.equal(await said(path('own.npy')), '');
    assert.match(
      await said(file('swapped.npy', [0, 2, 1])),
      /^dpmesh: warning: \S+swapped.npy looks as if its columns were in another order .*\(column 2 like column 3, column 3 like column 2\)/,
    );
  });

  test('without the one that held the labels, which may be there or not', async () => {
    const data = csv('classes.csv', 'a,class,b,c', [0, 'class', 1, 2]);
    const own = await trained('classes', data, '--labels', `${data}:class`);
    const expected = await labelled(own, data);
    assert.deepEqual(await labelled(own, csv('without.csv', 'a,b,c')), expected);
    assert.deepEqual(await labelled(own, csv('front.csv', 'class,a,b,c', ['class', 0, 1, 2])), expected);
    const swapped = csv('swapped.csv', 'class,b,a,c', ['class', 1, 0, 2]);
    assert.deepEqual(await labelled(own, swapped), expected);
  });
});

test('names that only number the columns do not tell them apart', () => {
  assert.deepEqual(tellingNames(['0', '1', '2']), null);
  assert.deepEqual(tellingNames(['0', '2', '1']), ['0', '2', '1']);
  assert.equal(tellingNames(undefined), null);
});
