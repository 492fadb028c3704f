import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openSource } from '../../data/open.ts';
import { type ElementType, elements, idxFile, refuses, scratchFolder } from './files.ts';

const { folder, put } = scratchFolder();
const types: [number, ElementType, number][] = [
  [8, 'u1', 200],
  [9, 'i1', -100],
  [11, 'i2', -30000],
  [12, 'i4', -70000],
  [13, 'f4', 0.25],
  [14, 'f8', 1e-3],
];

describe('IDX', () => {
  for (const [code, type, value] of types)
    for (const packed of [false, true])
      test(`${type}${packed ? ', gzip' : ''}: images become rows`, async () => {
        const values = Array.from({ length: 24 }, (_, i) => i);
        values[7] = value;
        const file = idxFile(code, [4, 2, 3], elements(type, values, true));
        const source = await openSource(put(`images-idx3-${type}`, packed ? gzipSync(file) : file));
        assert.deepEqual([source.rows, source.dim], [4, 6]);
        assert.deepEqual(await source.read(0, 4), Float32Array.from(values));
        assert.deepEqual(await source.read(1, 2), Float32Array.from(values.slice(6, 18)));
        source.close();
      });

  test('gzip of more than one block is decoded once', async () => {
    const values = Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 251);
    const path = put('big.gz', gzipSync(idxFile(8, [1000, 10, 20], elements('u1', values))));
    const first = await openSource(path);
    assert.equal(first.dtype, 'uint8');
    assert.deepEqual(await first.read(0, 1000), Float32Array.from(values));
    first.close();
    const cached = readdirSync(join(folder, 'cache'));
    (await openSource(path)).close();
    assert.deepEqual(readdirSync(join(folder, 'cache')), cached);
  });

  test('a damaged cached file is decoded again', async () => {
    const path = put('again.gz', gzipSync(idxFile(8, [2, 1], Buffer.from([1, 2]))));
    const before = new Set(readdirSync(join(folder, 'cache')));
    (await openSource(path)).close();
    const [name] = readdirSync(join(folder, 'cache')).filter((entry) => !before.has(entry));
    const cached = join(folder, 'cache', name);
    writeFileSync(cached, readFileSync(cached).subarray(0, 100));
    const source = await openSource(path);
    assert.deepEqual(await source.read(0, 2), Float32Array.of(1, 2));
    source.close();
  });

  test('rejects truncated files', async () => {
    const file = idxFile(8, [4, 3], Buffer.alloc(10));
    await refuses(() => openSource(put('short', file)), 'short is truncated: 24 bytes expected, 22 found');
    await refuses(
      () => openSource(put('shorter', file.subarray(0, 9))),
      'shorter is truncated: 12 bytes expected',
    );
    await refuses(() => openSource(put('short.gz', gzipSync(file))), '24 bytes expected, 22 found');
    const cut = gzipSync(idxFile(8, [4, 3], Buffer.alloc(12)));
    await refuses(() => openSource(put('cut.gz', cut.subarray(0, -12))), 'cut.gz is damaged or truncated');
    await refuses(() => openSource(put('text.gz', gzipSync('a\0b'))), 'text.gz does not contain an IDX');
    await refuses(() => openSource(put('nothing.gz', gzipSync(''))), 'nothing.gz does not contain an IDX');
    assert.deepEqual(
      readdirSync(join(folder, 'cache')).filter((name) => name.endsWith('.tmp')),
      [],
    );
  });

  test('unpacks nothing if the shape is not the expected one, and never more than the header says', async () => {
    const cache = () => readdirSync(join(folder, 'cache'));
    const values = Buffer.alloc(4 << 20);
    const bomb = put('bomb.gz', gzipSync(idxFile(8, [1 << 10, 1 << 6, 1 << 6], values)));
    const before = cache();
    await refuses(
      () => openSource(bomb, { expected: { rows: 100, dim: 2 } }),
      'shape (1024, 64, 64), not (100, 2)',
    );
    await refuses(() => openSource(bomb, { expected: { rows: 1024, dim: 64 } }), 'not (1024, 64)');
    const longer = put('longer.gz', gzipSync(idxFile(8, [100, 2], values)));
    await refuses(
      () => openSource(longer, { expected: { rows: 100, dim: 2 } }),
      'longer than the 212 bytes of its header',
    );
    assert.deepEqual(cache(), before);
    const source = await openSource(bomb, { expected: { rows: 1024, dim: 4096 } });
    assert.equal(source.dim, 4096);
    source.close();
  });

  test('rejects a header that no file can have', async () => {
    for (const [name, type] of [
      ['vast', 8],
      ['vaster', 14],
    ] as const) {
      const file = idxFile(type, [2 ** 32 - 1, 2 ** 32 - 1], Buffer.alloc(100));
      const says = 'has shape (4294967295, 4294967295), more than any file can hold';
      await refuses(() => openSource(put(name, file)), name, says);
      await refuses(() => openSource(put(`${name}.gz`, gzipSync(file))), `${name}.gz`, says);
    }
    const large = idxFile(14, [2 ** 32 - 1, 2 ** 17], Buffer.alloc(100));
    await refuses(() => openSource(put('large.gz', gzipSync(large))), 'more than its');
  });
});
