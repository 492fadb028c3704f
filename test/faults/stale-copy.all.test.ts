// Workers that have another copy of the data under the coordinator's path, or data that are replaced: its file is the truth.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  dpmesh,
  easyData,
  eventsOf,
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
    const flags = ['--no-early-stop', '--max-epochs', 100, ...QUICK];
    const { run, running, address } = await startCoordinator(easy.data, join(folder, 'second'), ...flags);
    const same = await undisturbedHashes(easy.data, join(folder, 'quiet100'), ...flags);
    const good = workerOf(address);
    await until('the first round', () => /rows × /.test(running.stderr()), running);
    const late = workerOf(address, STALE);
    jsonOf(await running.ended);
    await Promise.all([good.ended, late.ended]);
    assert.deepEqual(resultHashes(run), same);
  });
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
