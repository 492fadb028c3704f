import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { openSource } from '../../../data/open.ts';
import { spoolStdin } from '../../../data/remote/local-copy.ts';
import { csvTable, hasBlanksAtQuotes, NotPlain } from '../../../data/tables/csv-table.ts';
import { PLAIN_TABLE, type TableOptions } from '../../../data/tables/table-options.ts';
import { refuses, scratchFolder } from '../files.ts';

/** Text tables as other programs write them: encodings, separators, decimal commas and groups of digits. */

const { put } = scratchFolder();

async function read(path: string, options: Partial<TableOptions> = {}) {
  const source = await openSource(path, { table: { ...PLAIN_TABLE, ...options } });
  const values = [...(await source.read(0, source.rows))];
  const ids: string[] = [];
  if (options.id) for await (const slice of source.texts!(options.id)) ids.push(...slice);
  source.close();
  return { values, ids, names: source.names, note: source.table!.note };
}

const TEXT = 'id,Größe,b\nMüller,1.5,2\n“é”…,-3.25,4\n';
const VALUES = [1.5, 2, -3.25, 4];
const western = (text: string) =>
  Buffer.from(
    text.replace(/[“”…]/g, (c) => String.fromCharCode({ '“': 0x93, '”': 0x94 }[c] ?? 0x85)),
    'latin1',
  );
const utf16 = (text: string, isBig = false) =>
  isBig ? Buffer.from(text, 'utf16le').swap16() : Buffer.from(text, 'utf16le');

const ENCODED: Record<string, [Buffer, string | null]> = {
  'utf-8': [Buffer.from(TEXT), null],
  'utf-8 with a mark': [Buffer.from(`\ufeff${TEXT}`), null],
  cp1252: [western(TEXT), 'windows-1252'],
  'utf-16le with a mark': [utf16(`\ufeff${TEXT}`), 'utf-16le'],
  'utf-16be with a mark': [utf16(`\ufeff${TEXT}`, true), 'utf-16be'],
  'utf-16le': [utf16(TEXT), 'utf-16le'],
  'utf-16be': [utf16(TEXT, true), 'utf-16be'],
};
for (const [name, [bytes, said]] of Object.entries(ENCODED))
  test(name, async () => {
    for (const path of [put('x.csv', bytes), await spoolStdin({}, Readable.from([bytes]))]) {
      const { values, ids, names, note } = await read(path, { id: 'id' });
      assert.deepEqual([values, ids, names], [VALUES, ['Müller', '“é”…'], ['Größe', 'b']]);
      if (said) assert.match(note!, new RegExp(`it is read as ${said}, with commas between columns`));
      else assert.equal(note, null);
    }
  });

test('JSON lines in UTF-16 are to be converted', async () => {
  for (const text of ['{"a":1,"b":2}\n', '\ufeff{"a":1,"b":2}\n'])
    for (const bytes of [utf16(text), utf16(text, true)])
      for (const path of [put('x.jsonl', bytes), await spoolStdin({}, Readable.from([bytes]))])
        await refuses(() => read(path), `${path} is UTF-16, and must be UTF-8: convert it, as with iconv`);
});

test('an encoding that shows late, and in texts alone', async () => {
  const rows = Array.from({ length: 20_000 }, (_, i) => `row ${i},${i}`).join('\n');
  const path = put('late.csv', Buffer.concat([Buffer.from(`id,a\n${rows}\n`), western('Müller,7\n')]));
  const { ids, note } = await read(path, { id: 'id' });
  assert.equal(ids.at(-1), 'Müller');
  assert.match(note!, /windows-1252/);
});

