import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Name, nameClusters, tidyName } from '../../../model/description/names.ts';
import { columnNames, tellingColumns, type Variable } from '../../../model/description/telling-columns.ts';
import { normals } from '../support.ts';

/** Rows of each cluster, by a function of its number that makes one. */
function drawn(each: readonly number[], row: (cluster: number) => number[], sizes = each) {
  const clusters = each.flatMap((rows, cluster) => Array<number>(rows).fill(cluster));
  const rows = clusters.map(row);
  return { values: Float32Array.from(rows.flat()), dim: rows[0].length, clusters, sizes };
}

const numbers = (...names: string[]): Variable[] => names.map((name, i) => ({ name, columns: [i] }));

describe('names of clusters by columns', () => {
  const next = normals(1);

  test('two columns, the most telling ones first, high or low; none of noise', () => {
    const sample = drawn([100, 100, 100], (c) => [
      next() + (c === 0 ? 8 : 0),
      next() + (c === 0 ? -3 : c === 1 ? 3 : 0),
      1e6 * next(),
    ]);
    const [a, b, c] = columnNames(numbers('income', 'age', 'noise'), sample, []);
    assert.equal(a[0], 'very high income, very low age');
    assert.equal(b[0].split(', ')[0], 'very high age');
    assert.ok(!JSON.stringify([a, b, c]).includes('noise'));
  });

  test('no unit, and no single row, changes a name', () => {
    const rows = drawn([80, 80], (c) => [next() + 5 * c, next() - 3 * c]);
    const columns = numbers('x', 'y');
    const scaled = { ...rows, values: rows.values.map((value, i) => (i % 2 ? 1000 * value - 7 : value)) };
    assert.deepEqual(columnNames(columns, scaled, []), columnNames(columns, rows, []));
    const odd = { ...rows, values: rows.values.with(0, 1e30) };
    assert.deepEqual(columnNames(columns, odd, []), columnNames(columns, rows, []));
  });

  test('rows weigh what they stand for', () => {
    // Equally many are drawn of each; most rows are in the last cluster, where the column is low.
    const own = (sizes: number[]) => drawn([100, 100, 100], (c) => [next() + [6, 12, 0][c]], sizes);
    assert.deepEqual(columnNames(numbers('x'), own([10, 10, 1000]), [])[0], ['very high x']);
    assert.deepEqual(columnNames(numbers('x'), own([10, 1000, 10]), [])[0], ['very low x']);
  });

  test('medians, and shares of rows, in the cluster and elsewhere', () => {
    const sample = drawn([100, 300], (c) => [c ? 5 : 40 + next(), Number(c === 0)], [1000, 300]);
    const [first] = tellingColumns(numbers('age', 'member'), sample, []);
    assert.deepEqual(
      first.map(({ text, measure, own, others }) => [text, measure, Math.round(own), others]),
      [
        ['very high age', 'median', 40, 5],
        ['member = 1', 'share', 1, 0],
      ],
    );
  });

  test('few rows tell nothing, nor do equal columns, nor one cluster', () => {
    const of = (rows: number) =>
      columnNames(
        numbers('x', 'y'),
        drawn([rows, 500], (c) => [9 * c + next(), 3]),
        [],
      );
    assert.deepEqual(of(3)[0], []);
    assert.deepEqual(of(40)[0], ['very low x']);
    assert.deepEqual(
      columnNames(
        numbers('x'),
        drawn([50], () => [next()]),
        [],
      ),
      [[]],
    );
  });

  test('of 200 columns of noise and 50 clusters, none has a name', () => {
    const sample = drawn(Array<number>(50).fill(30), () => Array.from({ length: 200 }, next));
    const columns = numbers(...Array.from({ length: 200 }, (_, i) => `c${i}`));
    assert.deepEqual(columnNames(columns, sample, []).flat(), []);
  });

  test('categories, numbers of two values, and missing ones', () => {
    const region = { name: 'region', columns: [0, 1], categories: ['south', 'north', ''] };
    const variables = [region, { name: 'member', columns: [2] }, { name: 'age', columns: [3] }];
    const sample = drawn([60, 60, 60], (c) => [
      ...[
        [0, 0],
        [1, 0],
        [0, 1],
      ][c],
      c === 1 ? 1 : 0,
      c === 0 ? Number.NaN : next(),
    ]);
    const [south, north, unknown] = columnNames(variables, sample, []).map(([name]) =>
      name.split(', ').sort(),
    );
    assert.deepEqual(south, ['age unknown', 'region = south']);
    assert.deepEqual(north, ['member = 1', 'region = north']);
    assert.deepEqual(unknown, ['member = 0', 'region unknown']);
  });

  test('a category that most rows have everywhere tells nothing', () => {
    const variables = [{ name: 'region', columns: [0], categories: ['south', 'north'] }];
    const sample = drawn([200, 200], (c) => [next() > (c ? 2.5 : 0.8) ? 1 : 0]);
    assert.deepEqual(columnNames(variables, sample, []), [[], []]);
  });

  test('copies of a column are named once; columns that differ between the same clusters are no copies', () => {
    const sample = drawn([100, 100], (c) => {
      const x = next() + 6 * c;
      return [x, Math.exp(x) + 0.01 * next(), next() + 5 * c];
    });
    assert.deepEqual(columnNames(numbers('x', 'exp', 'y'), sample, [])[1].slice(0, 1), [
      'very high x, very high y',
    ]);
  });

  test('names tell branches of the tree apart, and joins have names too', () => {
    // 0 and 1 have high income and differ by age, 2 and 3 low income and differ by debt.
    const sample = drawn([80, 80, 80, 80], (c) => [
      next() + (c < 2 ? 10 : 0),
      next() + (c === 0 ? 3 : c === 1 ? -3 : 0),
      next() + (c === 2 ? 3 : c === 3 ? -3 : 0),
    ]);
    const joins = [
      { a: 0, b: 1 },
      { a: 2, b: 3 },
      { a: 4, b: 5 },
    ];
    const names = columnNames(numbers('income', 'age', 'debt'), sample, joins).map(([name]) => name);
    assert.deepEqual(
      names.slice(0, 2).map((name) => name.split(', ').toSorted()),
      [
        ['high income', 'very high age'],
        ['high income', 'very low age'],
      ],
    );
    assert.deepEqual(names.slice(4), ['very high income', 'very low income', undefined]);
  });
});

