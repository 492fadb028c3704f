// Runs that are ended early, with results: on a terminal, over HTTP, after a kill; and runs that go on beyond their limit.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { MAIN } from '../bench/processes.ts';
import {
  assertNoneLeft,
  changedCopy,
  checkpointsOf,
  dpmesh,
  ENDLESS,
  easyData,
  embeddedData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  pageUrlOf,
  QUICK,
  refused,
  resultHashes,
  runFileOf,
  scratch,
  start,
  startAndReach,
  startCoordinator,
  trainArgs,
  undisturbedHashes,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 800);
const path = (name: string) => join(folder, name);

const limit = (epochs: number) => ['--no-early-stop', '--max-epochs', epochs, ...QUICK];
const reasonsOf = (run: string) => ofType(eventsOf(run), 'end').map(({ reason }) => reason);

/** A run on a terminal of its own, and what that shows. */
function onTerminal(args: (string | number)[]) {
  const words = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ');
  // In place of the shell, as dash exits with 130 after a Ctrl-C, whatever its child made of it.
  const child = spawn('script', ['-qfec', `exec ${words}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  child.stdout.on('data', (bytes) => {
    shown += bytes;
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  return {
    ended,
    shown: () => shown,
    ctrlC: () => child.stdin.write('\x03'),
    async sees(what: RegExp) {
      while (!what.test(shown)) {
        assert.ok(!isOver, `it ended with: ${shown}`);
        await new Promise((resolve) => child.stdout.once('data', resolve));
      }
    },
  };
}

describe('on a terminal', { concurrency: 2 }, () => {
  test('the first Ctrl-C ends training with results', async () => {
    const run = path('first');
    const terminal = onTerminal(trainArgs(easy.data, run, '--workers', 2, '--no-http', ...ENDLESS, ...QUICK));
    await terminal.sees(/split/);
    terminal.ctrlC();
    await terminal.sees(/training ends after this epoch, .*; Ctrl-C again aborts the run/);
    assert.equal(await terminal.ended, 0, terminal.shown());
    assert.deepEqual(reasonsOf(run), ['asked']);
    const { result } = runFileOf(run);
    assert.ok(result.k > 1);
    assert.equal(result.epochs, epochOf(run));
    assert.ok(existsSync(join(run, 'labels.npy')));
  });

  test('before there is anything to label it stops the run', async () => {
    const terminal = onTerminal(trainArgs(easy.data, path('early'), '--workers', 1, '--init-k', 800));
    await terminal.sees(/choosing 800 clusters/);
    terminal.ctrlC();
    assert.equal(await terminal.ended, 130, terminal.shown());
    assert.ok(!existsSync(join(path('early'), 'labels.npy')));
  });
});

describe('over HTTP', () => {
  test('a run that is paused finishes, and is refused that before it has begun', async () => {
    const run = path('served');
    const flags = ['--http', '127.0.0.1:0', '--no-report', ...ENDLESS, ...QUICK];
    const { running, address } = await startCoordinator(easy.data, run, ...flags);
    const url = await pageUrlOf(running);
    const post = (action: string, headers = {}) => fetch(`${url}api/${action}`, { method: 'POST', headers });
    const early = await post('finish');
    assert.equal(early.status, 409);
    assert.match(await early.text(), /nothing to label yet/);
    assert.equal((await post('finish', { 'sec-fetch-site': 'cross-site' })).status, 403);
    const worker = start(['worker', '--connect', address, '--backend', 'wasm']);
    await until('epochs', () => epochOf(run) >= 5, running);
    assert.equal((await post('pause')).status, 204);
    const answer = await post('finish');
    assert.match(await answer.text(), /training ends after this epoch/);
    const json = jsonOf(await running.ended);
    await worker.ended;
    await assertNoneLeft(running.pid);
    assert.equal(json.epochs, epochOf(run));
    assert.deepEqual(reasonsOf(run), ['asked']);
  });
});

describe('after a kill', () => {
  const run = path('killed');
  before(async () => {
    const running = await startAndReach(20, easy.data, run, ...ENDLESS, ...QUICK, '--checkpoint-every', 0);
    await running.killAll();
  });

  test('finish labels the rows as of the newest checkpoint: as a run that ended there', async () => {
    const [kept, other] = ['kept', 'other'].map((name) => changedCopy(run, path(name), () => {}));
    const json = jsonOf(await dpmesh(['finish', kept, '--json', '--workers', 2, '--no-report']));
    const epoch = Number(checkpointsOf(run).at(-1)!.slice(6, 12));
    assert.equal(json.epochs, epoch);
    assert.equal(ofType(eventsOf(kept), 'epoch').at(-1)!.epoch, Math.max(epoch, epochOf(run)));
    assert.deepEqual(reasonsOf(kept), ['asked']);
    const limited = path('limited');
    assert.deepEqual(resultHashes(kept), await undisturbedHashes(easy.data, limited, ...limit(epoch)));
    jsonOf(
      await dpmesh(['resume', other, '--json', '--max-epochs', epoch + 3, '--workers', 1, '--no-report']),
    );
    assert.deepEqual(reasonsOf(other), ['max-epochs']);
  });

  test('finish needs a checkpoint, and no limit', async () => {
    const bare = changedCopy(run, path('bare'), () => {});
    refused(await dpmesh(['finish', bare, '--max-epochs', 9]), '--max-epochs', 'leave it out');
    rmSync(join(bare, 'checkpoints'), { recursive: true });
    refused(await dpmesh(['finish', bare]), bare, 'no checkpoint', `dpmesh resume ${bare}`);
  });
});

describe('an encoder that would learn for hours', { concurrency: 2 }, () => {
  const { data } = embeddedData(folder, 'rows', 600);
  const flags = [
    ...['--encoder', 'autoencoder', '--encoder-hidden', '24', '--latent', 6, '--encoder-epochs', 100_000],
    ...['--max-epochs', 6, '--checkpoint-every', 0, '--workers', 1],
  ];
  const learned = (run: string) =>
    existsSync(join(run, 'run.json')) ? ofType(eventsOf(run), 'encoder-epoch').length : 0;

  test('ends after its pass when the run is finished, and its latent vectors are clustered', async () => {
    const run = path('encoding');
    const running = start(trainArgs(data, run, '--http', '127.0.0.1:0', ...flags));
    await until('a pass', () => learned(run) >= 2, running);
    const url = await pageUrlOf(running);
    const answer = await fetch(`${url}api/finish`, { method: 'POST' });
    assert.match(await answer.text(), /the encoder ends after this pass/);
    assert.ok(jsonOf(await running.ended).k >= 1);
    assert.deepEqual(reasonsOf(run), ['max-epochs']);
  });

  test('after a kill, finish clusters the codes of the passes that were saved', async () => {
    const run = path('encoding-killed');
    const running = start(trainArgs(data, run, '--no-http', ...flags));
    // Passes take milliseconds; on a busy machine, a checkpoint is durable many passes later.
    const isSaved = () => ofType(eventsOf(run), 'checkpoint').some(({ epoch }) => epoch >= 1);
    await until('a saved pass', () => learned(run) >= 3 && isSaved(), running);
    await running.killAll();
    const before = learned(run);
    assert.ok(jsonOf(await dpmesh(['finish', run, '--json', '--no-report', '--workers', 2])).k >= 1);
    assert.equal(learned(run), before);
  });
});

describe('resume --max-epochs', () => {
  const run = path('short');
  before(async () => {
    await undisturbedHashes(easy.data, run, ...limit(10));
  });

  test('goes on with a finished run, to the bytes of one with that limit from the start', async () => {
    const json = jsonOf(
      await dpmesh(['resume', run, '--json', '--max-epochs', 25, '--workers', 2, '--no-report']),
    );
    assert.equal(json.epochs, 25);
    const expected = await undisturbedHashes(easy.data, path('long'), ...limit(25));
    assert.deepEqual(resultHashes(run), expected);
    assert.equal(runFileOf(run).config.maxEpochs, 25);
    jsonOf(await dpmesh(['evaluate', '--pred', join(run, 'labels.npy'), '--labels', easy.labels, '--json']));
  });

  test('says where it cannot', async () => {
    refused(
      await dpmesh(['resume', run, '--max-epochs', 25]),
      '--max-epochs 25',
      'trained for 25 epochs already',
    );
    const settled = path('settled');
    await undisturbedHashes(easy.data, settled, ...QUICK);
    refused(await dpmesh(['resume', settled, '--max-epochs', 900]), 'settled in epoch', 'change nothing');
    refused(await dpmesh(['resume', run, '--max-epochs', 0]), '--max-epochs 0', 'at least 1');
  });
});