test('an encoding that is said', async () => {
  // ПРИВЕТ in Windows-1251.
  const path = put(
    'russian.csv',
    Buffer.concat([Buffer.from('id,a\n'), Buffer.from('cfd0c8c2c5d2', 'hex'), Buffer.from(',1\n')]),
  );
  const { ids, note } = await read(path, { id: 'id', encoding: 'cp1251' });
  assert.deepEqual([ids, note], [['ПРИВЕТ'], null]);
  await refuses(() => read(path, { id: 'id', encoding: 'utf-8' }), 'has bytes that are not utf-8');
  await refuses(() => read(path, { id: 'id', encoding: 'klingon' }), '--encoding klingon is not known');
});

for (const [name, sep] of Object.entries({ tabs: '\t', semicolons: ';', bars: '|', tildes: '~' }))
  test(`${name} between columns`, async () => {
    const options = { id: 'id', sep: name === 'tildes' ? '~' : null };
    const { values, ids } = await read(put(`${name}.csv`, TEXT.replaceAll(',', sep)), options);
    assert.deepEqual([values, ids], [VALUES, ['Müller', '“é”…']]);
  });

/** Numbers in quotes, so that commas may be between columns, and what they are. */
const NUMBERS: [string, string[], number[], string | null][] = [
  ['decimal commas', ['1,5', '-12,25', '0,125', '7'], [1.5, -12.25, 0.125, 7], 'decimal commas'],
  [
    'decimal commas with groups',
    ['1.234,5', '12.345.678,25', '1.000', '0,5'],
    [1234.5, 12345678.25, 1000, 0.5],
    'decimal commas',
  ],
  ['groups', ['1,234.5', '12,345,678.25', '1,000', '0.5'], [1234.5, 12345678.25, 1000, 0.5], null],
  [
    'whole groups',
    ['1,000', '22,000', '5', '1,000,000'],
    [1000, 22000, 5, 1e6],
    '1,000, are taken for those of thousands',
  ],
  ['groups of Swiss', ["1'234.5", '1’000', '5', '6'], [1234.5, 1000, 5, 6], null],
  ['groups by thin spaces', ['1\u202f234,5', '1\u00a0000', '5', '6'], [1234.5, 1000, 5, 6], 'decimal commas'],
];
for (const [name, texts, values, said] of NUMBERS)
  for (const sep of [',', ';'])
    test(`${name}, ${sep} between columns`, async () => {
      const path = put(
        'numbers.csv',
        `id${sep}a\n${texts.map((text, i) => `r${i}${sep}"${text}"`).join('\n')}\n`,
      );
      const found = await read(path, { id: 'id' });
      assert.deepEqual(found.values, values.map(Math.fround));
      if (said) assert.ok(found.note?.includes(said), `${found.note}`);
      else assert.equal(found.note, null);
    });

test('numbers that do not fit are errors that name the cell', async () => {
  const mixed = put('mixed.csv', 'a;b\n1,5;2.5\n2,5;3.5\n');
  await refuses(() => read(mixed), 'line 2, column a: "1,5" is not a number with a decimal point');
  await refuses(() => read(mixed, { decimal: ',' }), 'line 2, column b: "2.5"', '--decimal .');
  const late = put('late-comma.csv', `a;b\n${'1;2\n'.repeat(600)}1,5;2\n`);
  await refuses(() => read(late), 'line 602, column a: "1,5" is not a number with a decimal point');
  assert.deepEqual((await read(put('1.csv', 'a;b\n1,000;2\n'), { decimal: ',' })).values, [1, 2]);
  // Neither groups of three, nor a number.
  await refuses(() => read(put('groups.csv', 'a,b\n"1,00,000",2\n3,4\n')), '"1,00,000" is not a number');
  // A code, not a number of thousands.
  assert.deepEqual((await read(put('code.csv', 'id,a\n"0,000",1\n'), { id: 'id' })).ids, ['0,000']);
});

