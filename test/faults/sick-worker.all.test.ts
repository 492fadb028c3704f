// A worker whose machine fails it leaves, and the run goes on: with other workers, or when it has been started again. Of workers that
// have another copy of the data, and data that are replaced, the coordinator's file is the truth.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  dpmesh,
  easyData,
  eventsOf,
  freePort,
  jsonOf,
  ofType,
  preloading,
  QUICK,
  refused,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  trainArgs,
  undisturbedHashes,
  until,
} from '../e2e/support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 3000);
const FLAGS = ['--max-epochs', 12, ...QUICK];

/** Environment in which a function of Node.js fails in workers (of this name): every time from call `from` on. */
const failing = (
  name: string,
  module: string,
  what: string,
  from: number,
  error: string,
  worker = 'worker',
) =>
  preloading(
    folder,
    name,
    `import { createRequire } from 'node:module';
const own = createRequire(import.meta.url)('${module}');
const { ${what}: original } = own;
let calls = 0;
const isWorker = process.argv.some((arg) => arg.includes('${worker}'));
own.${what} = (...args) => {
  if (isWorker && ++calls >= ${from}) throw ${error};
  return original(...args);
};`,
  );
/** Environment in which this worker does not start before the file `path` is there. */
const held = (worker: string, path: string) =>
  preloading(
    folder,
    'held',
    `const pause = new Int32Array(new SharedArrayBuffer(4));
if (process.argv.some((arg) => arg.includes('${worker}')))
  while (!fs.existsSync('${path}')) Atomics.wait(pause, 0, 0, 50);`,
  );
const noMemory = "new RangeError('Array buffer allocation failed')";
const readError = "Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' })";

const workerArgs = (address: string, name: string) => [
  ...['worker', '--connect', address, '--data-root', folder, '--backend', 'wasm', '--name', name],
];

/** Another clustering in the second half; the first block is the same. */
const stale = join(folder, 'stale.npy');
const bytes = readFileSync(easy.data);
for (let at = bytes.length - 1500 * 12; at < bytes.length; at += 4)
  bytes.writeFloatLE(100 * Math.sin(at), at);
writeFileSync(stale, bytes);
/** In such a process, the other copy lies under the path of the data. */
const STALE = preloading(
  folder,
  'stale',
  `const { openSync } = fs;
fs.openSync = (path, ...rest) => openSync(path === '${easy.data}' ? '${stale}' : path, ...rest);`,
);

const workerOf = (address: string, env = {}) =>
  start(['worker', '--connect', address, '--data-root', folder, '--backend', 'wasm'], { env });

