import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { openSource } from '../../../data/open.ts';
import { PLAIN_TABLE, type TableOptions } from '../../../data/tables/table-options.ts';
import { generator } from '../../../model/random.ts';
import { scratchFolder } from '../files.ts';

/** Ids, row numbers and dates are not clustered; what was measured is, whatever its order and name. */

const { put } = scratchFolder();
const ROWS = 200;
const random = generator(7n, 'suspects');
const each = <T>(of: (i: number) => T, rows = ROWS) => Array.from({ length: rows }, (_, i) => of(i));
const { below } = random;
const shuffled = (values: readonly number[]) =>
  values
    .map((value) => [random.uniform(), value])
    .sort(([a], [b]) => a - b)
    .map(([, value]) => value);
const ascending = (values: readonly number[]) => values.toSorted((a, b) => a - b);
const apart = (count: number, limit: number) => {
  const found = new Set<number>();
  while (found.size < count) found.add(below(limit));
  return [...found];
};
const day = (i: number) => {
  const date = new Date(Date.UTC(2023, 0, 1 + i));
  return date.getUTCFullYear() * 10_000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
};

type Columns = Record<string, readonly (number | string)[]>;
let files = 0;
const csvOf = (columns: Columns) => {
  const lists = Object.values(columns);
  return [Object.keys(columns), ...lists[0].map((_, i) => lists.map((list) => list[i]))].join('\n');
};
const measured = (rows = ROWS) => each((i) => (i * 7) % 5, rows);

async function read(path: string, options: Partial<TableOptions> = {}) {
  const source = await openSource(path, { table: { ...PLAIN_TABLE, ...options } });
  const values = [...(await source.read(0, source.rows))];
  source.close();
  return { values, names: source.names, ...source.table! };
}

const readCsv = (columns: Columns, options: Partial<TableOptions> = {}) =>
  read(put(`${files++}.csv`, csvOf(columns)), options);

describe('left out', () => {
  const columns: [string, readonly (number | string)[], RegExp][] = [
    ['n', each((i) => i + 1), /n names or numbers the rows/],
    ['from_above', each((i) => 900 - i), /names or numbers/],
    ['by_tens', each((i) => 5 + 10 * i), /names or numbers/],
    ['as_float', each((i) => `${i}.0`), /names or numbers/],
    ['permutation', shuffled(each((i) => i)), /names or numbers/],
    ['some_of_them', shuffled(apart(ROWS, 2 * ROWS)), /names or numbers/],
    ['by_hours', each((i) => 1_700_000_000 + 3600 * i), /times since 1970/],
    ['day', shuffled(each((i) => day(i % 90))), /dates such as 20260131/],
    ['to_the_minute', each((i) => day(below(90) + i) * 1e4 + 1259), /dates such as/],
    ['to_the_second', each(() => day(below(900)) * 1e6 + 235959), /dates such as/],
    ['milliseconds', each(() => 1_700_000_000_000 + below(1e9)), /times since/],
    ['microseconds', each(() => 1.7e15 + below(1e12)), /times since/],
    ...['created_at', 'timestamp', 'ts', 'lastSeenAt', 'Date'].map((name): [string, number[], RegExp] => [
      name,
      each(() => 1_700_000_000 + below(1e7)),
      /times since/,
    ]),
    ['sorted_seconds', ascending(each(() => 1_700_000_000 + below(1000))), /times since/],
    ...[
      ...['id', 'ID', 'row_id', 'Index', 'Unnamed: 0', 'level_0', 'CustomerID', 'userId', 'order-id'],
      ...['id_client', 'Sample No', 'uuid', '#', 'PassengerId', 'patientid', '__index_level_1__'],
    ].map((name): [string, number[], RegExp] => [name, apart(ROWS, 1e12), /names or numbers the rows/]),
  ];
  for (const [name, values, says] of columns)
    test(name, async () => {
      const { names, note, leftOut, aside } = await readCsv({ a: measured(), [name]: values, b: measured() });
      assert.deepEqual([names, leftOut, aside], [['a', 'b'], [name], [name]]);
      assert.match(note!, says);
      assert.match(note!, /is left out; to cluster by it, name the columns with --columns/);
      const kept = await readCsv({ a: measured(), [name]: values }, { columns: ['1', '2'] });
      assert.deepEqual([kept.names, kept.note, kept.aside], [['a', name], null, []]);
    });
});

