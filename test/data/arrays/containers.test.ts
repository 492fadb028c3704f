import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openSource } from '../../../data/open.ts';
import type { OpenOptions } from '../../../data/open-options.ts';
import { PLAIN_TABLE } from '../../../data/tables/table-options.ts';
import { readLabels } from '../../../run/labels.ts';
import { elements, npyFile, refuses, scratchFolder } from '../files.ts';
import { classes, fixture, pca, rows, safetensorsOf, zipOf } from './fixtures.ts';

const { folder, put } = scratchFolder();
const putFixture = (name: string) => put(name, fixture(name));

const named = (...columns: string[]): OpenOptions => ({ table: { ...PLAIN_TABLE, columns } });

/** All rows of a file, which are also read in pieces. */
async function read(path: string, ...columns: string[]) {
  const source = await openSource(path, columns.length ? named(...columns) : {});
  try {
    const all = await source.read(0, source.rows);
    assert.deepEqual(await source.read(5, 3), all.slice(5 * source.dim, 8 * source.dim));
    const { dim, dtype, array, file, names } = source;
    return { values: Array.from(all), dim, dtype, array, isCopy: file !== undefined, names };
  } finally {
    source.close();
  }
}

async function labelsOf(spec: string): Promise<string[]> {
  const { codes, names } = await readLabels(spec);
  return Array.from(codes, (code) => names[code]);
}

const asFloats = (values: number[]) => Array.from(Float32Array.from(values));
const rounded = rows.map((value) => {
  // As NumPy: halves to even numbers.
  const nearest = Math.round(value);
  return Math.abs(value % 1) === 0.5 && nearest % 2 ? nearest - 1 : nearest;
});
const codes = classes.map((name) => String(['B', 'NK', 'T'].indexOf(name)));

describe('npz', () => {
  test('a stored array is read in place, a deflated one from the cache', async () => {
    for (const [name, isCopy] of [
      ['stored.npz', false],
      ['deflated.npz', true],
    ] as const) {
      const path = putFixture(name);
      const x = await read(path, 'x');
      assert.deepEqual(x.values, rows);
      assert.equal(x.dtype, 'float32');
      assert.equal(x.isCopy, isCopy);
      assert.equal(x.array, isCopy ? undefined : 'x');
      assert.deepEqual((await read(path, 'other.npy')).values, pca);
      assert.deepEqual(await labelsOf(`${path}:words`), classes);
      assert.deepEqual(await labelsOf(`${path}:y`), codes);
    }
  });
  test('the only array of rows × columns, and the only labels, need no name', async () => {
    const path = putFixture('single.npz');
    assert.deepEqual((await read(path)).values, rows);
    assert.deepEqual(await labelsOf(path), codes);
    assert.deepEqual((await read(putFixture('objects.npz'))).values, rows);
  });
  test('new rows for a trained model may have the array under another name', async () => {
    const trained = { names: null, fill: null, categories: null, width: 4, run: 'run' };
    const options = { table: { ...PLAIN_TABLE, columns: ['embedding'], trained } };
    const source = await openSource(putFixture('single.npz'), options);
    assert.equal(source.dim, 4);
    source.close();
    (await openSource(put('bare.npy', npyFile('<f4', [1, 1], elements('f4', [5]))), options)).close();
  });
  test('what cannot be chosen', async () => {
    const path = putFixture('stored.npz');
    const listed = 'it has x (12, 4), other (12, 2), y (12,), words (12,)';
    await refuses(() => openSource(path), 'more than one array of rows × columns', '--columns NAME', listed);
    await refuses(() => openSource(path, named('z')), 'stored.npz has no array z', listed);
    await refuses(() => openSource(path, named('x', 'other')), '--columns x,other has 2 names', 'alone');
    await refuses(() => openSource(path, named('y')), 'stored.npz:y has shape (12,), not (rows, columns)');
    await refuses(() => openSource(path, named('words')), 'stored.npz:words');
    await refuses(() => readLabels(path), 'more than one array of one label per row', 'FILE:NAME');
    await refuses(() => readLabels(`${path}:x`), 'stored.npz:x has shape (12, 4), not one label per row');
    await refuses(() => openSource(putFixture('objects.npz'), named('about')), 'Python objects');
    const plain = put('plain.npy', npyFile('<f4', [1, 1], elements('f4', [5])));
    await refuses(() => openSource(plain, named('x')), 'plain.npy has no columns or arrays with names');
  });
  test('damaged, truncated, and other archives', async () => {
    const whole = fixture('stored.npz');
    await refuses(
      () => openSource(put('cut.npz', whole.subarray(0, -40))),
      'cut.npz is damaged or truncated (zip: ',
    );
    await refuses(() => openSource(put('text.npz', 'no archive')), 'text.npz is damaged or truncated (zip: ');
    const deflated = fixture('deflated.npz');
    const flipped = Buffer.from(deflated);
    // Within the data of the first member, behind its header.
    for (let at = 150; at < 180; at++) flipped[at] ^= 0x55;
    await refuses(() => openSource(put('flipped.npz', flipped), named('x')), 'flipped.npz', 'damaged');
    await refuses(() => openSource(putFixture('sparse.npz')), 'sparse.npz is a sparse matrix of SciPy');
    for (const [member, ...says] of [
      ['archive/data.pkl', 'is a pickle', 'can run any code', 'safetensors'],
      ['xl/workbook.xml', 'is an Excel workbook', '.csv'],
      ['a.csv', 'is a zip archive without .npy (a.csv)', 'unpack it'],
    ])
      await refuses(() => openSource(put('o.zip', zipOf({ [member]: Buffer.from('x') }))), 'o.zip', ...says);
    await refuses(() => openSource(put('none.zip', zipOf({}))), 'none.zip is an empty zip archive');
  });
});

