import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { firstBlockHash } from '../../data/blocks.ts';
import { openSource } from '../../data/open.ts';
import type { Layout } from '../../model/layout.ts';
import { folderProblem, isBelow, openVisible } from '../../worker/blocks.ts';
import { zipOf } from '../data/arrays/fixtures.ts';
import { elements, idxFile, npyFile } from '../data/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-root-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]) => join(folder, ...parts);
for (const name of ['root/in', 'root-not']) mkdirSync(at(name), { recursive: true });
for (const name of ['root/in/x.npy', 'root/..x.npy', 'root-not/x.npy', 'x.npy']) writeFileSync(at(name), 'x');
symlinkSync(at('root-not'), at('root/folder-out'));
symlinkSync(at('x.npy'), at('root/file-out.npy'));
symlinkSync(at('root/in/x.npy'), at('in.npy'));
symlinkSync(at('root'), at('other-root'));

test('files inside the folder, by any path', () => {
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

test('files elsewhere: beside it, through "..", through links to files and folders, the folder itself', () => {
  for (const path of ['x.npy', 'root-not/x.npy', 'root/folder-out/x.npy', 'root/file-out.npy', 'root'])
    assert.equal(isBelow(at('root'), at(path)), false, path);
  for (const path of [`${folder}/root/../x.npy`, `${folder}/root/in/../../root-not/x.npy`, '/etc/passwd'])
    assert.equal(isBelow(at('root'), path), false, path);
});

test('a folder to write to has the token, and is inside', () => {
  for (const name of ['root/in', 'root-not']) writeFileSync(at(name, 'seen'), 'ab');
  assert.equal(folderProblem([at('root')], at('root/in'), 'ab'), null);
  for (const [path, token, says] of [
    ['root/in', 'ac', 'has other content here'],
    ['root-not', 'ab', 'is below no --data-root'],
    ['root/folder-out', 'ab', 'is below no --data-root'],
    ['root', 'ab', 'no such file'],
  ])
    assert.ok(folderProblem([at('root')], at(path), token)!.includes(says), path);
});

test('a path from the coordinator is one line of the log, without control characters', async () => {
  const said: string[] = [];
  const layout: Layout = { rows: 100, dim: 2, shards: 1, blockRows: 16, seed: '0' };
  const file = { path: 'x\nworker: joined\x1b[2J', firstBlock: '00' };
  assert.equal(await openVisible([at('root')], file, layout, (line) => said.push(line)), null);
  assert.deepEqual(said, [
    'x\ufffdworker: joined\ufffd[2J cannot be read here; fetching rows from the coordinator',
  ]);
});

test('a folder is refused, and nothing in it is decoded', async () => {
  mkdirSync(at('root/images'));
  writeFileSync(at('root/images/a.png'), 'no image');
  const layout: Layout = { rows: 1, dim: 2, shards: 1, blockRows: 16, seed: '0' };
  const said: string[] = [];
  const file = { path: at('root/images'), firstBlock: '00' };
  process.env.DPMESH_CACHE = at('no-cache');
  assert.equal(await openVisible([at('root')], file, layout, (line) => said.push(line)), null);
  assert.match(said.join(), /cannot be read here/);
  assert.ok(!existsSync(at('no-cache')));
});

test('a compressed file with another shape than the run’s is not decompressed', async () => {
  const cache = at('cache');
  process.env.DPMESH_CACHE = cache;
  const path = at('root/bomb.idx.gz');
  writeFileSync(path, gzipSync(idxFile(8, [1 << 20, 4], Buffer.alloc(4 << 20))));
  const layout: Layout = { rows: 100, dim: 2, shards: 1, blockRows: 16, seed: '0' };
  const said: string[] = [];
  const file = { path, firstBlock: '00' };
  assert.equal(await openVisible([at('root')], file, layout, (line) => said.push(line)), null);
  assert.match(said.join(), /fetching rows from the coordinator/);
  assert.deepEqual(readdirSync(cache), []);
});

test('an array of an archive is read in place, if it is the one that is named', async () => {
  const x = npyFile('<f4', [2, 2], elements('f4', [1, 2, 3, 4]));
  const other = npyFile('<f4', [2, 2], elements('f4', [5, 6, 7, 8]));
  const path = at('root/x.npz');
  writeFileSync(path, zipOf({ 'x.npy': x, 'other.npy': other }));
  const layout: Layout = { rows: 2, dim: 2, shards: 1, blockRows: 16, seed: '0' };
  const whole = await openSource(path, { array: 'x' });
  const firstBlock = await firstBlockHash(whole, layout);
  whole.close();
  const said: string[] = [];
  const open = (array?: string) =>
    openVisible([at('root')], { path, firstBlock, array }, layout, (line) => said.push(line));
  const source = await open('x');
  assert.deepEqual(await source!.read(0, 2), Float32Array.of(1, 2, 3, 4));
  source!.close();
  assert.equal(await open('other'), null);
  assert.equal(await open(), null);
  assert.match(said[0], /differs from the coordinator/);
  assert.match(said[1], /cannot be read here/);
});
