// A run directory or a working directory that is moved, removed or replaced during a run.
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  D,
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  library,
  QUICK,
  type RunningProcess,
  refused,
  resultHashes,
  runFileOf,
  scratch,
  sha256,
  start,
  startAndReach,
  trainArgs,
  undisturbedHashes,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 800);
const flags = ['--workers', 1, '--checkpoint-every', 0, ...QUICK];

const begin = (run: string) => startAndReach(3, easy.data, run, ...ENDLESS, ...flags);

/** It ends with exit code 2 and one line, besides progress. */
async function stops(running: RunningProcess, says: string): Promise<void> {
  const ended = await running.ended;
  refused(ended, says);
  assert.equal(ended.stdout, '');
  assert.doesNotMatch(ended.stderr, /warning/);
}
const isGone = (run: string) => `${run} is no longer the directory that this run began in`;
/** Done to the directory of a run while that stands still: it is not to see a half of it. */
function whileStopped({ pid }: RunningProcess, act: () => void): void {
  process.kill(-pid, 'SIGSTOP');
  act();
  process.kill(-pid, 'SIGCONT');
}

/** All paths below a folder. */
const all = (run: string) => readdirSync(run, { recursive: true }).map(String).sort();

describe('a run whose directory', { concurrency: 2 }, () => {
  test('was removed stops, and does not make it again', async () => {
    const run = join(folder, 'removed');
    const running = await begin(run);
    whileStopped(running, () => rmSync(run, { recursive: true, maxRetries: 20 }));
    await stops(running, isGone(run));
    assert.equal(existsSync(run), false);
  });

  test('was moved and made again by another run leaves that alone', async () => {
    const run = join(folder, 'again');
    const old = await begin(run);
    process.kill(-old.pid, 'SIGSTOP');
    renameSync(run, `${run}-moved`);
    jsonOf(await dpmesh(trainArgs(easy.data, run, '--seed', 2, '--max-epochs', 3, ...flags)));
    const [hashes, files, events] = [resultHashes(run), all(run), eventsOf(run).length];
    process.kill(-old.pid, 'SIGCONT');
    await stops(old, isGone(run));
    assert.deepEqual(resultHashes(run), hashes);
    assert.deepEqual(all(run), files);
    assert.equal(eventsOf(run).length, events);
  });

  test('was moved can be gone on with where it is now', async () => {
    const [run, moved] = [join(folder, 'here'), join(folder, 'there')];
    const running = await begin(run);
    renameSync(run, moved);
    await stops(running, isGone(run));
    const before = epochOf(moved);
    const again = start(['resume', moved, '--workers', 1, '--no-report']);
    await until('another epoch', () => epochOf(moved) > before, again);
    again.kill('SIGINT');
    assert.equal((await again.ended).code, 130);
  });
});

describe('a link made in its directory during a run', { concurrency: 2 }, () => {
  for (const name of ['checkpoints', 'labels.npy'])
    test(`in place of ${name} ends it, and nothing is written elsewhere`, async () => {
      const [run, elsewhere] = [join(folder, `linked-${name}`), join(folder, `elsewhere-${name}`)];
      mkdirSync(elsewhere);
      const precious = join(elsewhere, 'k.svg');
      writeFileSync(precious, 'mine');
      const running = await begin(run);
      whileStopped(running, () => {
        rmSync(join(run, name), { recursive: true, force: true });
        symlinkSync(elsewhere, join(run, name));
      });
      await stops(running, `${join(run, name)} has become a symbolic link`);
      assert.deepEqual(readdirSync(elsewhere), ['k.svg']);
      assert.equal(readFileSync(precious, 'utf8'), 'mine');
    });
});

const { evaluate, openRun, predict, resume, train } = await library();
const FINITE = [...QUICK, '--workers', 1, '--no-early-stop', '--max-epochs', 60, '--checkpoint-every', 0.2];
const path = (name: string) => join(folder, name);

/** A working directory with the data in it. */
function workingDirectory(name: string): string {
  const at = path(name);
  mkdirSync(at);
  copyFileSync(easy.data, join(at, 'x.npy'));
  copyFileSync(easy.labels, join(at, 'y.npy'));
  return at;
}

