import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openSource } from '../../data/open.ts';
import { PLAIN_TABLE } from '../../data/tables/table-options.ts';
import { openRowTexts } from '../../data/texts/row-texts.ts';
import { languagesOf, stopWordsOf } from '../../data/texts/stop-words.ts';
import { withTexts } from '../../data/texts/with-texts.ts';
import { resolveConfig } from '../../run/config.ts';
import { npyFile } from './files.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-row-texts-'));
process.env.DPMESH_CACHE = folder;
after(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const ofRows = (rows: number, dropped: number[] = []) => ({ rows, table: { dropped } });

async function textsIn(path: string, column: string | null, data: ReturnType<typeof ofRows>) {
  const read = await openRowTexts(path, column, 'x.npy', data);
  const texts: string[] = [];
  for await (const slice of read()) texts.push(...slice);
  return texts;
}

test('lines of a text file are texts, empty ones too, with or without a break at the end', async () => {
  const lines = ['Größe', '', 'two words', ''];
  assert.deepEqual(await textsIn(file('a.txt', `${lines.join('\n')}\n`), null, ofRows(4)), lines);
  assert.deepEqual(await textsIn(file('b.txt', 'one\r\ntwo'), null, ofRows(2)), ['one', 'two']);
  // Characters on the border of what is read at once.
  const long = 'ä'.repeat(200_000);
  assert.deepEqual(await textsIn(file('c.txt', `x${long}\ny\n`), null, ofRows(2)), [`x${long}`, 'y']);
});

test('of a compressed file too; one that is damaged is an error', async () => {
  const packed = gzipSync('one\ntwo\n');
  assert.deepEqual(await textsIn(file('e.txt.gz', packed), null, ofRows(2)), ['one', 'two']);
  await assert.rejects(
    textsIn(file('f.txt.gz', packed.subarray(0, 20)), null, ofRows(2)),
    /f\.txt\.gz is damaged or truncated/,
  );
});

test('in the table of the data are read as that is', async () => {
  const data = file('g.csv', Buffer.from('a;text\n1,5;\xeb\xe5\xf2\xee\n2,5;\xf1\xed\xe5\xe3\n', 'latin1'));
  const dialect = { encoding: 'cp1251', sep: ';', decimal: ',' as const };
  const { described } = await withTexts(
    await openSource(data, { table: { ...PLAIN_TABLE, ...dialect, text: 'text' } }),
    {
      ...{ data, text: 'text', texts: data },
      ...dialect,
    },
  );
  const texts: string[] = [];
  for await (const slice of described!.read()) texts.push(...slice);
  assert.deepEqual(texts, ['лето', 'снег']);
});

test('may be at an address, without secrets; a file without texts is an error', async () => {
  const server = createServer((_, response) => response.end('one\ntwo\n')).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    assert.deepEqual(await textsIn(`${at}/texts.txt`, null, ofRows(2)), ['one', 'two']);
    await assert.rejects(textsIn(`${at}/texts.txt`, null, ofRows(3)), /:\d+\/texts\.txt has 2 texts/);
  } finally {
    server.close();
  }
  const texts = 'https://example.com/t.txt?token=secret';
  assert.throws(() => resolveConfig({ data: 'x.npy', texts }), /has a query/);
  await assert.rejects(
    textsIn(file('g.npy', npyFile('<f4', [1, 1], new Uint8Array(4))), null, ofRows(1)),
    /g\.npy has no texts: pass a \.txt/,
  );
});

test('so is the column of a table: the one that is named, or the only one with text', async () => {
  const table = file('a.csv', 'id,body\n1,"red, wine"\n2,\n3,beer\n');
  for (const column of ['body', null])
    assert.deepEqual(await textsIn(table, column, ofRows(3)), ['red, wine', '', 'beer']);
  assert.deepEqual(await textsIn(table, 'body', ofRows(2, [1])), ['red, wine', 'beer']);
  const two = file('b.csv', 'a,b\nx,y\nz,w\n');
  await assert.rejects(
    textsIn(two, null, ofRows(2)),
    /b\.csv has 2 columns with text: name the one with --text/,
  );
  await assert.rejects(textsIn(two, 'c', ofRows(2)), /--text: .* has no column c/);
});

test('there has to be a text for each row', async () => {
  const path = file('d.txt', 'one\n');
  await assert.rejects(textsIn(path, null, ofRows(2)), /--texts .*d\.txt has 1 texts, but x\.npy has 2 rows/);
});

test('languages are those of a real share of the texts', () => {
  const english = 'it is not the same as that which you and I have had before';
  const german = 'das ist nicht dasselbe wie das, was wir und ihr vorher hattet';
  assert.deepEqual(languagesOf([english, german, 'xyzzy', '']), ['de', 'en']);
  assert.deepEqual(languagesOf([...Array(30).fill(english), german]), ['en']);
  assert.deepEqual(languagesOf(['xyzzy']), []);
  assert.ok(stopWordsOf(['de']).has('nicht') && !stopWordsOf(['en']).has('nicht'));
  assert.equal(stopWordsOf([]).size, 0);
});