describe('the same bytes', () => {
  let expected: string[];
  before(async () => {
    expected = await undisturbedHashes(easy.data, join(folder, 'quiet'), ...FLAGS);
  });

  test('beside a worker that runs out of memory', async () => {
    const { run, running, address } = await startCoordinator(easy.data, join(folder, 'memory'), ...FLAGS);
    const env = failing('memory', 'node:crypto', 'createHash', 5, noMemory);
    const sick = await dpmesh(workerArgs(address, 'sick'), { env });
    assert.equal(sick.code, 2);
    assert.match(sick.stderr, /this machine is out of memory: Array buffer allocation failed/);
    const leaves = /worker w1 .* is gone: this machine is out of memory: Array buffer/;
    await until('its leaving', () => leaves.test(running.stderr()), running);
    assert.match(running.stderr(), /no workers left: waiting for one to join/);
    const sound = start(workerArgs(address, 'sound'));
    jsonOf(await running.ended);
    await sound.ended;
    const [gone] = ofType(eventsOf(run), 'worker-gone');
    assert.equal(gone.how, 'exited');
    assert.match(gone.reason, /^this machine is out of memory/);
    assert.deepEqual(resultHashes(run), expected);
  });

  test('beside a local worker that runs out of memory again and again', async () => {
    const run = join(folder, 'local');
    const sound = join(folder, 'goes-on');
    const sick = failing('local', 'node:crypto', 'createHash', 5, noMemory, 'local/1');
    const args = trainArgs(easy.data, run, '--workers', 2, '--backend', 'wasm', ...FLAGS);
    const both = [sick, held('local/0', sound)].map(({ NODE_OPTIONS }) => NODE_OPTIONS);
    const running = start(args, { env: { NODE_OPTIONS: both.join(' ') } });
    // The other worker starts only then, so that the run cannot end before.
    await until('its leaving', () => running.stderr().includes('is gone: '), running);
    writeFileSync(sound, '');
    jsonOf(await running.ended);
    const reasons = ofType(eventsOf(run), 'worker-gone').map(({ reason }) => reason);
    assert.ok(
      reasons.length > 0 && reasons.every((reason) => /out of memory/.test(reason)),
      running.stderr(),
    );
    assert.deepEqual(resultHashes(run), expected);
  });

  test('of a worker that cannot read the file any more: it gets the rows from the coordinator', async () => {
    const { run, running, address } = await startCoordinator(easy.data, join(folder, 'disk'), ...FLAGS);
    const env = failing('disk', 'node:fs', 'readSync', 12, readError);
    const sick = start(workerArgs(address, 'sick'), { env });
    jsonOf(await running.ended);
    assert.equal((await sick.ended).code, 0);
    const [gone] = ofType(eventsOf(run), 'worker-gone');
    assert.match(gone.reason, /easy.*cannot be read: .*input\/output error/);
    assert.deepEqual(resultHashes(run), expected);
  });

  test('though the only worker has another copy', async () => {
    const { run, running, address } = await startCoordinator(easy.data, join(folder, 'sole'), ...FLAGS);
    const worker = workerOf(address, STALE);
    jsonOf(await running.ended);
    assert.equal((await worker.ended).code, 0);
    assert.match(running.stderr(), /gets its rows from the coordinator, .*differs from that of .*easy/);
    assert.match(worker.stderr(), /rows come from the coordinator/);
    const [gone] = ofType(eventsOf(run), 'worker-gone');
    assert.equal(gone.how, 'cut');
    assert.deepEqual(resultHashes(run), expected);
  });

  test('though one of two workers has another copy, and joins when hashes are known', async () => {
    const { run, running, address } = await startCoordinator(easy.data, join(folder, 'second'), ...FLAGS);
    const good = workerOf(address);
    await until('the first round', () => /rows × /.test(running.stderr()), running);
    // It waits for the other, so that the run cannot end before.
    good.kill('SIGSTOP');
    const late = workerOf(address, STALE);
    await until('its joining', () => late.stderr().includes('joined as'), late);
    good.kill('SIGCONT');
    jsonOf(await running.ended);
    await Promise.all([good.ended, late.ended]);
    assert.deepEqual(resultHashes(run), expected);
  });
});

test('a task that fails at every worker ends the run with its error', async () => {
  for (const workers of [1, 2]) {
    const run = join(folder, `bug-${workers}`);
    const bug = "new TypeError('no such thing')";
    const env = failing(`bug-${workers}`, 'node:crypto', 'createHash', 5, bug);
    const args = trainArgs(easy.data, run, '--workers', workers, '--backend', 'wasm', ...FLAGS);
    const { code, stderr } = await dpmesh(args, { env });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /Error: worker w\d: TypeError: no such thing\n +at /);
  }
});

test('a run whose only worker fails again and again ends with its error', async () => {
  const run = join(folder, 'hopeless');
  const env = failing('hopeless', 'node:crypto', 'createHash', 5, noMemory);
  const args = trainArgs(easy.data, run, '--workers', 1, '--backend', 'wasm', ...FLAGS);
  const { code, stderr } = await dpmesh(args, { env });
  assert.equal(code, 2, stderr);
  assert.match(stderr, /this machine is out of memory: Array buffer allocation failed[^\n]*\n$/);
});

test('a worker without a coordinator gives up after --reconnect-for', async () => {
  const address = `tcp://127.0.0.1:${await freePort()}`;
  const ended = await dpmesh(['worker', '--connect', address, '--reconnect-for', 2]);
  assert.equal(ended.code, 2);
  assert.ok(ended.stderr.includes(`no message from ${address} for 2 s`), ended.stderr);
});

test('a file that gets the name of the data between the first and the second worker ends the run', async () => {
  const data = join(folder, 'data.npy');
  copyFileSync(easy.data, data);
  const run = join(folder, 'run');
  // The second process that opens the data does so just after the other copy has got its name, as by `mv`.
  const env = preloading(
    folder,
    'replacing',
    `const { openSync, mkdirSync, existsSync, renameSync } = fs;
let isFirst = true;
fs.openSync = (path, ...rest) => {
  if (path === '${data}' && isFirst && process.argv[1].includes('worker')) {
    isFirst = false;
    try { mkdirSync('${join(folder, 'read-once')}'); }
    catch { if (existsSync('${stale}')) renameSync('${stale}', path); }
  }
  return openSync(path, ...rest);
};`,
  );
  const ended = await dpmesh(trainArgs(data, run, '--workers', 2, ...QUICK), { env });
  assert.ok(!existsSync(stale), 'it was replaced');
  refused(ended, /data\.npy changed while it was being read: start again /);
  assert.ok(!existsSync(run));
});
