// What a follow takes of what it finds: parts that are complete, and not taken yet.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Manifest,
  nameProblem,
  type Part,
  readManifest,
  writeManifest,
} from '../../../library/follow/manifest.ts';
import { createSettling, sortOut } from '../../../library/follow/settled-parts.ts';
import { FORMAT } from '../../../run/finished-run.ts';

const at = (ms: number) => new Date(ms).toISOString();
const found = (name: string, bytes: number, modified: number) => ({
  ...{ name, path: `in/${name}`, bytes, modified: at(modified) },
});
const taken = (name: string, bytes: number, modified: number, rows = 5): Part => ({
  ...{ name, copy: name, bytes, modified: at(modified), sha256: 'x', rows, update: 1 },
});

test('the age of a part is the time since it last changed, by its own time or by what was seen', () => {
  const settling = createSettling();
  const ages = (now: number, ...parts: ReturnType<typeof found>[]) =>
    settling(parts, now).map(({ age }) => age);
  assert.deepEqual(ages(10_000, found('old', 1, 4000), found('new', 1, 9500)), [6000, 500]);
  // Its clock is ahead: only what is seen tells.
  assert.deepEqual(ages(20_000, found('ahead', 1, 90_000)), [0]);
  assert.deepEqual(ages(21_500, found('ahead', 1, 90_000)), [1500]);
  assert.deepEqual(ages(23_000, found('ahead', 2, 90_000)), [0]);
  assert.deepEqual(ages(24_000, found('ahead', 2, 90_001)), [0]);
  assert.deepEqual(ages(26_000, found('ahead', 2, 90_001)), [2000]);
});

test('parts are fresh, known or changed; of what had no rows nothing was taken', () => {
  const known = new Map(
    [taken('same', 10, 1), taken('longer', 10, 1), taken('touched', 10, 1), taken('empty', 0, 1, 0)].map(
      (part) => [part.name, part],
    ),
  );
  const all = [
    ...[found('same', 10, 1), found('longer', 11, 1), found('touched', 10, 2)],
    ...[found('empty', 8, 2), found('fresh', 3, 3)],
  ];
  const { fresh, changed } = sortOut(all, known);
  assert.deepEqual(
    fresh.map(({ name }) => name),
    ['empty', 'fresh'],
  );
  assert.deepEqual(
    changed.map(({ part, before }) => [part.name, before.bytes]),
    [
      ['longer', 10],
      ['touched', 10],
    ],
  );
});

test('names that could not be read again are refused before anything is written', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-manifest-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const manifest = (name: string): Manifest => ({
    ...{ dpmesh: '1', format: FORMAT, run: 'runs/x', base: 'x', updates: 0, batch: null },
    parts: [{ ...taken('x', 1, 1), name, copy: '00000000-x' }],
  });
  for (const name of ['a.npy', '2026/11/a b.npy', 'ä\u{1f600}.csv']) {
    assert.equal(nameProblem(name), null);
    writeManifest(folder, manifest(name));
    assert.equal(readManifest(folder)?.parts[0].name, name);
  }
  // Their labels would be in the way of others, or be removed.
  for (const name of ['a.csv.npy/b.csv', 'x.12-34.0123abcd.tmp/a.csv', 'a.csv.1-2.0123abcd.tmp'])
    assert.notEqual(nameProblem(name), null, name);
  const before = readManifest(folder);
  for (const name of ['a\nb.npy', 'a\x1f.npy', '../a.npy', 'a//b.npy', `a/${'b'.repeat(201)}/c.npy`]) {
    assert.notEqual(nameProblem(name), null, name);
    if (name.length < 200) assert.throws(() => writeManifest(folder, manifest(name)));
  }
  assert.deepEqual(readManifest(folder), before);
});
