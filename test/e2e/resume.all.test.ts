import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  changedCopy,
  changeRunFile,
  checkpointsOf,
  dpmesh,
  ENDLESS,
  easyData,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  refused,
  resultHashes,
  runFileOf,
  scratch,
  sha256,
  startAndReach,
  undisturbedHashes,
  unfinish,
} from './support.ts';

const EPOCHS = 60;
const folder = scratch();
const easy = easyData(folder, 'easy', 2000);
const FLAGS = [...QUICK, '--no-early-stop', '--max-epochs', EPOCHS, '--checkpoint-every', 0.2];
const path = (name: string) => join(folder, name);

/** A run killed together with its workers in this epoch. */
async function killed(name: string, epoch: number, data = easy.data): Promise<string> {
  const run = path(name);
  const running = await startAndReach(epoch, data, run, ...FLAGS);
  await running.killAll();
  return run;
}

const resume = (run: string, ...more: (string | number)[]) =>
  dpmesh(['resume', run, '--json', '--checkpoint-every', 0.2, ...more]);

function flip(file: string, at = statSync(file).size >> 1): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 4;
  writeFileSync(file, bytes);
}

describe('a run that was killed', { concurrency: 2 }, () => {
  let expected: string[];
  before(async () => {
    expected = await undisturbedHashes(easy.data, path('quiet'), ...FLAGS);
    assert.ok(checkpointsOf(path('quiet')).length <= 3);
  });

  for (const [epoch, workers, ...flags] of [
    [2, 3],
    [25, 1],
    [41, 3, '--no-shared-files'],
  ] as const)
    test(`in epoch ${epoch} resumes with ${workers} workers ${flags} to the same bytes`, async () => {
      const run = await killed(`killed-${epoch}`, epoch);
      // As if it had been killed while writing a line, and a file.
      appendFileSync(join(run, 'events.jsonl'), '{"time":"2026');
      const draft = join(run, 'checkpoints', 'epoch-000099.ckpt.1-1.00000000.tmp');
      // In epoch 2 there may be no checkpoint yet.
      mkdirSync(join(run, 'checkpoints'), { recursive: true });
      writeFileSync(draft, 'half');
      const json = jsonOf(await resume(run, '--workers', workers, ...flags));
      assert.deepEqual(resultHashes(run), expected);
      assert.equal(json.epochs, EPOCHS);
      assert.ok(!existsSync(draft));
      const [resumed] = ofType(eventsOf(run), 'resume');
      assert.ok(resumed.epoch > 0 || epoch === 2, JSON.stringify(resumed));
      for (const name of checkpointsOf(run)) assert.ok(Number(name.slice(6, 12)) <= EPOCHS);
    });

  test('resumes from the checkpoint before a damaged one, and from the start without any', async () => {
    const run = await killed('damaged', 30);
    const newest = checkpointsOf(run).at(-1)!;
    flip(join(run, 'checkpoints', newest));
    const bare = changedCopy(run, path('bare'), () => {});
    const ended = await resume(run, '--workers', 2);
    jsonOf(ended);
    assert.match(ended.stderr, new RegExp(`warning: .*${newest} cannot be used: its checksum`));
    assert.deepEqual(resultHashes(run), expected);
    for (const name of checkpointsOf(bare)) rmSync(join(bare, 'checkpoints', name));
    jsonOf(await resume(bare, '--workers', 2));
    assert.deepEqual(resultHashes(bare), expected);
  });

  test('resumes in another directory, and the old one is unchanged', async () => {
    const [run, other] = [await killed('old', 30), path('other')];
    const old = readdirSync(run, { recursive: true }).sort();
    jsonOf(await resume(run, '--workers', 2, '--out', other));
    assert.deepEqual(resultHashes(other), expected);
    assert.deepEqual(readdirSync(run, { recursive: true }).sort(), old);
    const events = eventsOf(other);
    assert.equal(ofType(events, 'start').length, 1, 'with its history');
    const [resumed] = ofType(events, 'resume');
    const [first] = ofType(events.slice(events.indexOf(resumed)), 'checkpoint');
    assert.equal(first.epoch, resumed.epoch, 'what a kill leaves there can be resumed too');
  });

  test('is not resumed, and loses nothing, with the run.json of another run', async () => {
    const [run, second] = [await killed('mine', 20), path('second')];
    const other = await startAndReach(20, easy.data, second, ...FLAGS, '--seed', 1);
    await other.killAll();
    const own = readFileSync(join(run, 'run.json'));
    copyFileSync(join(second, 'run.json'), join(run, 'run.json'));
    const content = () => checkpointsOf(run).map((name) => sha256(join(run, 'checkpoints', name)));
    const before = content();
    assert.ok(before.length);
    refused(await resume(run), 'checkpoints/epoch-', 'run.json', 'seed is "0", that of run.json is "1"');
    const from = join(second, 'checkpoints', checkpointsOf(second).at(-1)!);
    refused(await resume(run, '--from', from), 'checkpoints/epoch-', 'seed is "0"');
    assert.deepEqual(content(), before);
    writeFileSync(join(run, 'run.json'), own);
    jsonOf(await resume(run, '--workers', 2));
    assert.deepEqual(resultHashes(run), expected);
  });

  test('cannot be resumed while another coordinator has it, or after the data have changed', async () => {
    const data = path('changing.npy');
    copyFileSync(easy.data, data);
    const run = path('changed');
    const running = await startAndReach(10, data, run, ...FLAGS, ...ENDLESS, '--workers', 1);
    refused(await resume(run), run, 'in use by another coordinator');
    await running.killAll();
    flip(data, statSync(data).size - 1000 * 12);
    const kept = checkpointsOf(run);
    for (const shared of ['--shared-files', '--no-shared-files'])
      refused(await resume(run, shared), data, 'block 62 (rows 992 to 1007', 'changed');
    assert.deepEqual(checkpointsOf(run), kept);
    assert.ok(!existsSync(join(run, 'labels.npy')));
    rmSync(data);
    refused(await resume(run), data, 'no such file');
  });

  test('resumes with data that have moved, and labels that it did not have; other data are refused', async () => {
    const [before, now, other] = ['before', 'now', 'others'].map((name) => path(`${name}.npy`));
    copyFileSync(easy.data, before);
    const run = await killed('moved', 30, before);
    renameSync(before, now);
    refused(await resume(run), before, 'no such file', '--data');
    copyFileSync(easyData(folder, 'other', 2000, (row) => row.map((value) => 2 * value)).data, other);
    refused(await resume(run, '--data', other), other, 'changed');
    refused(await resume(run, '--data', now, '--labels', before), before, '--labels');
    const json = jsonOf(await resume(run, '--data', now, '--labels', easy.labels));
    assert.deepEqual(resultHashes(run), expected);
    assert.ok(json.nmi > 0, String(json.nmi));
    const { config } = runFileOf(run);
    assert.deepEqual([config.data, config.labels], [now, easy.labels]);
  });

  test('between training and results: only labels the rows', async () => {
    const run = changedCopy(path('quiet'), path('labelling'), (at) =>
      unfinish(at, 'labels.npy', 'model', 'mixture'),
    );
    jsonOf(await resume(run, '--workers', 2));
    assert.deepEqual(resultHashes(run), expected);
    const events = eventsOf(run);
    const since = events.slice(events.findIndex(({ type }) => type === 'resume'));
    assert.equal(ofType(since, 'epoch').length, 0);
  });

  test('that has finished: reports that, and prints the result again', async () => {
    const run = path('quiet');
    const ended = await resume(run);
    assert.deepEqual(jsonOf(ended), runFileOf(run).result);
    assert.equal(ended.stderr, `${run} is finished: there is nothing to resume\n`);
  });

  test('that has finished, and of which a file is damaged or missing: names that', async () => {
    for (const name of ['model/weights.bin', 'mixture/means.npy', 'labels.csv'])
      for (const [how, damage] of [
        ['it is missing', rmSync],
        ['SHA-256', flip],
      ] as const) {
        const run = changedCopy(path('quiet'), path('damaged'), (at) => damage(join(at, name)));
        const file = join(run, name);
        refused(await resume(run), `${file} is damaged`, how, 'repeat the run');
        refused(await dpmesh(['finish', run]), `${file} is damaged`);
      }
  });

  test('cannot be resumed with flags that change the result, by an older version, or where there is no run', async () => {
    const run = path('quiet');
    for (const change of ['--seed 7', '--shards 3', '--likelihood graph', '--schedule paper'])
      refused(await resume(run, ...change.split(' ')), change, 'start a new run');
    refused(await resume(run, '--keys', 'x'), '--keys', '--bind');
    refused(await resume(run, '--backend', 'cpu'), '--backend cpu');
    refused(await resume(path('nowhere')), path('nowhere'), 'run.json');
    const newer = changedCopy(run, path('newer'), (at) =>
      changeRunFile(at, (file) => Object.assign(file, { dpmesh: '99.0.0' })),
    );
    refused(await resume(newer), newer, '99.0.0');
  });
});
