import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createNpy, readNpy, writeNpy } from '../../data/npy.ts';
import { openSource } from '../../data/open.ts';
import type { Source } from '../../data/source.ts';
import { forAll, forAllAsync } from '../model/support.ts';
import {
  bytesOf,
  columnMajor,
  ELEMENT_TYPES,
  elements,
  fixtures,
  limits,
  npyFile,
  refuses,
  scratchFolder,
} from './files.ts';

const { folder, put } = scratchFolder();

async function rowsOf(source: Source, start = 0, count = source.rows): Promise<number[]> {
  return [...(await source.read(start, count))];
}

/** Any file of numbers, with a range of its rows. */
const anyTable = fc
  .record({
    type: fc.constantFrom(...ELEMENT_TYPES),
    rows: fc.integer({ min: 1, max: 40 }),
    dim: fc.integer({ min: 1, max: 9 }),
    big: fc.boolean(),
    fortran: fc.boolean(),
    version: fc.constantFrom(1, 2, 3),
  })
  .chain((form) => {
    const length = form.rows * form.dim;
    const [min, max] = limits[form.type] ?? [];
    const value = min === undefined ? fc.float() : fc.maxSafeInteger().filter((v) => v >= min && v <= max);
    const bounded = min === undefined || max! - min > 2 ** 40 ? value : fc.integer({ min, max });
    return fc.record({
      form: fc.constant(form),
      values: fc.array(bounded, { minLength: length, maxLength: length }),
      start: fc.nat(form.rows),
      count: fc.nat(form.rows),
    });
  });

describe('reading npy', () => {
  for (const [name, { npy, shape, values }] of Object.entries(fixtures.tables))
    test(`as NumPy writes it: ${name}`, async () => {
      const source = await openSource(put('numpy.npy', bytesOf(npy)));
      assert.deepEqual([source.rows, source.dim], shape);
      assert.deepEqual(await rowsOf(source), values.map(Math.fround));
      assert.deepEqual(await rowsOf(source, shape[0] - 1, 1), values.slice(-shape[1]).map(Math.fround));
      source.close();
    });

  test('any element type, byte order, layout and format version, any range of rows', async () => {
    await forAllAsync([anyTable], 300, async ({ form, values, start, count }) => {
      const { type, rows, dim, big, fortran, version } = form;
      const stored = fortran ? columnMajor(values, rows, dim) : values;
      const body = elements(type, stored, big);
      const path = put(
        'any.npy',
        npyFile(`${big ? '>' : '<'}${type}`, [rows, dim], body, { fortran, version }),
      );
      const source = await openSource(path);
      const taken = Math.min(count, rows - start);
      const expected = values.slice(start * dim, (start + taken) * dim).map(Math.fround);
      assert.deepEqual(await rowsOf(source, start, taken), expected);
      source.close();
      assert.deepEqual([...readNpy(path).data], values);
    });
  });

  test('a tall and a wide column-major file, whose columns are read one by one or together', async () => {
    for (const [rows, dim] of [
      [300_000, 3],
      [20_000, 30],
      [7, 50_000],
    ]) {
      const values = Array.from({ length: rows * dim }, (_, i) => i % 65521);
      const body = elements('u2', columnMajor(values, rows, dim));
      const source = await openSource(put('f.npy', npyFile('<u2', [rows, dim], body, { fortran: true })));
      for (const [start, count] of [
        [0, rows],
        [1, rows - 2],
        [rows >> 1, 3],
      ]) {
        const got = await source.read(start, count);
        assert.deepEqual(got, Float32Array.from(values.slice(start * dim, (start + count) * dim)));
      }
      source.close();
    }
  });

  test('a Python 2 header, and bytes after the array', async () => {
    const file = npyFile('<f4', [2, 1], elements('f4', [1, 2, 3]))
      .toString('latin1')
      .replace('2, 1', '2L,1');
    const source = await openSource(put('py2.npy', Buffer.from(file, 'latin1')));
    assert.deepEqual(await rowsOf(source), [1, 2]);
    source.close();
  });

  test('reports its element type', async () => {
    const cases = {
      '<f4': 'float32',
      '>f8': '>f8',
      '|u1': 'uint8',
      '|b1': 'bool',
      '<i8': 'int64',
      '<f2': 'float16',
    };
    for (const [descr, name] of Object.entries(cases)) {
      const source = await openSource(put('type.npy', npyFile(descr, [1, 1], Buffer.alloc(8))));
      assert.equal(source.dtype, name);
      source.close();
    }
  });

  test('rows outside the file and reads after closing are bugs, not user errors', async () => {
    const source = await openSource(put('small.npy', npyFile('<f4', [2, 1], elements('f4', [1, 2]))));
    await assert.rejects(source.read(1, 2), RangeError);
    await assert.rejects(source.read(-1, 1), RangeError);
    source.close();
    source.close();
    await assert.rejects(source.read(0, 1), /closed/);
  });
});