describe('pickles', () => {
  test('are never opened, by content or name', async () => {
    for (const [name, content] of [
      ['x.pt', '\x80\x02\x8a\x0al'],
      ['x.bin', '\x80\x04\x95'],
      ['x.pkl', '(lp0'],
    ])
      await refuses(() => openSource(put(name, Buffer.from(content, 'latin1'))), `${name} is a pickle`);
    await refuses(() => readLabels(put('y.pth', 'x')), 'y.pth is a pickle');
  });
});

/** So many bytes of tensors. */
const safetensors = (header: unknown, bytes: number) => safetensorsOf(header, Buffer.alloc(bytes));

describe('safetensors', () => {
  test('columns have the names of its metadata, if there are as many', async () => {
    const values = { dtype: 'F32', shape: [8, 2], data_offsets: [0, 64] };
    for (const [columns, names] of [
      [JSON.stringify(['a', 'b']), ['a', 'b']],
      [JSON.stringify(['a', 'b', 'c']), null],
      ['no list', null],
      [undefined, null],
    ])
      assert.deepEqual(
        (await read(put('named.safetensors', safetensors({ __metadata__: { columns }, values }, 64)))).names,
        names,
      );
  });
  test('tensors of all types, in place', async () => {
    const path = putFixture('many.safetensors');
    for (const [name, dtype] of Object.entries({
      F16: 'float16',
      F32: 'float32',
      F64: 'float64',
      I8: 'int8',
      I64: 'int64',
      BF16: 'bfloat16',
    })) {
      const found = await read(path, name);
      assert.deepEqual(found.values, name.includes('F') ? rows : rounded.map((value) => value + 0), name);
      assert.deepEqual([found.dtype, found.array, found.isCopy], [dtype, name, false]);
    }
    assert.deepEqual(
      (await read(path, 'BOOL')).values,
      rows.map((value) => Number(value > 0)),
    );
    assert.deepEqual(await labelsOf(`${path}:label`), codes);
    assert.deepEqual((await read(put('any.name', fixture('one.safetensors')))).values, rows);
    const source = await openSource(path, named('BF16'));
    assert.deepEqual(Array.from(await source.stored(3)), rows.slice(12, 16));
    source.close();
  });
  test('what cannot be chosen', async () => {
    await refuses(() => openSource(putFixture('many.safetensors')), 'more than one array of rows × columns');
  });
  test('damaged headers, without reading what they claim', async () => {
    const refused = (content: Buffer, ...says: string[]) =>
      refuses(() => openSource(put('bad.safetensors', content)), 'bad.safetensors', ...says);
    const tensor = (from: number, to: number, shape = [2, 2], dtype = 'F32') => ({
      dtype,
      shape,
      data_offsets: [from, to],
    });
    const whole = fixture('one.safetensors');
    await refused(whole.subarray(0, 5), 'is truncated: 8 bytes expected, 5 found');
    await refused(whole.subarray(0, 40), 'is truncated');
    await refused(whole.subarray(0, -1), 'is truncated');
    const huge = Buffer.from('\xff\xff\xff\xff\xff\x00\x00\x00{}', 'latin1');
    await refused(huge, 'has a header of 1099511627775 bytes');
    await refused(safetensors('{"x":', 0), 'is not a safetensors file');
    await refused(safetensors('[1]', 0), 'is not a safetensors file');
    await refused(safetensors({ x: { dtype: 'F32' } }, 16), 'is not a safetensors file');
    await refused(safetensors({ x: tensor(0, 12) }, 16), 'its header is damaged');
    await refused(safetensors({ x: tensor(16, 0) }, 16), 'its header is damaged');
    await refused(safetensors({ x: tensor(0, 16), y: tensor(8, 24) }, 24), 'its header is damaged');
    await refused(safetensors({ x: tensor(8, 24) }, 16), 'is truncated');
    await refused(
      safetensors({ x: tensor(0, 4, [2, 2], 'F8_E4M3') }, 4),
      ':x has the element type "F8_E4M3"',
    );
    await refused(safetensors({}, 0), 'has no arrays');
  });
});

