import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { tellingNames } from '../../data/column-names.ts';
import { readNpy } from '../../data/npy.ts';
import { predict } from '../../library/predict.ts';
import { zipOf } from '../data/arrays/fixtures.ts';
import {
  changeRunFile,
  dpmesh,
  easyData,
  jsonOf,
  QUICK,
  refused,
  scratch,
  times,
  trainArgs,
  writeRows,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const easy = easyData(folder, 'easy', 2000);
const classes = readNpy(easy.labels).data;

/** The rows as a CSV; `columns`: which, in which order, `class` for the true classes. */
function csv(name: string, header: string | null, columns: (number | 'class')[] = [0, 1, 2]): string {
  const rows = Array.from({ length: 2000 }, (_, i) =>
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
    const { names } = JSON.parse(readFileSync(join(run, 'model/transform.json'), 'utf8'));
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
      ['bare', path('bare.csv')],
      ['numbered', path('numbered.csv')],
    ])
      assert.deepEqual(await labelled(await trained(name, data), csv('other.csv', 'x,y,z')), labels);
    // As an earlier version wrote it.
    const file = join(run, 'model/transform.json');
    const { names: _, ...transform } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify(transform));
    changeRunFile(run, (about) => delete about.files);
    assert.deepEqual(await labelled(run, path('names.csv')), labels);
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
        times(2000, (row) => order.map((column) => value(row, column))),
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