describe('a working directory that is renamed during a run', () => {
  test('with a relative --out: the run stops, also where another one is in its place, and goes on there', async () => {
    const expected = await undisturbedHashes(easy.data, path('expected'), ...FINITE);
    const [at, moved] = [workingDirectory('work'), path('work-moved')];
    const args = trainArgs('x.npy', 'out', ...FINITE, '--labels', 'y.npy');
    const running = start(args, { cwd: at });
    await until('epoch 10', () => epochOf(join(at, 'out')) >= 10, running);
    process.kill(-running.pid, 'SIGSTOP');
    renameSync(at, moved);
    workingDirectory('work');
    jsonOf(await dpmesh(trainArgs('x.npy', 'out', ...QUICK, '--max-epochs', 3, '--seed', 1), { cwd: at }));
    const hashes = resultHashes(join(at, 'out'));
    process.kill(-running.pid, 'SIGCONT');
    refused(await running.ended, 'dpmesh: out is no longer the directory that this run began in ');
    assert.deepEqual(resultHashes(join(at, 'out')), hashes);
    jsonOf(await dpmesh(['resume', 'out', '--json', '--no-report'], { cwd: moved }));
    assert.deepEqual(resultHashes(join(moved, 'out')), expected);
  });

  test('with relative data only: the run ends as ever, and run.json has the paths that were meant', async () => {
    const [at, run] = [workingDirectory('data'), path('out')];
    const running = start(trainArgs('x.npy', run, ...FINITE, '--labels', 'y.npy'), { cwd: at });
    await until('epoch 10', () => epochOf(run) >= 10, running);
    renameSync(at, path('data-moved'));
    jsonOf(await running.ended);
    assert.deepEqual(resultHashes(run), resultHashes(path('expected')));
    const { config, files } = runFileOf(run);
    assert.deepEqual([config.data, config.labels], [join(at, 'x.npy'), join(at, 'y.npy')]);
    for (const [name, hash] of Object.entries(files)) assert.equal(sha256(join(run, name)), hash, name);
  });
});

describe('a program that changes its working directory', () => {
  test('right after `train` and `predict`, and before it reads the labels', async () => {
    const [at, before] = [workingDirectory('program'), process.cwd()];
    const elsewhere = path('elsewhere');
    mkdirSync(elsewhere);
    const options = { splitMergeEvery: 3, batchSize: 16, workers: 1, maxEpochs: 5, report: false };
    const inFolder = <T>(call: () => T): T => {
      process.chdir(at);
      try {
        return call();
      } finally {
        process.chdir(elsewhere);
      }
    };
    try {
      const run = inFolder(() => train({ ...options, data: 'x.npy', labels: 'y.npy', out: 'out' }));
      const named = inFolder(() => train({ ...options, data: 'x.npy' }));
      const result = await run;
      assert.equal(result.directory, 'out');
      assert.equal(result.labels.length, 800);
      assert.equal((await named).directory, join('runs', 'x'));
      const { config, result: saved } = runFileOf(join(at, 'out'));
      assert.deepEqual(
        [config.data, config.labels, saved.out],
        [...['x.npy', 'y.npy', 'out'].map((name) => join(at, name))],
      );
      const prediction = await inFolder(() => predict({ run: 'out', data: 'x.npy', out: 'p.npy' }));
      assert.deepEqual(prediction.labels, result.labels);
      const opened = await inFolder(() => openRun('out'));
      assert.deepEqual([opened.mixture().dim, opened.directory], [D, 'out']);
      assert.ok([...opened.events()].length);
      const evaluation = inFolder(() => evaluate({ pred: 'p.npy', labels: 'y.npy' }));
      assert.equal((await evaluation).rows, 800);
      await assert.rejects(
        inFolder(() => train({ ...options, data: 'x.npy', out: 'out' })),
        /^UserError: --out out already exists; /,
      );
      const resumed = await inFolder(() => resume({ run: 'out' }));
      assert.deepEqual(resumed.labels, result.labels);
      assert.deepEqual(readdirSync(elsewhere), []);
      assert.ok(existsSync(join(at, 'runs', 'x', 'labels.npy')));
    } finally {
      process.chdir(before);
    }
  });
});