describe('h5ad and HDF5', () => {
  test('X, dense and sparse, by default; others by name', async () => {
    for (const name of ['dense', 'csr', 'csc']) {
      const path = putFixture(`${name}.h5ad`);
      const x = await read(path);
      assert.deepEqual(x.values, rows, name);
      assert.deepEqual([x.dtype, x.isCopy], ['float32', true]);
      assert.deepEqual(x.names, ['gene1', 'gene2', 'gene3', 'gene4']);
      for (const key of ['X_pca', 'obsm/X_pca']) {
        const { values, names } = await read(path, key);
        assert.deepEqual(values, pca);
        assert.equal(names, null);
      }
      assert.deepEqual((await read(path, 'layers/twice')).values, asFloats(rows.map((value) => 2 * value)));
    }
  });
  test('cells have the names of obs, in all their arrays', async () => {
    for (const [name, ...columns] of [['dense'], ['csr'], ['csc', 'X_pca'], ['dense', 'layers/twice']]) {
      const source = await openSource(putFixture(`${name}.h5ad`), columns.length ? named(...columns) : {});
      assert.equal(source.id, 'obs_names');
      const names: string[] = [];
      for await (const slice of source.texts!(source.id)) names.push(...slice);
      assert.deepEqual(
        names,
        Array.from({ length: 12 }, (_, i) => `cell${i}`),
      );
      assert.deepEqual(source.arrays, ['X (12, 4)', 'obsm/X_pca (12, 2)', 'layers/twice (12, 4)']);
      source.close();
    }
    const plain = await openSource(putFixture('plain.h5'), named('deep/rows'));
    assert.deepEqual([plain.id, plain.texts], [undefined, undefined]);
    plain.close();
  });
  test('labels are columns of obs', async () => {
    const path = putFixture('dense.h5ad');
    for (const name of ['kind', 'batch', 'obs/kind'])
      assert.deepEqual(await labelsOf(`${path}:${name}`), classes);
    assert.deepEqual(await labelsOf(`${path}:number`), codes);
    await refuses(() => readLabels(path), 'dense.h5ad has several columns (batch, flag, kind, number)');
    await refuses(
      () => readLabels(`${path}:kinds`),
      'dense.h5ad has no column kinds (did you mean kind?); it has batch, flag, kind, number',
    );
    await refuses(
      () => readLabels(`${path}:celltype`),
      'no column celltype; it has batch, flag, kind, number',
    );
    await refuses(() => readLabels(`${path}:flag`), 'row 1 (counted from 0) has no label');
    await refuses(() => readLabels(`${path}:obsm/X_pca`), 'not one label per row');
  });
  test('arrays of any HDF5 file, by path', async () => {
    const path = putFixture('plain.h5');
    assert.deepEqual((await read(path, 'deep/rows')).values, rows);
    assert.deepEqual(
      (await read(path, '/chunked')).values,
      rounded.map((value) => value + 0),
    );
    assert.deepEqual(await labelsOf(`${path}:deep/kinds`), classes);
    await refuses(() => openSource(path), 'more than one array of rows × columns');
    await refuses(() => openSource(path, named('elsewhere')), 'has no array elsewhere');
    await refuses(() => openSource(path, named('lzf')), 'plain.h5:lzf is compressed with lzf', 'gzip');
  });
  test('of more rows than the disk has room for, of which the file stores few', async () => {
    const { File, ready } = await import('h5wasm/node');
    await ready;
    const path = join(folder, 'huge.h5');
    const file = new File(path, 'w');
    const data = new Float32Array(8);
    file
      .create_dataset({ name: 'X', data, shape: [2, 4], maxshape: [null, 4], chunks: [2, 4] })
      .resize([1e12, 4]);
    file.close();
    await refuses(() => openSource(path), 'huge.h5:X takes 16000.0 GB decoded', 'left: set DPMESH_CACHE');
  });
  test('new rows for a trained model must have its columns', async () => {
    const trained = (names: string[]): OpenOptions => ({
      table: {
        ...PLAIN_TABLE,
        trained: { names, fill: null, categories: null, width: 4, run: 'runs/x' },
      },
    });
    const path = putFixture('dense.h5ad');
    (await openSource(path, trained(['gene1', 'gene2', 'gene3', 'gene4']))).close();
    await refuses(
      () => openSource(path, trained(['gene1', 'gene3', 'gene2', 'gene4'])),
      'dense.h5ad:X has other columns than the run runs/x: column 2 is "gene2", in the run it is "gene3"',
    );
  });
  test('damaged and truncated files', async () => {
    const whole = fixture('csr.h5ad');
    await refuses(
      () => openSource(put('cut.h5ad', whole.subarray(0, 20_000))),
      'cut.h5ad is damaged or truncated',
      'truncated file',
    );
    await refuses(() => openSource(put('text.h5ad', 'no HDF5')), 'text.h5ad is damaged or truncated (HDF5: ');
    await refuses(
      () => openSource(putFixture('dense.h5ad'), named('X_umap')),
      'no array X_umap; it has X (12, 4)',
    );
    const expected = { rows: 11, dim: 4 };
    await refuses(
      () => openSource(put('new.h5ad', whole), { expected }),
      'new.h5ad:X has shape (12, 4), not (11, 4)',
    );
  });
});
