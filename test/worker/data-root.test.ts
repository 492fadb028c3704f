import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isBelow } from '../../worker/data-root.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-root-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]) => join(folder, ...parts);
for (const name of ['root/in', 'root-not']) mkdirSync(at(name), { recursive: true });
for (const name of ['root/in/x.npy', 'root/..x.npy', 'root-not/x.npy', 'x.npy']) writeFileSync(at(name), 'x');
symlinkSync(at('root-not'), at('root/folder-out'));
symlinkSync(at('x.npy'), at('root/file-out.npy'));
symlinkSync(at('root/in/x.npy'), at('in.npy'));
symlinkSync(at('root'), at('other-root'));

test('files below the folder, by whatever way', () => {
  for (const path of [
    'root/in/x.npy',
    'root/..x.npy',
    'root/in/../in/x.npy',
    'in.npy',
    'other-root/in/x.npy',
  ])
    assert.ok(isBelow(at('root'), at(path)), path);
  assert.ok(isBelow(at('other-root'), at('root/in/x.npy')));
  assert.ok(isBelow('/', at('x.npy')));
});

test('files elsewhere: beside it, through "..", through links of files and folders, the folder itself', () => {
  for (const path of ['x.npy', 'root-not/x.npy', 'root/folder-out/x.npy', 'root/file-out.npy', 'root'])
    assert.equal(isBelow(at('root'), at(path)), false, path);
  for (const path of [`${folder}/root/../x.npy`, `${folder}/root/in/../../root-not/x.npy`, '/etc/passwd'])
    assert.equal(isBelow(at('root'), path), false, path);
});
