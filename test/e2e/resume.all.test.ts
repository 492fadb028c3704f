// The same bytes, whoever computes them: workers that come, go and die, and runs that are killed and resumed.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  assertNoneLeft,
  changedCopy,
  changeRunFile,
  checkpointsOf,
  D,
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  K,
  ofType,
  QUICK,
  refused,
  resultHashes,
  runFileOf,
  scratch,
  sha256,
  spawned,
  start,
  startAndReach,
  startCoordinator,
  trainArgs,
  undisturbedHashes,
  unfinish,
  until,
} from './support.ts';

const [ROWS, EPOCHS] = [1000, 60];
const folder = scratch();
const easy = easyData(folder, 'easy', ROWS);
const FLAGS = [...QUICK, '--no-early-stop', '--max-epochs', EPOCHS, '--checkpoint-every', 0.2];
const path = (name: string) => join(folder, name);

/** A copy of a run that was killed in the middle, together with its workers. */
const half = (name: string) => changedCopy(path('half'), path(name), () => {});

const resumeArgs = (run: string, ...more: (string | number)[]) => [
  ...['resume', run, '--json', '--no-report', '--checkpoint-every', 0.2],
  ...more,
];
const resume = (run: string, ...more: (string | number)[]) => dpmesh(resumeArgs(run, ...more));

function flip(file: string, at = statSync(file).size >> 1): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 4;
  writeFileSync(file, bytes);
}

let expected: string[];
before(async () => {
  expected = await undisturbedHashes(easy.data, path('quiet'), ...FLAGS);
  const { k, epochs } = runFileOf(path('quiet')).result;
  assert.deepEqual([k, epochs], [K, EPOCHS]);
  // Of several workers an idle one may read the shards of a slow one, too.
  assert.equal(ofType(eventsOf(path('quiet')), 'done')[0].rowsRead, 2 * ROWS);
  assert.ok(checkpointsOf(path('quiet')).length <= 3);
  const running = await startAndReach(40, easy.data, path('half'), ...FLAGS);
  await running.killAll();
});

describe('the same bytes', () => {
  test('by a coordinator and workers started separately, one late, one leaving early', async () => {
    const run = path('by-hand');
    const { running: coordinator, address } = await startCoordinator(easy.data, run, ...FLAGS);
    const workerOf = (name: string, root: string) =>
      start(['worker', '--connect', address, '--name', name, '--data-root', root], { cwd: folder });
    const work = (name: string) => {
      const events = eventsOf(run);
      const id = ofType(events, 'worker').find((event) => event.name === name)?.worker ?? '';
      return ofType(events, 'epoch').filter(({ workers }) => workers[id] > 0).length;
    };
    const early = workerOf('early', folder);
    await until('epoch 5', () => epochOf(run) >= 5, coordinator);
    // The run waits for the late one, which does not have the data, so its rows come from the coordinator.
    early.kill('SIGSTOP');
    const late = workerOf('late', run);
    await until('the late one', () => ofType(eventsOf(run), 'worker').length === 2, late);
    early.kill('SIGCONT');
    await until('work of the late one', () => work('late') > 3, coordinator);
    early.kill('SIGTERM');
    const [json, first, second] = [jsonOf(await coordinator.ended), await early.ended, await late.ended];
    for (const { pid } of [coordinator, early, late]) await assertNoneLeft(pid);
    assert.deepEqual([first.code, second.code], [0, 0]);
    assert.equal(json.workers, 2);
    assert.match(first.stderr, /joined as w1; rows come from .*easy\.npy/);
    assert.match(second.stderr, /joined as w2; rows come from the coordinator/);
    const [gone, ...others] = ofType(eventsOf(run), 'worker-gone');
    assert.deepEqual([gone?.worker, gone?.reason, others.length], ['w1', 'said goodbye', 0]);
    assert.deepEqual(resultHashes(run), expected);
  });
});

describe('a run that was killed', () => {
  test('while it wrote a line and a file resumes, its rows from the coordinator, to the same bytes', async () => {
    const run = half('later');
    appendFileSync(join(run, 'events.jsonl'), '{"time":"2026');
    const draft = join(run, 'checkpoints', 'epoch-000099.ckpt.1-1.00000000.tmp');
    writeFileSync(draft, 'half');
    const json = jsonOf(await spawned(resumeArgs(run, '--workers', 1, '--no-shared-files')));
    assert.deepEqual(resultHashes(run), expected);
    assert.equal(json.epochs, EPOCHS);
    assert.ok(!existsSync(draft));
    const [resumed] = ofType(eventsOf(run), 'resume');
    assert.ok(resumed.epoch > 0, JSON.stringify(resumed));
    for (const name of checkpointsOf(run)) assert.ok(Number(name.slice(6, 12)) <= EPOCHS);
  });

  test('resumes from the checkpoint before a damaged one, and from the start without any', async () => {
    const run = half('damaged');
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
    const [run, other] = [half('old'), path('other')];
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
    const [run, second] = [half('mine'), path('second')];
    jsonOf(await dpmesh(trainArgs(easy.data, second, ...QUICK, '--max-epochs', 3, '--seed', 1)));
    unfinish(second, 'labels.npy');
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
    flip(data, statSync(data).size - 500 * 4 * D);
    const kept = checkpointsOf(run);
    for (const shared of ['--shared-files', '--no-shared-files'])
      refused(await resume(run, shared), data, 'block 31 (rows 496 to 511', 'changed');
    assert.deepEqual(checkpointsOf(run), kept);
    assert.ok(!existsSync(join(run, 'labels.npy')));
    rmSync(data);
    refused(await resume(run), data, 'no such file');
  });

  test('resumes with data that have moved, and labels that it did not have; other data are refused', async () => {
    const [before, now, other] = ['before', 'now', 'others'].map((name) => path(`${name}.npy`));
    copyFileSync(easy.data, now);
    const run = half('moved');
    changeRunFile(run, ({ config }) => Object.assign(config, { data: before }));
    refused(await resume(run), before, 'no such file', '--data');
    copyFileSync(easyData(folder, 'other', ROWS, (row) => row.map((value) => 2 * value)).data, other);
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
    for (const name of ['model/model.safetensors', 'mixture/means.npy', 'labels.csv'])
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

  test('cannot be resumed with flags that change the result, by a dpmesh of another format, or where there is no run', async () => {
    const run = path('quiet');
    for (const change of ['--seed 7', '--shards 3', '--likelihood graph', '--schedule paper'])
      refused(await resume(run, ...change.split(' ')), change, 'start a new run');
    refused(await resume(run, '--keys', 'x'), '--keys', '--bind');
    refused(await resume(run, '--backend', 'cpu'), '--backend cpu');
    refused(await resume(path('nowhere')), path('nowhere'), 'run.json');
    const newer = changedCopy(run, path('newer'), (at) =>
      changeRunFile(at, (file) => Object.assign(file, { dpmesh: '99.0.0', format: 99 })),
    );
    refused(await resume(newer), newer, 'has format 99', '99.0.0');
  });
});
