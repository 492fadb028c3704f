// The built library in this process.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type * as Library from '../../index.ts';
import { assertNoneLeft, D, dpmesh, easyData, library, resultHashes, scratch, start } from './support.ts';

const folder = scratch();
// Of its own: other tests have temporary folders too.
process.env.TMPDIR = mkdtempSync(join(folder, 'tmp-'));
const { AbortError, openRun, predict, resume, synth, train, UserError } = await library();

const easy = easyData(folder, 'easy', 1000);
const rows = { values: easy.rows, columns: D };
/** Enough for a split, and a checkpoint or two. */
const QUICK = { splitMergeEvery: 3, batchSize: 16, report: false, workers: 1, maxEpochs: 12 };
/** Until it is aborted. */
const ENDLESS = { ...QUICK, earlyStop: false, maxEpochs: 1_000_000 };
const path = (name: string) => join(folder, name);

/** Aborts the run in this epoch. */
async function abortedIn(epoch: number, options: Library.TrainOptions): Promise<unknown> {
  const stop = new AbortController();
  try {
    for await (const event of train({ ...options, signal: stop.signal }))
      if (event.type === 'epoch' && event.epoch === epoch) stop.abort('enough');
    return null;
  } catch (error) {
    return error;
  }
}

describe('several runs at once', () => {
  test('have the results of runs alone, and leave nothing behind', async () => {
    const handlers = () => ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit'].map((name) => process.listenerCount(name));
    const handlersBefore = handlers();
    const names = ['a', 'b', 'c'];
    const results = await Promise.all(
      names.map((name, seed) =>
        train({ ...QUICK, data: rows, seed, out: path(name), workers: 1 + (seed % 2) }),
      ),
    );
    for (const [seed, { labels, k, directory }] of results.entries()) {
      assert.equal(labels.length, 1000);
      assert.ok(k > 1, String(k));
      const alone = await train({ ...QUICK, data: easy.data, seed, out: path(`alone-${seed}`) });
      assert.deepEqual(resultHashes(directory), resultHashes(alone.directory));
    }
    assert.deepEqual(readdirSync(tmpdir()), []);
    assert.deepEqual(handlers(), handlersBefore);
    assertNoneLeftOf(process.pid);
  });

  test('one that replaces another: the first one’s labels are gone, and not the second one’s', async () => {
    const options = { ...QUICK, maxEpochs: 2, out: path('replaced'), force: true };
    const first = await train({ ...options, data: rows });
    const second = await train({ ...options, data: { values: easy.rows.subarray(0, D * 500), columns: D } });
    assert.throws(() => first.labels, {
      name: 'UserError',
      message: /replaced or removed since the run ended/,
    });
    assert.equal(second.labels.length, 500);
  });

  test('two that want one directory: the second is refused', async () => {
    const stop = new AbortController();
    const first = train({ ...ENDLESS, data: rows, out: path('wanted'), signal: stop.signal });
    for await (const event of first) if (event.type === 'epoch') break;
    await assert.rejects(async () => train({ ...QUICK, data: rows, out: path('wanted'), force: true }), {
      name: 'UserError',
      message: /in use by another coordinator/,
    });
    stop.abort();
    await assert.rejects(async () => first, { name: 'AbortError' });
  });
});

/** Worker processes are children of this one, in its group. */
function assertNoneLeftOf(parent: number): void {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8')
    .trim()
    .split(/\s+/)
    .filter(Boolean);
  const workers = children.filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('bundled/worker.js'),
  );
  assert.deepEqual(workers, []);
}

