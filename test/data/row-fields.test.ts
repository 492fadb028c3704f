// All columns of data, also those that are not clustered, row by row as the run has its rows.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeNpy } from '../../data/npy.ts';
import { openSource } from '../../data/open.ts';
import { openRowFields } from '../../data/row-fields.ts';
import { PLAIN_TABLE, type TableOptions } from '../../data/tables/table-options.ts';
import { scratchFolder } from './files.ts';

const { folder, put } = scratchFolder();

async function columnsOf(path: string, options: TableOptions = PLAIN_TABLE) {
  const source = await openSource(path, { table: options });
  const { fields, read } = await openRowFields(source, path, options);
  const values = await read([...fields.keys()], async (slices) => {
    const columns = fields.map((): unknown[] => []);
    for await (const slice of slices()) for (const [i, own] of slice.entries()) columns[i].push(...own);
    return columns;
  });
  source.close();
  return { rows: source.rows, kinds: fields.map(({ name, kind }) => `${name} ${kind}`), values };
}

test('a table has its texts, dates and numbers, without rows that were left out', async () => {
  const path = put('a.csv', 'name,day,x,y\nada,2024-01-01,1,2\n,2024-01-02,,5\n"bob, jr",2024-01-03,3,6\n');
  const options = { ...PLAIN_TABLE, columns: ['x', 'y'], impute: 'drop' as const };
  const { rows, kinds, values } = await columnsOf(path, options);
  assert.equal(rows, 2);
  assert.deepEqual(kinds, ['name text', 'day text', 'x number', 'y number']);
  assert.deepEqual(values, [
    ['ada', 'bob, jr'],
    ['2024-01-01', '2024-01-03'],
    [1, 3],
    [2, 6],
  ]);
  const filled = await columnsOf(path, { ...options, impute: 'mean' });
  assert.deepEqual([filled.values[0][1], filled.values[2][1]], [null, Number.NaN], 'as they are in the file');
});

test('so has one that only the slower reader reads, and an array its columns by number', async () => {
  // Windows-1252, which DuckDB does not take as it is.
  const path = put('b.csv', Buffer.from('name;x;y\nGr\xf6\xdfe;1,5;2\nb;2,5;3\n', 'latin1'));
  assert.deepEqual((await columnsOf(path, { ...PLAIN_TABLE, columns: ['x', 'y'] })).values, [
    ['Größe', 'b'],
    [1.5, 2.5],
    [2, 3],
  ]);
  const npy = join(folder, 'c.npy');
  writeNpy(npy, '<f4', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6));
  const { kinds, values } = await columnsOf(npy);
  assert.deepEqual(kinds, ['column 1 number', 'column 2 number']);
  assert.deepEqual(values, [
    [1, 3, 5],
    [2, 4, 6],
  ]);
  const images = join(folder, 'd.npy');
  writeNpy(images, '|u1', [2, 8, 8], new Uint8Array(128));
  assert.deepEqual((await columnsOf(images)).kinds, []);
});