const byColumns = (...nodes: string[][]): Name[][] =>
  nodes.map((names) => names.map((name) => ({ name, namedBy: 'columns' })));

describe('names', () => {
  test('are one line of what can be shown, of 60 characters at most', () => {
    assert.equal(tidyName(' a\u0000b\n\t c\u202e\ud800 '), 'ab c');
    assert.equal([...tidyName('😀'.repeat(99))].length, 60);
    assert.equal(tidyName('שלום 👩‍👩‍👧'), 'שלום 👩‍👩‍👧');
  });

  test('are unlike each other, in order of preference; without any, numbers', () => {
    const found = nameClusters(byColumns(['a', 'b'], ['A', 'c'], ['a'], [], ['c', 'd'], []), [7, 3, 5, 9]);
    assert.deepEqual(
      found.map((one) => one?.name ?? null),
      ['a', 'c', 'a (2)', 'cluster 9', 'd', null],
    );
    assert.deepEqual(found.map((one) => one?.namedBy).slice(2, 4), ['columns', 'number']);
  });

  test('are rather another than cut', () => {
    const [long, short] = ['x'.repeat(70), 'y'];
    const found = nameClusters(byColumns([long, short], [long, short], [long]), [0, 1, 2]);
    assert.deepEqual(
      found.map((one) => one!.name),
      [short, `${'x'.repeat(59)}…`, `${'x'.repeat(55)}… (2)`],
    );
  });

  test('those that clusters have stay theirs', () => {
    const kept = [null, { name: 'Fiction', namedBy: 'hand' as const }];
    const found = nameClusters(byColumns(['fiction', 'other'], ['a']), [0, 1], kept);
    assert.deepEqual(found, [{ name: 'other', namedBy: 'columns' }, kept[1]]);
  });
});