test('a first line that says the separator is no row', async () => {
  const rows = { ';': 'a;b\r\n1,5;2\r\n-3;4\r\n', ',': 'a,b\n1.5,2\n-3,4\n', '\t': 'a\tb\n1.5\t2\n-3\t4\n' };
  for (const [sep, text] of Object.entries(rows))
    for (const line of [`sep=${sep}\n`, `SEP=${sep}\r\n`, `"sep=${sep}"\n`, `\ufeffsep=${sep}\r\n`])
      for (const bytes of [Buffer.from(line + text), utf16(line + text)]) {
        const { values, names } = await read(put('sep.csv', bytes));
        assert.deepEqual(
          [values, names],
          [
            [1.5, 2, -3, 4],
            ['a', 'b'],
          ],
          JSON.stringify(line),
        );
      }
  await refuses(() => read(put('sep.csv', 'sep=;\na;b\n1;2\nx;3\ny;z\n')), 'line 4, column a: "x"');
});

test('columns at the end without a name and without values are left out', async () => {
  for (const [text, note] of [
    ['a,b,\n1,2,\n3,4,\n', /its last column has neither name nor values/],
    ['a;b;;\r\n1;2;;\r\n3;4; ;\r\n', /its last 2 columns have neither name nor values/],
    ['1.5,2,\n3,4,\n', /its last column has neither/],
  ] as const) {
    const found = await read(put('blank.csv', text));
    assert.deepEqual(found.values, [text.startsWith('1') ? 1.5 : 1, 2, 3, 4]);
    assert.match(found.note!, note);
  }
  const late = `a,b,\n${'1,2,\n'.repeat(600)}3,4,5\n`;
  await refuses(() => read(put('late-blank.csv', late)), 'line 602 has 3 fields');
  await refuses(() => read(put('named-blank.csv', 'a,b\n1,\n3,\n')), 'column b: "" is a missing value');
});

test('commas that may be decimal are told of wherever they are', async () => {
  const rows = (last: string) => put('late-comma.csv', `a;b\n${'7;2\n'.repeat(600)}${last};3\n`);
  const { values, note } = await read(rows('1,500'));
  assert.equal(values.at(-2), 1500);
  assert.equal(note!.match(/taken for those of thousands/g)!.length, 1);
  assert.equal((await read(rows('1,500'), { decimal: '.' })).note, null);
  assert.equal((await read(rows('1,500.5'))).note, null);
});

test('blanks at quotes are those between them and what separates fields', () => {
  const found = ['1, "a"', ' "a"', '"a" ;2', '\t "a"', '"a" \tb', '"a" "b"'];
  const none = ['1,"a"', '"a"', '1 "a"', '"a" b,2', 'a\t"b"', ' \t"b"x', '"a"\tb', ''];
  assert.deepEqual(found.map(hasBlanksAtQuotes), [true, true, true, true, true, false]);
  assert.deepEqual(
    none.map(hasBlanksAtQuotes),
    none.map(() => false),
  );
  // In time that grows with the length alone.
  const before = process.cpuUsage().user;
  for (const own of ['\t', ' ', ' \t', ', '])
    for (const end of ['x', 'x"']) hasBlanksAtQuotes(own.repeat(1 << 19) + end);
  assert.ok(process.cpuUsage().user - before < 10e6);
});

test('columns by the thousands are read row by row, not by a query of as many expressions', async () => {
  const columns = (1 << 13) + 1;
  const line = (of: (c: number) => number | string) =>
    Array.from({ length: columns }, (_, c) => of(c)).join();
  const path = put('wide.csv', `${line((c) => `c${c}`)}\n${line((c) => c / 4)}\n${line((c) => -c)}\n`);
  const table = await csvTable(path, { isHeaderRow: () => true, isPlain: true, dialect: PLAIN_TABLE });
  const numbers = [...table.columns.keys()];
  await assert.rejects(table.read({ numbers, texts: [] }).next(), NotPlain);
  const { values } = await read(path);
  assert.deepEqual(
    values,
    [...numbers.map((c) => c / 4), ...numbers.map((c) => -c)].map((value) => value + 0),
  );
});
