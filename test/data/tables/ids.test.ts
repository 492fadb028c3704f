import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { openSource } from '../../../data/open.ts';
import { PLAIN_TABLE, type TableOptions } from '../../../data/tables/table-options.ts';
import { scratchFolder } from '../files.ts';

/** Names of rows come out byte for byte, whatever they look like. */

const { put } = scratchFolder();
const IDS = [
  ...['  padded ', '\ufeffmark', 'mark\ufeff', '\ttab', '\u00a0', ' ', 'NA', 'null', '\\N', 'e\u0301', '😀'],
  ...['007', '1.50', '+5', '1e5', '0x1F', '1_000', 'inf', 'True', '12:34', '2026-01-02', '2026-1-2 3:04'],
  ...[
    '6BA7B810-9DAD-11D1-80B4-00C04FD430C8',
    '"q"',
    'a,b',
    'a;b',
    'a\nb',
    'a\r\nb',
    '{}',
    '[1]',
    "it's",
    '#c',
  ],
];
const numbers = IDS.map((_, i) => i);
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
/** As pandas does: only where it has to be. */
const minimal = (text: string) => (/[",\r\n]/.test(text) ? quoted(text) : text);
const csvOf = (quote: typeof quoted, number = (i: number) => `${i}`) =>
  ['id,a,b', ...IDS.map((id, i) => `${quote(id)},${number(i)},${i}`)].join('\n');
const jsonl = (ids: readonly string[]) =>
  ids.map((id, i) => JSON.stringify({ id, a: i, b: i % 3 })).join('\n');

async function idsOf(path: string, options: Partial<TableOptions> = {}): Promise<string[]> {
  const source = await openSource(path, { table: { ...PLAIN_TABLE, id: 'id', ...options } });
  const all: string[] = [];
  for await (const slice of source.texts!('id')) all.push(...slice);
  source.close();
  return all;
}

const FILES: Record<string, string | Uint8Array> = {
  'minimal.csv': csvOf(minimal),
  'quoted.csv': csvOf(quoted),
  'x.tsv': csvOf((id) => (id === '\ttab' ? quoted(id) : minimal(id)))
    .replace(/,(\d+),(\d+)$/gm, '\t$1\t$2')
    .replace('id,a,b', 'id\ta\tb'),
  'x.jsonl': jsonl(IDS),
  'x.arrow': tableToIPC(tableFromArrays({ id: IDS, a: Float64Array.from(numbers) }), 'file'),
  'x.parquet': new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: 'id', data: IDS, type: 'STRING' },
        { name: 'a', data: numbers, type: 'DOUBLE' },
      ],
    }),
  ),
};

for (const [name, content] of Object.entries(FILES))
  test(name, async () => assert.deepEqual(await idsOf(put(name, content)), IDS));

test('text that is read row by row', async () => {
  const path = put(
    'slow.csv',
    csvOf(minimal, (i) => (i === 3 ? 'NA' : `${i}`)),
  );
  assert.deepEqual(await idsOf(path, { impute: 'mean' }), IDS);
});

test('JSON lines whose texts all look like those of another type', async () => {
  for (const id of ['6BA7B810-9DAD-11D1-80B4-00C04FD430C8', '12:34', '2026-01-02']) {
    const ids = [id, id, id];
    assert.deepEqual(await idsOf(put('alike.jsonl', jsonl(ids))), ids);
  }
  const wide = '12345678901234567890123';
  assert.deepEqual(await idsOf(put('wide.jsonl', `{"id":${wide},"a":1}\n{"id":7,"a":2}\n`)), [wide, '7']);
});

test('blanks between delimiters and quotes are no part of fields', async () => {
  assert.deepEqual(await idsOf(put('spaced.csv', 'id, a, b\n "x, y" , 1, 2\nz , 3, 4\n')), ['x, y', 'z']);
});
