import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  type AboutRun,
  displacedRuns,
  FORMAT,
  openFinished,
  placeOf,
  problemOfLists,
  savedRun,
} from '../../run/finished-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-finished-'));
after(() => rmSync(folder, { recursive: true }));
let runs = 0;

/** A run with a file, `words`; `about`: also in its run.json, where the file has its hash unless that says otherwise. */
function saved(path: string, words: string, about: object = {}): void {
  mkdirSync(path);
  const text = JSON.stringify(words);
  const files = { words: createHash('sha256').update(text).digest('hex') };
  writeFileSync(join(path, 'words'), text);
  writeFileSync(
    join(path, 'run.json'),
    JSON.stringify({ dpmesh: '0.1.0', format: FORMAT, result: { k: 1 }, files, ...about }),
  );
}
const freshPath = () => join(folder, `run-${++runs}`);
const parse = (at: string) => savedRun(at) as AboutRun;
const wordsOf = (run: string) => openFinished(run, parse, ({ files }) => files.json('words'));
/** Of a process that is no more. */
const ENDED = `${2 ** 22 + 1}-1.0123abcd.tmp`;

describe('a finished run', () => {
  test('is one with a result; hashes are compared where there are some', () => {
    const cases: [object, RegExp | null][] = [
      [{}, null],
      [{ files: undefined }, null],
      [{ result: null }, /is not finished; continue it with: dpmesh resume /],
      [{ result: undefined }, /is not finished/],
      [{ replaces: true }, /is not finished/],
      [{ files: { words: '0'.repeat(64) } }, /words is damaged \(its SHA-256 is not/],
    ];
    for (const [about, message] of cases) {
      const run = freshPath();
      saved(run, 'own', about);
      if (message) assert.throws(() => wordsOf(run), { name: 'UserError', message });
      else assert.equal(wordsOf(run), 'own');
    }
  });

  test('is read whole, also while another takes its place', () => {
    for (const files of [{}, { files: undefined }]) {
      const run = freshPath();
      saved(run, 'old', files);
      saved(`${run}.new`, 'new', files);
      const found: unknown[] = [];
      const both = openFinished(run, parse, (opened) => {
        found.push(opened.files.json('words'));
        if (found.length === 1) {
          renameSync(run, `${run}.old`);
          renameSync(`${run}.new`, run);
        }
        return [found.at(-1), opened.files.json('words')];
      });
      assert.deepEqual(both, ['new', 'new']);
    }
  });

  test('says of what it read which bytes they were', () => {
    const run = freshPath();
    saved(run, 'own');
    const hashes = openFinished(run, parse, ({ files, about }) => {
      assert.deepEqual(files.hashesRead(), {});
      files.json('words');
      assert.deepEqual(files.hashesRead(), about.files);
      return files.hashesRead();
    });
    assert.equal(hashes.words.length, 64);
  });
});

describe('a run that a killed process has left beside its path', () => {
  const listed = (run: string) => readdirSync(folder).filter((name) => join(folder, name).startsWith(run));

  test('is brought back: the complete update, else the run before', () => {
    for (const isComplete of [true, false]) {
      const run = freshPath();
      saved(`${run}.${ENDED}`, 'before');
      saved(`${run}.update`, 'update', isComplete ? {} : { result: null });
      assert.equal(wordsOf(run), isComplete ? 'update' : 'before');
      assert.ok(existsSync(run));
      assert.equal(listed(run).length, 2);
    }
  });

  test('is not a file or an unfinished run of such a name, nor what was never displaced', () => {
    const run = freshPath();
    saved(`${run}.update`, 'update');
    saved(`${run}.npy.${ENDED}`, 'other');
    assert.equal(placeOf(run), run);
    saved(`${run}.${ENDED}`, 'before', { result: null });
    rmSync(`${run}.update`, { recursive: true });
    assert.equal(placeOf(run), run);
    assert.ok(!existsSync(run));
  });

  test('is not where a link by the name of a displaced run leads', () => {
    const [run, other] = [freshPath(), freshPath()];
    saved(other, 'of somebody else');
    symlinkSync(other, `${run}.${ENDED}`);
    assert.equal(placeOf(run), run);
    assert.ok(!existsSync(run));
    assert.deepEqual(displacedRuns(run), []);
    assert.equal(wordsOf(other), 'of somebody else');
  });

  test('is waited for while the process is at work', async () => {
    const run = freshPath();
    saved(run, 'before');
    saved(`${run}.update`, 'update');
    const source = `const fs = require('node:fs');
      fs.renameSync(${JSON.stringify(run)}, ${JSON.stringify(run)} + '.' + process.pid + '-0.0123abcd.tmp');
      console.log('between');
      setTimeout(() => fs.renameSync(${JSON.stringify(`${run}.update`)}, ${JSON.stringify(run)}), 100);`;
    const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    assert.equal(wordsOf(run), 'update');
    assert.deepEqual(await ended, [0, null], 'its own rename was not in vain');
  });
});

test('lists by clusters have one entry for each', () => {
  const result = { k: 3 };
  const order = [2, 0, 1, 3];
  for (const sound of [
    {},
    { ids: [0, 4, 2] },
    { order },
    { ids: null, order: null },
    { order: [0, 1, 2] },
    { result: { ...result, replicates: { clusters: [1, 0.5] } } },
    { result: { ...result, replicates: null } },
  ])
    assert.equal(problemOfLists({ result, ...sound }), null, JSON.stringify(sound));
  for (const [wrong, problem] of [
    [{ ids: [0, 4] }, /2 ids of 3 clusters/],
    [{ ids: [0, 4, 2, 7] }, /4 ids of 3 clusters/],
    [{ ids: [0, 4, 4] }, /the same id/],
    [{ ids: [0, 2 ** 32 + 1, 2] }, /ids is larger than 2147483647/],
    [{ order: [0, 1] }, /order/],
    [{ order: [0, 1, 1] }, /order/],
    [{ order: [0, 1, 7] }, /order/],
    [{ result: { ...result, replicates: { clusters: [1, 1, 1, 1] } } }, /replicates/],
  ] as const)
    assert.match(String(problemOfLists({ result, ...wrong })), problem);
});