describe('events', () => {
  test('a run does not wait for a reader that never comes, stops, or is slow', async () => {
    const options = { ...QUICK, data: rows, seed: 7 };
    const unread = await train({ ...options, out: path('unread') });
    const stopped = train({ ...options, out: path('stopped') });
    for await (const event of stopped) if (event.type === 'epoch') break;
    await stopped;
    const slow = train({ ...options, out: path('slow') });
    const types: string[] = [];
    for await (const { type } of slow) {
      // Only once, or this test would be slow too: the run ends meanwhile.
      if (!types.length) await slow;
      types.push(type);
    }
    assert.deepEqual([types[0], types.at(-1)], ['worker', 'done']);
    const saved = [...(await openRun(path('slow'))).events()].map(({ type }) => type);
    assert.deepEqual(types, saved);
    assert.deepEqual(resultHashes(unread.directory), resultHashes(path('slow')));
  });

  test('a fault reaches the reader and whoever awaits the run, and neither has to do both', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const read = async () => {
      for await (const _ of train({ ...QUICK, data: path('nowhere.npy') }));
    };
    await assert.rejects(read, { name: 'UserError', message: /nowhere\.npy cannot be read: no such file/ });
    await assert.rejects(async () => train({ ...QUICK, data: path('nowhere.npy') }), UserError);
    await new Promise(setImmediate);
    process.off('unhandledRejection', note);
    assert.deepEqual(unhandled, []);
  });

  test('warnings are events', async () => {
    const values = Float32Array.from({ length: 4 * 500 }, (_, i) => (i % 4 === 3 ? 1 : easy.rows[i]));
    const warnings: string[] = [];
    const run = train({ ...QUICK, data: { values, columns: 4 }, out: path('warned'), maxEpochs: 2 });
    for await (const event of run) if (event.type === 'warning') warnings.push(event.message);
    assert.deepEqual(warnings.length, 1, warnings.join());
    assert.match(warnings[0], /^data: dropped 1 constant column \(3, counted from 0\)/);
  });
});

describe('an aborted run', () => {
  test('rejects with the reason and the way on, and resumes with rows in memory to the same bytes', async () => {
    const options = { ...QUICK, data: rows, labels: easy.classes, seed: 3, checkpointEvery: 0 };
    const out = path('aborted');
    const error = await abortedIn(5, { ...options, out });
    assert.ok(error instanceof AbortError);
    assert.deepEqual([error.name, error.code, error.cause], ['AbortError', 'ABORT_ERR', 'enough']);
    assert.match(
      error.message,
      /continue with: resume\(\{ run: '.*aborted', … \}\), passing the same data again$/,
    );
    assert.ok(!existsSync(join(out, 'labels.npy')));
    assert.equal((await openRun(out)).result, null);
    await assert.rejects(predict({ run: out, data: rows }), { name: 'UserError', message: /not finished/ });

    const again = { run: out, labels: easy.classes, workers: 2, report: false };
    for (const missing of [{ data: rows }, { labels: easy.classes }])
      await assert.rejects(async () => resume({ run: out, ...missing }), {
        name: 'UserError',
        message: /in a program's memory: resume it from a program that passes the same (data|labels) again/,
      });
    const other = { values: rows.values.map((value) => value + 1), columns: D };
    await assert.rejects(async () => resume({ ...again, data: other }), {
      name: 'UserError',
      message: /changed since the run began/,
    });
    const resumed = await resume({ ...again, data: rows });
    const whole = await train({ ...options, out: path('whole') });
    assert.deepEqual(resultHashes(out), resultHashes(whole.directory));
    assert.deepEqual(resumed.scores, whole.scores);
    assert.ok(whole.scores.nmi! > 0.3);
  });

  test('one that was aborted before begins nothing', async () => {
    const out = path('never');
    const error = await train({ ...QUICK, data: rows, out, signal: AbortSignal.abort() }).catch(
      (error) => error,
    );
    assert.ok(error instanceof AbortError);
    assert.ok(!existsSync(out));
  });

  test('predict and synth keep a file that appears while they work, without `force`', async () => {
    const [out, labels] = [path('theirs.npy'), path('theirs-y.npy')];
    for (const work of [
      () => predict({ run: path('whole'), data: rows, out }),
      () => synth({ out, labels }),
    ]) {
      const working = work();
      writeFileSync(out, 'theirs');
      await assert.rejects(working, {
        name: 'UserError',
        message: /theirs\.npy cannot be written: a file of that name exists/,
      });
      assert.equal(readFileSync(out, 'utf8'), 'theirs');
      rmSync(out);
    }
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('theirs')),
      [],
    );
  });

  test('arrays in a file that somebody has replaced meanwhile are not read', async () => {
    const [out, labels] = [path('mine.npy'), path('mine-y.npy')];
    const synthetic = await synth({ out, labels, points: 2000 });
    const predicted = await predict({ run: path('whole'), data: rows, out, force: true });
    const refusal = {
      name: 'UserError',
      message: /mine\.npy has been replaced or removed since it was written/,
    };
    assert.throws(() => synthetic.data, refusal);
    assert.equal(predicted.labels.length, 1000);
    const again = await predict({ run: path('whole'), data: rows, out, force: true });
    rmSync(out);
    assert.throws(() => again.labels, refusal);
    assert.equal(synthetic.labels.length, 2000);
  });
});

