import assert from 'node:assert/strict';
import { chmodSync, chownSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cacheFolder } from '../../data/cache.ts';
import { openSource } from '../../data/open.ts';
import { asNobody, elements, isRoot, npyFile, refuses, scratchFolder } from './files.ts';

const { folder, put } = scratchFolder();

describe('opening', () => {
  test('the content takes precedence over the name', async () => {
    const source = await openSource(put('really-npy.csv', npyFile('<f4', [1, 1], elements('f4', [5]))));
    assert.deepEqual(await source.read(0, 1), Float32Array.of(5));
    source.close();
  });
  test('a row in float64, for messages', async () => {
    const put8 = (fortran: boolean) =>
      put('wide.npy', npyFile('<f8', [2, 2], elements('f8', [1, 1e300, 0.1, -2]), { fortran }));
    for (const [fortran, row, stored] of [
      [false, 0, [1, 1e300]],
      [false, 1, [0.1, -2]],
      [true, 1, [1e300, -2]],
    ] as const) {
      const source = await openSource(put8(fortran));
      assert.deepEqual(await source.stored(row), Float64Array.from(stored));
      source.close();
    }
    const source = await openSource(put('one.npy', npyFile('<f4', [1, 2], elements('f4', [5, 0.1]))));
    assert.deepEqual(await source.stored(0), Float64Array.of(5, Math.fround(0.1)));
    source.close();
  });
  test('a table is read with a word on how far it is', async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => `${i % 7},${i % 3}.5`);
    const told: string[] = [];
    const path = put('told.csv', Buffer.from(`a,b\n${rows.join('\n')}\n`));
    for (let i = 0; i < 2; i++) (await openSource(path, { status: (text) => void told.push(text) })).close();
    assert.equal(told.at(-1), `reading ${path}: 5,000 rows`);
    // The second time it is in the cache.
    assert.equal(told.filter((text) => text.includes(' 5,000 rows')).length, 1);
  });
  test('a folder', () => {
    mkdirSync(join(folder, 'empty'));
    return refuses(() => openSource(join(folder, 'empty')), 'empty is a folder: name a file inside it');
  });
  test('a device', () => refuses(() => openSource('/dev/null'), '/dev/null is not a regular file'));
  test('an unreadable file', async () => {
    const path = put('secret.npy', npyFile('<f4', [1, 1], elements('f4', [5])));
    chmodSync(folder, 0o755);
    chmodSync(path, 0);
    await asNobody(() => refuses(() => openSource(path), 'secret.npy cannot be read: permission denied'));
  });
  test('an unknown format', async () => {
    await refuses(() => openSource(put('x.docx', 'abcdefgh')), 'x.docx has an unsupported format', '.npy');
    await refuses(() => openSource(put('x', 'x')), 'has an unsupported format');
  });
});

describe('the cache folder', () => {
  const within = (name: string, action: () => void) => {
    const before = process.env.DPMESH_CACHE;
    process.env.DPMESH_CACHE = join(folder, name);
    try {
      action();
    } finally {
      process.env.DPMESH_CACHE = before;
    }
  };

  test('is accessible to this user only', () =>
    within('new/cache', () => {
      assert.equal(cacheFolder(), join(folder, 'new/cache'));
      assert.equal(lstatSync(cacheFolder()).mode & 0o777, 0o700);
    }));
  test('must be a folder, not a link, and not writable by others', async () => {
    mkdirSync(join(folder, 'target'), { mode: 0o700 });
    symlinkSync(join(folder, 'target'), join(folder, 'link'));
    put('file', 'x');
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o777);
    await refuses(() => within('link', cacheFolder), 'link is a link', 'set DPMESH_CACHE');
    await refuses(() => within('file', cacheFolder), 'file is not a folder');
    await refuses(() => within('open', cacheFolder), 'open can be written to by other users');
  });
  test("must not be another user's", { skip: !isRoot }, async () => {
    const theirs = join(folder, 'theirs');
    mkdirSync(theirs, { mode: 0o700 });
    chownSync(theirs, 65534, 65534);
    await refuses(() => within('theirs', cacheFolder), 'belongs to another user (uid 65534)');
  });
});
