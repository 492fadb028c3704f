import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { readLabels } from '../../run/labels.ts';
import {
  bytesOf,
  type ElementType,
  elements,
  fixtures,
  idxFile,
  npyFile,
  refuses,
  scratchFolder,
} from '../data/files.ts';
import { forAllAsync } from '../model/support.ts';

const { folder, put } = scratchFolder();

async function named(spec: string): Promise<string[]> {
  const { codes, names } = await readLabels(spec);
  return Array.from(codes, (code) => names[code]);
}

describe('labels of an array', () => {
  test('integers of any type, numbered in order', async () => {
    const types: ElementType[] = ['i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'];
    for (const type of types)
      for (const big of [false, true]) {
        const file = npyFile(`${big ? '>' : '<'}${type}`, [5], elements(type, [10, 9, 10, 0, 2], big));
        const { codes, names } = await readLabels(put('y.npy', file));
        assert.deepEqual(codes, Int32Array.of(3, 2, 3, 0, 1));
        assert.deepEqual(names, ['0', '2', '9', '10']);
      }
  });

  test('64-bit integers that float64 cannot distinguish', async () => {
    const body = Buffer.alloc(24);
    for (const [i, value] of [2n ** 60n + 1n, 2n ** 60n, 7n].entries()) body.writeBigInt64LE(value, 8 * i);
    assert.deepEqual(await named(put('y.npy', npyFile('<i8', [3], body))), [
      '1152921504606846977',
      '1152921504606846976',
      '7',
    ]);
  });

  for (const [descr, { npy, values }] of Object.entries(fixtures.strings))
    test(`strings as NumPy writes them: ${descr}`, async () => {
      const path = put('words.npy', bytesOf(npy));
      assert.deepEqual(await named(path), values);
      assert.deepEqual((await readLabels(path)).names, [...new Set(values)].sort());
    });

  test('IDX, plain and gzip', async () => {
    const file = idxFile(8, [4], Buffer.from([7, 2, 1, 7]));
    assert.deepEqual(await named(put('labels-idx1-ubyte', file)), ['7', '2', '1', '7']);
    assert.deepEqual(await named(put('labels-idx1-ubyte.gz', gzipSync(file))), ['7', '2', '1', '7']);
  });

  test('any labels: dense codes, sorted names, over more than one chunk', async () => {
    await forAllAsync([fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1 })], 50, async (values) => {
      const { codes, names } = await readLabels(
        put('y.npy', npyFile('|i1', [values.length], elements('i1', values))),
      );
      assert.deepEqual(names, [...new Set(values)].sort((a, b) => a - b).map(String));
      assert.deepEqual(
        Array.from(codes, (code) => Number(names[code])),
        values,
      );
    });
    const body = Uint8Array.from({ length: 5_000_000 }, (_, i) => i % 97);
    const { codes } = await readLabels(put('y.npy', npyFile('|u1', [body.length], body)));
    assert.deepEqual(codes, Int32Array.from(body));
  });

  test('invalid labels', async () => {
    const { object, record } = fixtures.refused;
    await refuses(() => readLabels(put('y.npy', bytesOf(record))), 'y.npy contains records');
    const flat = npyFile('|O', [3], Buffer.alloc(30));
    await refuses(() => readLabels(put('y.npy', flat)), 'Python objects', 'astype(str)');
    await refuses(() => readLabels(put('y.npy', bytesOf(object))), 'Python objects');
    await refuses(() => readLabels(put('y.npy', npyFile('<f4', [2, 3], Buffer.alloc(24)))), 'shape (2, 3)');
    await refuses(() => readLabels(put('y.npy', npyFile('<f4', [0], Buffer.alloc(0)))), 'no labels');
    await refuses(() => readLabels(put('y.npy', npyFile('<U0', [3], Buffer.alloc(0)))), 'empty strings');
    const nan = npyFile('<f4', [2], elements('f4', [1, Number.NaN]));
    await refuses(() => readLabels(put('y.npy', nan)), 'row 1 (counted from 0) has no label');
    await refuses(() => readLabels(`${put('y.npy', nan)}:2`), 'no columns to choose from');
    await refuses(() => readLabels(`${folder}/none.npy`), 'none.npy cannot be read');
    const ids = Int32Array.from({ length: 1_100_000 }, (_, i) => i);
    const many = npyFile('<i4', [ids.length], Buffer.from(ids.buffer));
    await refuses(() => readLabels(put('y.npy', many)), 'different labels');
  });
});

describe('labels of a CSV', () => {
  const flowers = 'length,Class,id\n1.5,rose,a\n2.5,lily,b\n3.5,rose,c\n';
  const expected = ['rose', 'lily', 'rose'];

  test('the column with a usual name, or the one given by name or number', async () => {
    const path = put('flowers.csv', flowers);
    assert.deepEqual(await named(path), expected);
    assert.deepEqual(await named(`${path}:Class`), expected);
    assert.deepEqual(await named(`${path}:2`), expected);
    assert.deepEqual(await named(`${path}:id`), ['a', 'b', 'c']);
    assert.deepEqual((await readLabels(path)).names, ['lily', 'rose']);
  });

  test('a single column', async () => {
    const cases: [string, string[]][] = [
      ['cat\ndog\ncat\n', ['cat', 'dog', 'cat']],
      ['label\ncat\ndog\n', ['cat', 'dog']],
      ['kind\n3\n4\n', ['3', '4']],
      ['y\nn\ny\n', ['y', 'n', 'y']],
      ['golden retriever\ncat\n', ['golden retriever', 'cat']],
      ['5\r\n10\r\n\r\n5\r\n', ['5', '10', '5']],
    ];
    for (const [text, labels] of cases) assert.deepEqual(await named(put('one.csv', text)), labels);
    assert.deepEqual(await named(`${put('one.csv', 'kind\ncat\ndog\n')}:kind`), ['cat', 'dog']);
    assert.deepEqual((await readLabels(put('one.csv', '10\n9\n'))).names, ['9', '10']);
  });

  test('no header', async () => {
    const path = put('bare.csv', '5.1,rose\n4.9,lily\n');
    assert.deepEqual(await named(`${path}:2`), ['rose', 'lily']);
    await refuses(() => readLabels(path), 'bare.csv has 2 columns (without names)', 'bare.csv:1');
  });

  test('a colon in the file name', async () =>
    assert.deepEqual(await named(put('a:b.csv', 'cat\ndog\n')), ['cat', 'dog']));

  test('invalid labels', async () => {
    const path = put('c.csv', 'a,b\n1,2\n');
    await refuses(() => readLabels(path), 'c.csv has 2 columns (a, b)', 'but none is called label');
    await refuses(() => readLabels(`${path}:z`), '--labels: ', 'c.csv has no column z; did you mean a or b?');
    await refuses(() => readLabels(`${path}:0`), 'has no column 0');
    await refuses(() => readLabels(`${path}:3`), 'has no column 3');
    await refuses(() => readLabels(put('gap.csv', 'x,label\n1,a\n2,\n')), 'gap.csv line 3 has no label');
    await refuses(() => readLabels(put('head.csv', 'x,label\n')), 'head.csv has no labels');
    await refuses(() => readLabels(`${folder}/none.csv:label`), 'none.csv cannot be read: no such file');
  });
});