describe('invalid npy', () => {
  const open =
    (content: Uint8Array, name = 'bad.npy') =>
    () =>
      openSource(put(name, content));

  test('a header that is too long, or crafted to be slow to parse', async () => {
    const headed = (text: string) => {
      const head = Buffer.from('\x93NUMPY\x02\0\0\0\0\0', 'latin1');
      head.writeUInt32LE(text.length, 8);
      return Buffer.concat([head, Buffer.from(text)]);
    };
    await refuses(open(headed("'descr':[".repeat(1 << 17))), 'bad.npy has a header of 1179648 bytes');
    const evil = ["'descr':[", "'descr' ", "'shape':(1", "'descr' :' ", ' '].map((part) =>
      headed(part.repeat(65_536 / part.length)),
    );
    const begun = performance.now();
    for (const file of evil) await refuses(open(file), 'bad.npy', 'header is damaged');
    assert.ok(performance.now() - begun < 500, `${performance.now() - begun} ms`);
  });

  test('a header without a shape', () => {
    const file = npyFile('<f4', [2, 2], Buffer.alloc(16)).toString('latin1').replace('shape', 'shade');
    return refuses(open(Buffer.from(file, 'latin1')), 'bad.npy', 'header is damaged');
  });
  test('digits that no comma parts, and commas that part nothing', async () => {
    const file = npyFile('<f4', [8, 4], Buffer.alloc(16_000)).toString('latin1');
    for (const shape of ['8 9, 4', '8,, 4', ', 8, 4', '8L4, 4', 'L, 4', '8 , 4 ,,', ','])
      await refuses(open(Buffer.from(file.replace('8, 4', shape), 'latin1')), 'bad.npy', 'header is damaged');
    for (const shape of ['8L, 4L', ' 8 , 4 ,'])
      (await openSource(put('good.npy', Buffer.from(file.replace('8, 4', shape), 'latin1')))).close();
  });
  test('truncated in its magic and in its header', async () => {
    const file = npyFile('<f4', [2, 2], Buffer.alloc(16));
    await refuses(open(file.subarray(0, 4)), 'not a NumPy file');
    await refuses(open(file.subarray(0, 9)), 'truncated');
    await refuses(open(file.subarray(0, 30)), 'truncated', '30 found');
  });
  test('truncated while it is open', async () => {
    const path = put('short.npy', npyFile('<f4', [2, 2], Buffer.alloc(16)));
    const source = await openSource(path);
    truncateSync(path, statSync(path).size - 4);
    await refuses(() => source.read(0, 2), 'short.npy is truncated');
    source.close();
  });
  test('element types that are not real numbers', async () => {
    const { object, complex, string, record, date } = fixtures.refused;
    await refuses(open(bytesOf(object)), 'bad.npy contains Python objects', 'astype');
    // As pandas saves strings: shorter than pointers would be.
    await refuses(open(npyFile('|O', [1000], Buffer.alloc(60))), 'bad.npy contains Python objects');
    await refuses(open(bytesOf(complex)), 'bad.npy contains complex numbers (complex64)', 'x.real');
    await refuses(open(bytesOf(string)), 'bad.npy contains strings (<U1)', 'astype');
    await refuses(open(bytesOf(record)), 'bad.npy contains records');
    await refuses(open(bytesOf(date)), 'bad.npy contains elements of an unsupported type (<M8[D])');
    await refuses(open(npyFile('<f16', [1, 1], Buffer.alloc(16))), 'float128');
  });
  test('arrays of more than two dimensions become rows, in either order', async () => {
    const [n, h, w] = [5, 3, 4];
    const values = Array.from({ length: n * h * w }, (_, i) => i);
    const inFortran = values.map((_, p) => {
      const [i, rest] = [p % n, Math.floor(p / n)];
      return (i * h + (rest % h)) * w + Math.floor(rest / h);
    });
    for (const [order, fortran] of [
      [values, false],
      [inFortran, true],
    ] as const) {
      const source = await openSource(
        put('images.npy', npyFile('|u1', [n, h, w], Uint8Array.from(order), { fortran })),
      );
      assert.deepEqual([source.rows, source.dim, source.shape], [n, h * w, [h, w]]);
      assert.deepEqual(await rowsOf(source), values);
      assert.deepEqual(await rowsOf(source, 2, 2), values.slice(2 * h * w, 4 * h * w));
      assert.deepEqual([...(await source.stored(4))], values.slice(4 * h * w));
      source.close();
    }
  });
  test('shapes that are not rows and columns', async () => {
    await refuses(open(npyFile('<f4', [3], Buffer.alloc(12))), 'shape (3,)', 'x.reshape(-1, 1)');
    await refuses(open(npyFile('<f4', [], Buffer.alloc(4))), 'shape ()');
    await refuses(open(npyFile('<f4', [0, 4], Buffer.alloc(0))), 'no rows', '(0, 4)');
    await refuses(open(npyFile('<f4', [4, 0], Buffer.alloc(0))), 'no columns', '(4, 0)');
  });
  test('an invalid file is closed', { skip: process.platform !== 'linux' }, async () => {
    const before = readdirSync('/proc/self/fd').length;
    for (const file of [
      Buffer.from('x'),
      npyFile('<f4', [3], Buffer.alloc(12)),
      npyFile('<f4', [9, 9], Buffer.alloc(1)),
    ])
      await assert.rejects(open(file));
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});

describe('writing npy', () => {
  test("the bytes of NumPy's own save", () => {
    const path = join(folder, 'saved.npy');
    writeNpy(path, '<f4', [2, 3], [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(readFileSync(path), bytesOf(fixtures.saved));
  });

  test('any type, shape and values are read back', () => {
    const path = join(folder, 'back.npy');
    const arrays = fc.oneof(
      fc.tuple(fc.constant('<i4' as const), fc.int32Array()),
      fc.tuple(fc.constant('<f4' as const), fc.float32Array()),
      fc.tuple(fc.constant('<f8' as const), fc.float64Array()),
      fc.tuple(fc.constant('|u1' as const), fc.uint8Array()),
    );
    forAll([arrays, fc.boolean()], 100, ([dtype, data], flat) => {
      const shape = flat ? [data.length] : [1, data.length, 1];
      writeNpy(path, dtype, shape, data);
      const back = readNpy(path);
      assert.deepEqual(back.shape, shape);
      assert.deepEqual(back.data, data);
    });
  });

  test('in chunks, in any order; the file appears only when it is finished', () => {
    const path = join(folder, 'pieces.npy');
    const file = createNpy(path, '<i4', [4]);
    file.write(Int32Array.of(3, 4), 2);
    file.write([1], 0);
    assert.ok(!readdirSync(folder).includes('pieces.npy'));
    file.finish();
    assert.deepEqual(readNpy(path).data, Int32Array.of(1, 0, 3, 4));
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.tmp')),
      [],
    );
  });

  test('without `replace`, a file that has got the name meanwhile stays, and there is no draft', () => {
    const path = join(folder, 'appears.npy');
    const file = createNpy(path, '|u1', [1], { replace: false });
    writeNpy(path, '|u1', [1], [7]);
    refuses(() => file.finish(), 'appears.npy cannot be written: a file of that name exists');
    assert.deepEqual(readNpy(path).data, Uint8Array.of(7));
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.tmp')),
      [],
    );
    const free = createNpy(join(folder, 'free.npy'), '|u1', [1], { replace: false });
    free.finish();
    assert.equal(statSync(join(folder, 'free.npy')).nlink, 1);
  });
});
