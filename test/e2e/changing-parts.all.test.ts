// Files that are added, removed or changed in a folder of tables while a run is going on: what docs/tables.md says.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  dpmesh,
  ENDLESS,
  epochOf,
  jsonOf,
  QUICK,
  scratch,
  sha256,
  start,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();

/** Two clusters in three files. */
function parts(name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const part of [0, 1, 2]) {
    const rows = Array.from(
      { length: 300 },
      (_, i) => `p${part}-${i},${(i % 2) * 50 + (i % 7)},${(i % 2) * 30 + (i % 11)}`,
    );
    writeFileSync(join(path, `${part}.csv`), `id,x,y\n${rows.join('\n')}\n`);
  }
  return path;
}

const contents = (path: string) =>
  new Map(readdirSync(path).map((name) => [join(path, name), readFileSync(join(path, name), 'utf8')]));
function restore(path: string, files: Map<string, string>): void {
  rmSync(path, { recursive: true });
  mkdirSync(path);
  for (const [name, text] of files) writeFileSync(name, text);
}

/** A run on the folder that is asked to finish after the folder has changed and some more epochs have passed. */
async function disturbed(path: string, run: string, ...flags: string[]) {
  const args = trainArgs(path, run, '--workers', 2, '--http', '127.0.0.1:0', '--checkpoint-every', 0);
  const running = start([...args, ...ENDLESS, ...QUICK, ...flags]);
  await until('epochs', () => epochOf(run) >= 2, running);
  writeFileSync(join(path, '0.csv'), 'id,x,y\nother,7,7\n');
  rmSync(join(path, '1.csv'));
  writeFileSync(join(path, '9.csv'), 'id,x,y\nmore,1,1\n');
  const seen = epochOf(run);
  await until('more epochs', () => epochOf(run) >= seen + 2, running);
  const url = /watch it at (http:\S+)/.exec(running.stderr())![1];
  await fetch(`${url}api/finish`, { method: 'POST' });
  return running.ended;
}

test('a run works on its copy; resume and another run take them for other data', async () => {
  const path = parts('plain');
  const files = contents(path);
  const run = join(folder, 'plain-run');
  const ended = await disturbed(path, run, '--drop', 'id');
  assert.equal(jsonOf(ended).rows, 900);
  const labels = sha256(join(run, 'labels.npy'));
  assert.equal(
    jsonOf(await dpmesh(trainArgs(path, join(folder, 'other'), '--drop', 'id', '--no-http', '--workers', 1)))
      .rows,
    302,
  );
  const refused = await dpmesh(['resume', run, '--max-epochs', 1_000_001, '--no-http']);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /has 302 rows × 2 columns, but had 900/);
  restore(path, files);
  assert.equal(sha256(join(run, 'labels.npy')), labels);
});

test('names of rows are read from the files at the end', async () => {
  const path = parts('named');
  const files = contents(path);
  const run = join(folder, 'named-run');
  const { code, stderr } = await disturbed(path, run, '--id', 'id');
  assert.equal(code, 2, stderr);
  assert.match(stderr, /named(\/\d\.csv)? (changed while it was being read|cannot be read)/);
  restore(path, files);
  jsonOf(await dpmesh(['finish', run, '--json', '--no-report', '--no-http', '--workers', 2]));
  assert.match(readFileSync(join(run, 'labels.csv'), 'utf8'), /^p2-299,/m);
});
