import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { filesLike, likeFile, likeName } from '../../../data/file-names.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-files-like-'));
after(() => rmSync(folder, { recursive: true }));
for (const name of [
  'a1.csv',
  'a2.csv',
  'b1.csv',
  '.h.csv',
  'x/a1.csv',
  'x/y/c.csv',
  '$&/d.csv',
  '[z]/e.csv',
]) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), '');
}
symlinkSync(folder, join(folder, 'x', 'circle'));
const like = (pattern: string) =>
  filesLike(join(folder, pattern)).map((path) => path.slice(folder.length + 1));

describe('files like a pattern', () => {
  test('are those that it names, sorted', () => {
    assert.deepEqual(like('*.csv'), ['a1.csv', 'a2.csv', 'b1.csv']);
    assert.deepEqual(like('.*.csv'), ['.h.csv']);
    assert.deepEqual(like('?[2-9].csv'), ['a2.csv']);
    assert.deepEqual(like('[!a]*.csv'), ['b1.csv']);
    assert.deepEqual(like('{b,a}{1,3}.csv'), ['a1.csv', 'b1.csv']);
    assert.deepEqual(like('*/*.csv'), ['$&/d.csv', '[z]/e.csv', 'x/a1.csv']);
    assert.deepEqual(like('{x,$&}/*.csv'), ['$&/d.csv', 'x/a1.csv']);
    assert.deepEqual(like('[z]/*.csv'), ['[z]/e.csv']);
    assert.deepEqual(like('x/**/c*'), ['x/y/c.csv']);
    assert.deepEqual(like('x/**'), ['x/a1.csv', 'x/y/c.csv']);
    assert.deepEqual(like('nowhere/*'), []);
    assert.throws(() => like('{a,b}'.repeat(20)), { name: 'UserError' });
  });

  test('and names of columns match at once, whatever the pattern', () => {
    const [pattern, name] = ['*a'.repeat(40), 'a'.repeat(4000)];
    const started = performance.now();
    for (const matcher of [likeName, likeFile]) {
      assert.equal(matcher(`${pattern}*b`)(name), false);
      assert.equal(matcher(pattern)(name), true);
    }
    // A regular expression would need more than the age of the universe.
    assert.ok(performance.now() - started < 60_000);
  });

  test('a name without `*` matches itself alone, whatever else is in it', () => {
    assert.ok(likeName('a.*[0]*\n')('a.b[0]c\n') && !likeName('a.*[0]*')('ab[0]'));
    assert.ok(likeName('')('') && !likeName('')('a') && likeName('**')(''));
    assert.ok(likeFile('[]a]')(']') && likeFile('[a')('[a') && !likeFile('[]')(']') && likeFile('a[')('a['));
  });
});
