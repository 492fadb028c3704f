// Names of files that are not UTF-8, or have control characters.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readableNames } from '../../base/names.ts';
import { escapedName } from '../../base/text.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-names-'));
after(() => rmSync(folder, { recursive: true }));

/** A path with these bytes. */
const raw = (bytes: string) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(bytes, 'latin1')]);
const isUtf8Only = (() => {
  try {
    writeFileSync(raw('k\xfcnstler \xc3\xa4.csv'), 'x');
    return readdirSync(folder, 'buffer').every((name) => Buffer.from(name.toString()).equals(name));
  } catch {
    return true;
  }
})();

test('a name that is not UTF-8 is refused by what it is called, a folder only as a folder', {
  skip: isUtf8Only && 'the file system takes no such names',
}, () => {
  mkdirSync(raw('d\xff'));
  // A character that is really in the name.
  for (const name of ['a.csv', '\ufffd.csv']) writeFileSync(join(folder, name), 'x');
  const refused: string[] = [];
  const names = (wanted: (name: string) => boolean, areFolders = false) =>
    readableNames(folder, readdirSync(folder), wanted, (path) => void refused.push(path), areFolders);
  assert.deepEqual(names((name) => name.endsWith('.csv')).sort(), ['a.csv', '\ufffd.csv']);
  assert.deepEqual(refused.splice(0), [join(folder, 'k\\xfcnstler ä.csv')]);
  assert.equal(names((name) => name.startsWith('a')).length, 1);
  assert.deepEqual(refused, []);
  names(() => true, true);
  assert.deepEqual(refused, [join(folder, 'd\\xff')]);
  assert.throws(
    () => readableNames(folder, readdirSync(folder), (name) => name.endsWith('.csv')),
    /k\\xfcnstler ä\.csv: its name is not UTF-8; rename it/,
  );
});

test('control characters of a name are escaped, and it is one line', () => {
  assert.equal(escapedName('a\nb\r\t\x1b[2J\x9b\u202e.npy'), 'a\\nb\\r\\t\\x1b[2J\\x9b\\u202e.npy');
  assert.equal(escapedName('künstler ä.csv'), 'künstler ä.csv');
});
