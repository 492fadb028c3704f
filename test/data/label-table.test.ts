import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { parse } from 'csv-parse/sync';
import { rowTexts } from '../../data/texts/texts.ts';
import { csvTable, type LabelRows, nameOfRows, parquetTable } from '../../run/label-table.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-label-table-'));
after(() => rmSync(folder, { recursive: true }));

const COLUMNS = ['cluster', 'distance', 'component'] as const;

function collector() {
  const parts: Buffer[] = [];
  return {
    write: (bytes: Uint8Array) => void parts.push(Buffer.from(bytes)),
    all: () => Buffer.concat(parts),
  };
}

/** Parts of so many rows from row 0 on. */
const partsOf = (rows: number[], name: ((row: number) => string) | null): LabelRows[] => {
  let start = 0;
  return rows.map((count) => {
    const own = Array.from({ length: count }, (_, i) => start + i);
    start += count;
    return {
      start: own[0] ?? start,
      ids: name && own.map(name),
      columns: {
        cluster: own.map((row) => row % 7),
        distance: Float32Array.from(own, (row) => row / 3),
        component: own.map((row) => (row % 5 ? row % 7 : -1)),
      },
    };
  });
};

describe('a CSV of labels', () => {
  const written = (parts: LabelRows[], name: string) => {
    const sink = collector();
    const table = csvTable(sink, name, COLUMNS);
    for (const part of parts) table.write(part);
    table.end();
    return sink.all().toString();
  };

  test('quotes names as RFC 4180 says, also long ones, and those of other scripts', () => {
    const names = ['a,b', 'say "so"', 'two\nlines', 'π₁😀', '', 'x'.repeat(300_000), '\r', ' blank '];
    const text = written(
      partsOf([3, 5], (row) => names[row]),
      'na,me',
    );
    const rows = parse(text, { columns: true }) as Record<string, string>[];
    assert.deepEqual(
      rows.map((row) => row['na,me']),
      names,
    );
    assert.deepEqual(Object.keys(rows[0]), ['na,me', ...COLUMNS]);
    assert.deepEqual(
      rows.map(({ component }) => component),
      ['-1', '1', '2', '3', '4', '-1', '6', '0'],
    );
  });

  test('has names of clusters that a spreadsheet would compute as texts, but what names rows as it is', () => {
    const names = ['=cmd|"/c calc"!A1', '+1', '-x', '@SUM(A1)', '\t=1', '\r=1', "it's", 'a=b', ''];
    const sink = collector();
    const table = csvTable(sink, 'id', ['cluster', 'cluster_name']);
    table.write({ start: 0, ids: names, columns: { cluster: names.map(() => 0), cluster_name: names } });
    table.end();
    const rows: string[][] = parse(sink.all(), { from: 2 });
    assert.deepEqual(
      rows.map(([id]) => id),
      names,
    );
    assert.deepEqual(
      rows.map(([, , name]) => name),
      names.map((name, i) => (i < 6 ? `'${name}` : name)),
    );
  });

  test('has numbers of up to six decimals', () => {
    const values = [0, 0.5, 6e-7, 0.123456789, 12.3, 999_999.9999999, 1e20, 3e38];
    const columns = {
      cluster: values.map(() => 0),
      distance: values,
      component: values.map(() => 0),
    };
    const text = written([{ start: 5, ids: null, columns }], 'row');
    const lines = text.trimEnd().split('\n').slice(1);
    assert.deepEqual(
      lines.map((line) => line.split(',')[2]),
      ['0', '0.5', '0.000001', '0.123457', '12.3', '1000000', '100000000000000000000', '3e+38'],
    );
    assert.deepEqual(
      lines.map((line) => Number(line.split(',')[0])),
      values.map((_, i) => i + 5),
    );
  });

  test('calls the first column like the ids, but never like another of its columns', () => {
    assert.deepEqual([null, 'key', 'cluster', 'distance'].map(nameOfRows), ['row', 'key', 'id', 'id']);
  });
});

test('a Parquet of labels has what DuckDB reads there, by the same bytes in parts of other lengths', async () => {
  const rows = 150_000;
  for (const name of [null, (row: number) => `é,${row}`]) {
    const files = [];
    for (const parts of [[1 << 16, 1 << 16, rows - (1 << 17)], Array(Math.ceil(rows / 2048)).fill(2048)]) {
      parts[parts.length - 1] += rows - parts.reduce((a, b) => a + b, 0);
      const sink = collector();
      const table = await parquetTable(sink, 'key', COLUMNS, name !== null);
      for (const part of partsOf(parts, name)) table.write(part);
      table.end();
      files.push(sink.all());
    }
    assert.ok(files[0].equals(files[1]));
    const path = join(folder, 'labels.parquet');
    writeFileSync(path, files[0]);
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const read = await connection.runAndReadAll(`SELECT * FROM '${path}'`);
    assert.deepEqual(read.columnNames(), ['key', ...COLUMNS]);
    const [keys, clusters, distances, marked] = read.getColumns();
    assert.equal(keys.length, rows);
    for (let row = 0; row < rows; row += 977) {
      assert.equal(String(keys[row]), name ? name(row) : String(row));
      assert.equal(clusters[row], row % 7);
      assert.equal(distances[row], Math.fround(row / 3));
      assert.equal(marked[row], row % 5 ? row % 7 : -1);
    }
    connection.closeSync();
  }
});

test('names of clusters are a column of text, in both formats', async () => {
  const names = ['high age', 'a, "b"', 'שלום'];
  const columns = { cluster: [0, 1, 2], cluster_name: names, confidence: [1, 1, 1] };
  const part = { start: 0, ids: null, columns };
  const own = ['cluster', 'cluster_name', 'confidence'] as const;
  const [csv, parquet] = [collector(), collector()];
  for (const table of [csvTable(csv, 'row', own), await parquetTable(parquet, 'row', own, false)]) {
    table.write(part);
    table.end();
  }
  assert.equal(csv.all().toString().split('\n')[2], '1,1,"a, ""b""",1');
  const path = join(folder, 'names.parquet');
  writeFileSync(path, parquet.all());
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const read = await connection.runAndReadAll(`SELECT cluster_name FROM '${path}'`);
  assert.deepEqual(read.getColumns()[0], names);
  connection.closeSync();
  assert.equal(nameOfRows('cluster_name'), 'id');
});

test('texts of rows come in pieces of any length; more or fewer than rows are an error', async () => {
  async function* slices() {
    yield ['a', 'b', 'c'];
    yield [];
    yield ['d', 'e'];
  }
  const texts = rowTexts(slices(), 'column x');
  assert.deepEqual(await texts.next(2), ['a', 'b']);
  assert.deepEqual(await texts.next(0), []);
  assert.deepEqual(await texts.next(3), ['c', 'd', 'e']);
  await texts.end();
  await assert.rejects(rowTexts(slices(), 'column x').next(6), /column x has another number of rows/);
  const left = rowTexts(slices(), 'column x');
  await left.next(4);
  await assert.rejects(left.end(), /column x has another number of rows/);
});