describe('the page of a run', () => {
  test('outlives the result for as long as it lingers, and can stop the run', async () => {
    const lines: string[] = [];
    const url = () => /watch it at (\S+)/.exec(lines.join('\n'))![1];
    const options = {
      ...QUICK,
      data: rows,
      http: '127.0.0.1:0',
      log: (line: string) => void lines.push(line),
    };
    const stop = new AbortController();
    const run = train({ ...options, out: path('watched'), maxEpochs: 3, linger: 60, signal: stop.signal });
    await run;
    assert.equal((await fetch(new URL('/api/run', url()))).status, 200);
    stop.abort();
    await run.closed;
    await assert.rejects(fetch(new URL('/api/run', url())));

    lines.length = 0;
    const endless = train({ ...options, ...ENDLESS, out: path('stopped-by-http'), http: '127.0.0.1:0' });
    for await (const event of endless) if (event.type === 'epoch') break;
    const headers = { origin: new URL(url()).origin, 'content-type': 'application/json' };
    const answer = await fetch(new URL('/api/stop', url()), { method: 'POST', headers, body: '{}' });
    assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
    const error = await endless.catch((error) => error);
    assert.ok(error instanceof AbortError && !('cause' in error));
  });
});

describe('workers elsewhere', () => {
  test('join by their keys; the list is read again when it is asked for', async () => {
    const keys = path('keys');
    assert.equal((await dpmesh(['keygen', keys, '--workers', 'alice'])).code, 0);
    const lines: string[] = [];
    const log = (line: string) => void lines.push(line);
    const { workers: _, ...options } = QUICK;
    const run = train({
      ...options,
      data: easy.data,
      out: path('bound'),
      bind: 'tcp://127.0.0.1:*',
      keys,
      log,
    });
    run.rereadKeys();
    while (!/listening on/.test(lines.join('\n'))) await new Promise((resolve) => setTimeout(resolve, 20));
    const address = /listening on (\S+);/.exec(lines.join('\n'))![1];
    const key = ['--key', join(keys, 'alice.key')];
    const worker = start(['worker', '--connect', address, ...key, '--data-root', folder]);
    const { k } = await run;
    assert.ok(k > 1);
    assert.equal((await worker.ended).code, 0);
    await assertNoneLeft(worker.pid);
    assert.ok(
      lines.some((line) => /read the list of keys again: 1|key list/.test(line)),
      lines.join('\n'),
    );
  });

  test('options that exclude each other are a UserError', async () => {
    for (const [options, message] of [
      [{ bind: 'tcp://127.0.0.1:*', workers: 2 }, /--bind and --workers exclude each other/],
      [{ bind: 'tcp://*:5555' }, /without encryption or keys/],
      [{ workers: 1.5 }, /--workers 1.5 must be a whole number/],
      [{ http: '0.0.0.0:80' }, /--http-token/],
      [{ seed: 2 ** 60 }, /not exact as a number/],
    ] as const)
      await assert.rejects(async () => train({ data: easy.data, out: path('never'), ...options }), {
        name: 'UserError',
        message,
      });
    assert.ok(!existsSync(path('never')));
  });
});
