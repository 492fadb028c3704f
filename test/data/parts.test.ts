// Which files of a folder or pattern are parts, and what they are called.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { arraysAt, partsAt } from '../../data/parts.ts';
import { tablesInFolder } from '../../data/tables/formats.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-parts-'));
after(() => rmSync(folder, { recursive: true }));
for (const name of ['2026/11', '2026/12']) mkdirSync(join(folder, name), { recursive: true });
for (const name of ['b.npy', 'a.csv.gz', 'c.parquet', 'notes.md', '.d.csv.Xy12', '_SUCCESS', '_e.csv'])
  writeFileSync(join(folder, name), 'x');
for (const name of ['2026/11/a.csv', '2026/12/a.csv', '2026/12/b.csv'])
  writeFileSync(join(folder, name), 'xy');

const names = async (data: string) => (await partsAt(join(folder, data))).map(({ name }) => name);

test('of a folder, files of rows in it, but none that are hidden or begin with _', async () => {
  assert.deepEqual(await names(''), ['a.csv.gz', 'b.npy', 'c.parquet']);
  assert.deepEqual(await names('2026'), []);
  await assert.rejects(names('nothing'), /no such file or folder/);
});

test('of a pattern, by their paths from its first wildcard on', async () => {
  assert.deepEqual(await names('2026/*/a.csv'), ['11/a.csv', '12/a.csv']);
  assert.deepEqual(await names('2026/1{2,3}/*.csv'), ['12/a.csv', '12/b.csv']);
  assert.deepEqual(await names('**/b.*'), ['2026/12/b.csv', 'b.npy']);
  assert.deepEqual(await names('nothing/*.csv'), []);
  const [{ path, bytes }] = await partsAt(join(folder, '2026/12/a.*'));
  assert.deepEqual([path, bytes], [join(folder, '2026/12/a.csv'), 2]);
});

test('one file is a part', async () => {
  assert.deepEqual(await names('b.npy'), ['b.npy']);
});

test('a name that is not UTF-8 is a part with a problem', async (context) => {
  const odd = Buffer.concat([Buffer.from(`${join(folder, '2026/11')}/`), Buffer.from('0\xff.csv', 'latin1')]);
  try {
    writeFileSync(odd, 'x');
  } catch {
    return context.skip('the file system takes no such names');
  }
  for (const data of ['2026/11', '2026/11/*.csv', '2026/**/*.csv']) {
    const found = (await partsAt(join(folder, data))).filter(({ problem }) => problem !== undefined);
    const path = join(folder, '2026/11/0\\xff.csv');
    assert.deepEqual([found.length, found[0].path, found[0].problem], [1, path, 'its name is not UTF-8']);
  }
  assert.throws(() => arraysAt(join(folder, '2026/11/*')), /0\\xff\.csv: its name is not UTF-8; rename it/);
  assert.throws(() => tablesInFolder(join(folder, '2026/11')), /0\\xff\.csv: its name is not UTF-8/);
  rmSync(odd);
});

test('a link to a folder is no part, whatever it is called', async () => {
  symlinkSync(join(folder, '2026'), join(folder, '2026/12/c.csv'));
  assert.deepEqual(await names('2026/12'), ['a.csv', 'b.csv']);
});