describe('clustered', () => {
  const columns: [string, readonly (number | string)[], RegExp | null][] = [
    // Sorted by what was measured.
    ['age', ascending(each(() => 20 + below(60))), null],
    ['year', ascending(each(() => 1950 + below(70))), null],
    [
      'price',
      ascending(apart(ROWS, 1e6)),
      /price ascends from row to row, .* is clustered: leave it out with --drop/,
    ],
    ['price_down', ascending(apart(ROWS, 1e6)).reverse(), null],
    ['population', apart(ROWS, 1e9), null],
    ['count', each(() => below(500)), null],
    ['nearly', each((i) => (i === 59 ? 3 : i)), null],
    ['halves', each((i) => i + 0.5), null],
    ['one_missing_step', each((i) => (i ? i : 0.25)), null],
    // As the names of ids end, and as dates and times begin.
    ...['humid', 'paid', 'price_index', 'fluid', 'grid', 'BID', 'Android', 'thyroid'].map(
      (name): [string, number[], null] => [name, apart(ROWS, 1e9), null],
    ),
    ['user_id', each(() => below(40)), /user_id has the name of an id, and is clustered/],
    ['no_month', each(() => 20_001_300 + below(28) + 1), null],
    ['no_day', each(() => 20_000_230 + below(2)), null],
    ['salary', each(() => 19_000_000 + 1000 * below(2000)), null],
    ['bytes', each(() => 1_000_000_000 + below(1e9)), /bytes has times since 1970, and is clustered/],
    ['revenue', each(() => below(4e12)), null],
    ['constant', each(() => 20_200_101), null],
    ['below_zero', each((i) => (i % 2 ? -1 : 1) * (1_700_000_000 + i)), null],
  ];
  for (const [name, values, says] of columns)
    test(name, async () => {
      const { names, note, aside } = await readCsv({ a: measured(), [name]: values });
      assert.deepEqual([names, aside], [['a', name], []]);
      if (says) assert.match(note!, says);
      else assert.equal(note, null);
    });
  test('ranks, which are several', async () => {
    const ranks = each((i) => i + 1);
    const { names, note } = await readCsv({ a: shuffled(ranks), b: shuffled(ranks), id: shuffled(ranks) });
    assert.deepEqual(names, ['a', 'b']);
    assert.match(note!, /id names or numbers/);
  });
  test('a few rows', async () => {
    const few = each((i) => i, 9);
    assert.deepEqual((await readCsv({ n: few, a: measured(9) })).names, ['n', 'a']);
  });
});

test('not all columns are left out', async () => {
  for (const columns of [{ id: each((i) => i) }, { id: each((i) => i), day: each(day) }] as Columns[]) {
    const { names, note, aside } = await readCsv(columns);
    assert.deepEqual([names, aside], [Object.keys(columns), []]);
    assert.match(note!, /id names or numbers the rows, and is clustered/);
  }
  const hot = await readCsv(
    { id: each((i) => i), kind: each((i) => 'xyz'[i % 3]) },
    { categorical: ['kind'] },
  );
  assert.deepEqual(hot.names, ['kind=y', 'kind=z']);
});

test('the rest is as without them, in each format', async () => {
  const [a, b] = [each((i) => i / 7), each((i) => (i % 9 ? i % 4 : ''))];
  const options = { impute: 'median' as const };
  const want = (await readCsv({ a, b }, options)).values;
  const ids = shuffled(each((i) => 3 * i));
  assert.deepEqual((await readCsv({ id: ids, a, day: each(day), b }, options)).values, want);
  const lines = each((i) => JSON.stringify({ a: a[i], id: ids[i], b: b[i] === '' ? null : b[i] }));
  assert.deepEqual((await read(put('x.jsonl', lines.join('\n')), options)).values, want);
  const parquet = parquetWriteBuffer({
    columnData: [
      { name: 'id', data: ids.map(BigInt), type: 'INT64' },
      { name: 'a', data: a, type: 'DOUBLE' },
      { name: 'b', data: b.map((value) => (value === '' ? null : value)), type: 'INT32' },
    ],
  });
  assert.deepEqual((await read(put('x.parquet', new Uint8Array(parquet)), options)).values, want);
});

test('new rows lack what the run lacks, whatever it is there', async () => {
  // Where columns have no names, by their places.
  const bare = (columns: readonly (readonly number[])[]) =>
    put(`${files++}.csv`, columns[0].map((_, i) => columns.map((list) => list[i])).join('\n'));
  const halves = each((i) => i / 2 + 0.25);
  const { names, aside, note } = await read(bare([each((i) => i), halves, measured()]));
  assert.deepEqual([names, aside], [null, ['1']]);
  assert.match(note!, /column 1 names or numbers/);
  const trained = { names: null, width: 2, run: 'r' };
  const { values } = await read(bare([[4, 4], halves, [7, 8]]), { drop: aside, trained });
  assert.deepEqual(values, [0.25, 7, 0.75, 8]);
  // The numbers of columns that pandas has written are their names.
  const numbered = { 0: each((i) => i), 1: halves, 2: measured() };
  const known = await readCsv(numbered);
  assert.deepEqual([known.names, known.aside], [['1', '2'], ['0']]);
  const again = await readCsv(
    { 0: [4, 4], 1: [0.25, 0.5], 2: [7, 8] },
    { drop: known.aside, trained: { ...trained, names: known.names! } },
  );
  assert.deepEqual(again.values, [0.25, 7, 0.5, 8]);
  // By their names, with the column or without.
  const named = { ...trained, names: ['a', 'b'] };
  for (const columns of [
    { b: [1, 2], a: [3, 4] },
    { a: [3, 4], id: [1, 2], b: [1, 2] },
  ] as Columns[])
    assert.deepEqual((await readCsv(columns, { drop: ['id'], trained: named })).values, [3, 1, 4, 2]);
  const new_ = await readCsv({ a: each((i) => i), b: measured() }, { trained: named });
  assert.deepEqual([new_.names, new_.note], [['a', 'b'], null]);
});
