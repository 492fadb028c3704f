import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { cachedBytes, entryName, markUsed, prune } from '../../data/cache.ts';
import { openSource } from '../../data/open.ts';
import { readLabels } from '../../run/labels.ts';
import { idxFile, scratchFolder } from './files.ts';

const { folder, put } = scratchFolder();
const cache = join(folder, 'cache');
const marks = () => readdirSync(cache).filter((name) => name.endsWith('.use'));

async function rowsOf(path: string): Promise<number[]> {
  const source = await openSource(path);
  try {
    return [...(await source.read(0, source.rows))];
  } finally {
    source.close();
  }
}

describe('the cache', () => {
  const kinds: [string, (...values: number[]) => Uint8Array | string][] = [
    ['x.csv', (a, b) => `${a},${b}\n`],
    // Named as a copy of a file from elsewhere, which has no times: but it is not in the cache.
    ['d41d8cd98f00b204e9800998ecf8427e-x.csv', (a, b) => `${a},${b}\n`],
    ['x.gz', (a, b) => gzipSync(idxFile(8, [1, 2], Buffer.from([a, b])))],
  ];
  for (const [name, content] of kinds)
    test(`${name}: other content of the same size and modification time gives other rows`, async () => {
      const [path, other] = [put(name, content(1, 2)), put(`other-${name}`, content(3, 4))];
      assert.equal(statSync(path).size, statSync(other).size);
      const { atime, mtime } = statSync(path);
      assert.deepEqual(await rowsOf(path), [1, 2]);
      // As `cp -p` does.
      copyFileSync(other, path);
      utimesSync(path, atime, mtime);
      assert.deepEqual(await rowsOf(path), [3, 4]);
      // As `mv` does.
      writeFileSync(other, content(5, 6));
      utimesSync(other, atime, mtime);
      renameSync(other, path);
      assert.deepEqual(await rowsOf(path), [5, 6]);
    });

  test('knows which decoded files are in use: from opening to closing', async () => {
    const source = await openSource(put('used.csv', '1,2\n'));
    assert.equal(marks().length, 1);
    source.close();
    await readLabels(put('labels.csv', 'label\n1\n'));
    await readLabels(put('labels.gz', gzipSync(idxFile(8, [2], Buffer.from([0, 1])))));
    await assert.rejects(openSource(put('bad.csv', '1.5,x\n2,3\n')));
    await assert.rejects(
      openSource(put('one-dimensional.gz', gzipSync(idxFile(8, [2], Buffer.from([0, 1]))))),
    );
    assert.deepEqual(marks(), []);
  });
});

describe('pruning the cache', () => {
  const DAY = 86_400_000;
  const now = Date.now();
  let count = 0;
  /** A folder with decoded files of 100 bytes, last used so many days ago. */
  function withEntries(...days: number[]) {
    const place = mkdtempSync(join(folder, 'prune-'));
    const age = (name: string, ago: number) =>
      utimesSync(join(place, name), new Date(now - ago * DAY), new Date(now - ago * DAY));
    const add = (name: string, ago: number) => {
      writeFileSync(join(place, name), Buffer.alloc(100));
      age(name, ago);
      return name;
    };
    const entries = days.map((ago) => add(entryName(String(++count).padStart(32, '0')), ago));
    return { place, entries, add, left: () => readdirSync(place).sort() };
  }

  test('removes what was not used for 30 days', () => {
    const { place, entries, left } = withEntries(31, 29, 0);
    assert.equal(cachedBytes(place), 300);
    prune(place, 1e9, now);
    assert.deepEqual(left(), entries.slice(1));
  });

  test('removes the longest unused until the others fit', () => {
    const { place, entries, left } = withEntries(3, 1, 2, 0);
    prune(place, 399, now);
    assert.deepEqual(left(), entries.slice(1));
    prune(place, 200, now);
    assert.deepEqual(left(), [entries[1], entries[3]]);
    prune(place, 0, now);
    assert.deepEqual(left(), []);
  });

  test('never removes one in use, by whatever process, until that is over', () => {
    const { place, entries, left } = withEntries(40, 40, 40, 40);
    const [own, anothers, left1, elsewhere] = entries;
    const release = markUsed(join(place, own));
    const again = markUsed(join(place, own));
    const mark = (entry: string, pid: number, host: string) =>
      writeFileSync(join(place, `${entry}.${pid}.01234567@${host}.use`), '');
    mark(anothers, process.ppid, hostname());
    const { pid } = spawnSync(process.execPath, ['--version']);
    mark(left1, pid, hostname());
    mark(elsewhere, pid, 'another-machine');
    prune(place, 0, now);
    const entriesLeft = () => left().filter((name) => name.endsWith('.npy'));
    assert.deepEqual(entriesLeft(), [own, anothers, elsewhere]);
    assert.ok(!left().some((name) => name.startsWith(`${left1}.`)));
    release();
    prune(place, 0, now);
    assert.deepEqual(entriesLeft(), [own, anothers, elsewhere]);
    again();
    // Used again it may be, but now it is in use by nobody.
    prune(place, 0, now);
    assert.deepEqual(entriesLeft(), [anothers, elsewhere]);
    prune(place, 0, now + 31 * DAY);
    assert.deepEqual(entriesLeft(), [anothers]);
  });

  test('removes what killed processes left, and nothing that is not its own', () => {
    const { place, entries, add, left } = withEntries(0);
    add(`${entries[0]}.1-1.01234567.tmp`, 2);
    const writing = add(`${entries[0]}.1-1.89abcdef.tmp`, 0.5);
    const others = ['notes.txt', 'x.npy', 'x.npy.1-1.01234567.tmp', 'x.npy.1.01234567@y.use'];
    // As other programs name files too, by MD5.
    others.push(`${'0'.repeat(32)}.npy`, `${'0'.repeat(32)}-x.csv`);
    for (const name of others) add(name, 99);
    mkdirSync(join(place, 'folder'));
    prune(place, 1e9, now);
    assert.deepEqual(left(), [entries[0], writing, ...others, 'folder'].sort());
  });

  test('happens whenever a file is opened', async () => {
    const stale = join(cache, entryName('f'.repeat(32)));
    writeFileSync(stale, 'x');
    utimesSync(stale, 1, 1);
    await rowsOf(put('new.csv', '1,2\n'));
    assert.ok(!existsSync(stale));
  });
});
