// Notes on a result and replicates, in whole runs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { generator } from '../../model/random.ts';
import { fitted, ROWS } from '../fitted.ts';
import {
  assertNoneLeft,
  dpmesh,
  easyData,
  eventsOf,
  jsonOf,
  K,
  library,
  ofType,
  patience,
  QUICK,
  refused,
  resultHashes,
  runFileOf,
  scratch,
  start,
  times,
  trainArgs,
  until,
  writeRows,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const easy = easyData(folder, 'easy', ROWS);
const FEW = ['--replicates', 3, '--no-http', ...QUICK] as const;

describe('replicates', () => {
  test('change nothing else, and are said in events and run.json', async () => {
    await fitted('gaussian', path('plain'));
    const plain = runFileOf(path('plain')).result;
    assert.deepEqual([plain.replicates, plain.notes], [null, []]);
    assert.equal('notes' in eventsOf(path('plain')).at(-1)!, false);
    const run = path('with');
    const { replicates } = jsonOf(await dpmesh(trainArgs(easy.data, run, ...FEW)));
    assert.deepEqual(resultHashes(run), resultHashes(path('plain')));
    assert.deepEqual(runFileOf(run).result.replicates, replicates);
    const events = eventsOf(run);
    const done = events.at(-1)!;
    assert.ok(done.type === 'done');
    assert.equal(done.rowsRead, 2 * ROWS, 'they read nothing');
    assert.deepEqual(done.replicates, replicates);
    const { count, k, ks, agreement, clusters } = replicates;
    assert.deepEqual(
      ofType(events, 'replicate').map(({ replicate, of, k }) => [replicate, of, k]),
      [1, 2, 3].flatMap((number) => [
        [number, 3, null],
        [number, 3, ks[number - 1]],
      ]),
    );
    assert.equal(clusters.length, K);
    for (const value of clusters) assert.ok(value > 0.6 && value <= 1, String(clusters));
    assert.equal(count, 3);
    assert.deepEqual(k, [Math.min(...ks), Math.max(...ks)]);
    for (const own of ks) assert.ok(Math.abs(own - K) <= 1, String(ks));
    assert.ok(agreement > 0.8 && agreement <= 1, String(agreement));
  });

  test('Ctrl-C during them keeps the results', async () => {
    const run = path('stopped');
    const args = trainArgs(easy.data, run, '--replicates', 100, '--workers', 2, '--no-http', ...QUICK);
    const running = start(args);
    await until('the second replicate', () => running.stderr().includes('replicate 1 of 100'), running);
    const begun = performance.now();
    process.kill(-running.pid, 'SIGINT');
    const ended = await running.ended;
    assert.ok(performance.now() - begun < 1000 * patience(5));
    await assertNoneLeft(running.pid);
    const result = jsonOf(ended);
    assert.match(ended.stderr, /stopped during the replicates; the results are complete without them/);
    assert.equal(result.replicates, null);
    assert.deepEqual(resultHashes(run), resultHashes(path('plain')));
    assert.equal(eventsOf(run).at(-1)!.type, 'done');
    assert.deepEqual(jsonOf(await dpmesh(['resume', run, '--json'])), {
      ...result,
      out: run,
    });
  });

  test('too many initial clusters for a half are refused', async () => {
    const flags = ['--no-http', '--replicates', 2, '--init-k', 301];
    const says = /--init-k 301 is more than half of the 600 rows .*--replicates/;
    refused(await dpmesh(trainArgs(easy.data, path('wrong'), ...flags)), says);
  });

  test('beside K on the terminal, in the report and in the library', async () => {
    const run = path('shown');
    const args = ['train', '--data', easy.data, '--out', run, '--workers', 2, ...FEW, '--max-epochs', 7];
    const { stdout, code } = await dpmesh(args);
    assert.equal(code, 0);
    const { k, notes, replicates } = runFileOf(run).result;
    const text = /^clusters \(K\) +(\d+) \((3 replicates: \d+(?:–\d+)?, agreement (?:1?\.\d\d))\)$/m.exec(
      stdout,
    )!;
    assert.ok(text, stdout);
    assert.equal(text[1], String(k));
    assert.match(notes[0], /^training ended at --max-epochs 7 while K still changed/);
    assert.ok(stdout.endsWith(notes.map((note: string) => `note: ${note}\n`).join('')), stdout);
    const page = readFileSync(join(run, 'report', 'report.html'), 'utf8');
    assert.ok(page.includes(`<dd id="now-k">${k} <small>(${text[2]})</small></dd>`));
    assert.ok(page.includes(`<li>${notes[0]}</li>`));
    const { openRun } = await library();
    const { result } = await openRun(run);
    assert.deepEqual(result!.replicates, replicates);
    assert.deepEqual(result!.notes, notes);
  });
});

test('notes: K 1 with a column of row numbers; no replicate differs', async () => {
  const { normal } = generator(1n, 'ids');
  writeRows(
    path('ids.npy'),
    times(600, (i) => [normal(), i]),
  );
  const args = trainArgs(path('ids.npy'), path('ids'), '--no-http', '--replicates', 2, ...QUICK);
  const { k, notes, replicates } = jsonOf(await dpmesh(args));
  assert.equal(k, 1);
  assert.match(notes[0], /^K is 1, and column 1 \(counted from 0\) looks like row numbers/);
  assert.deepEqual(replicates, { count: 2, k: [1, 1], ks: [1, 1], agreement: 1, clusters: [1] });
});
