import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { easyData, scratch } from '../e2e/support.ts';

/** A program that uses the library. */

const folder = scratch();
const { data } = easyData(folder, 'easy', 300);
const library = pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href;

/** Reports what is other than before in this process once every function has been called, then ends as the last argument says. */
const PROGRAM = `
const [library, data, run, end] = process.argv.slice(2);
const listeners = () => Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));
const values = () => {
  const found = {};
  for (const key of Reflect.ownKeys(globalThis)) found[String(key)] = globalThis[key];
  return found;
};
values();
const before = [listeners(), values()];
const { cut, evaluate, openRun, predict, resume, synth, train } = await import(library);
const short = { splitMergeEvery: 3, batchSize: 16, workers: 1 };
const { labels } = await train({ data, out: run, maxEpochs: 20, ...short });
await resume({ run, maxEpochs: 22, workers: 1 });
await predict({ run, data });
await cut({ run, clusters: 1 });
await evaluate({ predicted: labels, labels }).catch(() => {});
await (await openRun(run)).draw();
await synth({ points: 100 });
const after = [listeners(), values()];
const changed = Object.keys(after[1]).filter((key) => !key.startsWith('__zod') && !Object.is(after[1][key], before[1][key]));
console.log(JSON.stringify({ before: before[0], after: after[0], changed }));
if (end === 'throw') throw new Error('mine');
if (end === 'reject') Promise.reject(new Error('mine'));
`;

test('the library leaves nothing behind in the process that uses it, and that ends as it would without', () => {
  const program = join(folder, 'program.mjs');
  writeFileSync(program, PROGRAM);
  for (const end of ['throw', 'reject']) {
    const args = [program, library, data, join(folder, `run-${end}`), end];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: 120_000,
    });
    assert.equal(status, 1, stderr.slice(-2000));
    assert.ok(stderr.includes('Error: mine') && stderr.length < 1000, stderr.slice(0, 2000));
    const { before, after, changed } = JSON.parse(stdout);
    assert.deepEqual(after, before);
    assert.deepEqual(changed, []);
  }
});
