import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openSource } from '../../data/open.ts';
import { isNumbered } from '../../data/tables/table.ts';
import { forAllAsync } from '../model/support.ts';
import { refuses, scratchFolder } from './files.ts';

const { folder, put } = scratchFolder();
let files = 0;

async function read(text: string, name = 'csv'): Promise<{ rows: number; dim: number; values: number[] }> {
  const source = await openSource(put(`${files++}.${name}`, text));
  assert.equal(source.dtype, 'csv');
  const values = [...(await source.read(0, source.rows))];
  source.close();
  return { rows: source.rows, dim: source.dim, values };
}

describe('CSV', () => {
  const square = { rows: 2, dim: 2, values: [1, 2.5, -3, 4e2] };
  const same: Record<string, string> = {
    'no header': '1,2.5\n-3,4e2\n',
    'a header': 'a,b\n1,2.5\n-3,4e2\n',
    'numbered columns and one name': '0,label\n1,2.5\n-3,4e2\n',
    'no newline at the end': '1,2.5\n-3,4e2',
    CRLF: 'a,b\r\n1,2.5\r\n-3,4e2\r\n',
    'a byte order mark': '\ufeffa,b\n1,2.5\n-3,4e2\n',
    'a header of numpy': '# a,b\n1,2.5\n-3,4e2\n',
    'quoted fields': '"a, or so","b\nc"\n"1",2.5\n-3,"4e2"\n',
    'empty lines': '\n\na,b\n\n1,2.5\n   \n-3,4e2\n\n',
    'blanks around fields': ' 1 , 2.5\n -3,  4e2\n',
    semicolons: 'a;b\n1;2.5\n-3;4e2\n',
    tabs: 'a name\tb\n1\t2.5\n-3\t4e2\n',
    'numbered columns': '0,1\n1,2.5\n-3,4e2\n',
    'numbered columns, quoted': '"0";"1"\n1;2.5\n-3;4e2\n',
    'runs of blanks': ' 1   2.5\n-3 \t 4e2  \n',
    'a header and blanks': 'a b\n1 2.5\n-3 4e2\n',
  };
  for (const [what, text] of Object.entries(same))
    test(what, async () => assert.deepEqual(await read(text), square));

  test('one column, with and without a header', async () => {
    assert.deepEqual(await read('1\n2\n', 'txt'), { rows: 2, dim: 1, values: [1, 2] });
    assert.deepEqual(await read('x\n1\n2\n', 'tsv'), { rows: 2, dim: 1, values: [1, 2] });
  });

  test('numbered columns are a header, with an index before them too, and rows that may be rows are rows', async () => {
    assert.deepEqual((await read(',0,1\n0,5,6\n1,7,8\n')).values, [5, 6, 7, 8]);
    assert.deepEqual((await read(',0\n0,5\n1,7\n')).values, [5, 7]);
    assert.deepEqual((await read(',0,1\n0,5,6\n2,7,8\n')).values, [0, 5, 6, 2, 7, 8]);
    assert.deepEqual((await read('0,1,2\n5,6,7\n')).values, [5, 6, 7]);
    for (const text of [
      '0,1,3\n4,5,6\n',
      '1,2,3\n4,5,6\n',
      '0.0,1,2\n3,4,5\n',
      '0,1\n1,0\n2,1\n',
      '0\n1.5\n',
      '0,1\n',
    ])
      assert.deepEqual((await read(text)).values, text.trim().split(/[,\n]/).map(Number), text);
  });

  test('rejects values that float32 cannot hold, with line and column', async () => {
    for (const [text, says] of [
      ['a,b\n1,\n', /\.csv line 2, column b: "" is a missing value/],
      ['a,b\n1,2\n\nNaN,1\n', /\.csv line 4, column a: "NaN" is a missing value/],
      ['1,2\n3,-Infinity\n', /\.csv line 2, column 2: "-Infinity" is infinite/],
      ['1,2\n3,4e38\n', /\.csv line 2, column 2: "4e38" is larger than the supported maximum \(1e18\)/],
    ] as const)
      await assert.rejects(read(text), says);
    assert.deepEqual((await read('1,3.4e38\n')).values, [1, Math.fround(3.4e38)]);
  });

  test('any table of numbers is read back', async () => {
    const table = fc
      .integer({ min: 1, max: 5 })
      .chain((dim) =>
        fc.array(
          fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: dim, maxLength: dim }),
          { minLength: 1 },
        ),
      );
    await forAllAsync([table, fc.constantFrom(',', ';', '\t', '  ')], 60, async (rows, delimiter) => {
      fc.pre(!isNumbered(rows[0].map(String)));
      const { values } = await read(rows.map((row) => row.join(delimiter)).join('\n'));
      assert.deepEqual(
        values,
        rows.flat().map((value) => value + 0),
      );
    });
  });

  test('more rows than one chunk', async () => {
    const lines = Array.from({ length: 120_000 }, (_, i) => `${i}.5,${i / 4},-${i}.5`);
    const { rows, values } = await read(`a,b,c\n${lines.join('\n')}\n`);
    assert.equal(rows, 120_000);
    for (const i of [0, 87_381, 87_382, 119_999])
      assert.deepEqual(values.slice(3 * i, 3 * i + 3), [i + 0.5, i / 4, -i - 0.5]);
  });
});

describe('invalid CSV', () => {
  const cases: [string, string, ...string[]][] = [
    ['text in a named column', 'a,b\n1,2\n\n3,four\n', 'line 4, column b: "four" is not a number'],
    ['text in a column without a name', '1,2\n3,x y\n', 'line 2, column 2: "x y" is not a number'],
    ['text in the first row of data', '1.5,2.x\n3,4\n', 'line 1, column 2: "2.x" is not a number'],
    [
      'a column of words',
      '5.1,3.5,setosa\n4.9,3.0,setosa\n',
      'has text in column 3, which cannot be clustered: leave out with --drop 3',
    ],
    ['a decimal comma', '1,5;2.5\n1,0;2.0\n', 'line 1, column 1: "1,5" is not a number with a decimal point'],
    ['comments', '# made today\n# a,b\n1,2\n', 'remove lines of comments'],
    ['a long text', `1.5\n${'x'.repeat(100)}\n`, `"${'x'.repeat(40)}…"`],
    ['a short row', 'a,b\n1,2\n3\n', 'line 3 has 1 fields, but line 1 has 2'],
    ['a long row', '1,2\n3,4,5\n', 'line 2 has 3 fields, but line 1 has 2'],
    ['a header longer than the rows', 'a,b,c\n1,2\n', 'line 2 has 2 fields, but line 1 has 3'],
    ['an open quote', '1,2\n3,"4\n5,6\n', 'is not valid CSV (Quote Not Closed)'],
    ['a stray quote', '1,2\n3,4"\n', 'line 2 is not valid CSV'],
    ['only a header', 'a,b\n', 'has a header but no rows'],
    ['only empty lines', '\n\n  \n', 'has no rows, only empty lines'],
    ['an empty field in a table of one column', 'x\n1\n""\n3\n', 'line 3 has an empty field'],
    ['zeros', '1,2\n\0\0', 'is not text', '--encoding'],
  ];
  for (const [what, text, ...parts] of cases)
    test(what, async () => {
      await refuses(() => openSource(put('bad.csv', text)), 'bad.csv', ...parts);
      assert.deepEqual(
        readdirSync(join(folder)).filter((name) => name.endsWith('.tmp')),
        [],
      );
    });
});
