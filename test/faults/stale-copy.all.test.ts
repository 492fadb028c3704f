// Workers that have another copy of the data under the coordinator's path: its file is the truth.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  easyData,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  undisturbedHashes,
  until,
} from '../e2e/support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 3000);
const FLAGS = ['--max-epochs', 12, ...QUICK];
/** Another clustering in the second half; the first block is the same. */
const stale = join(folder, 'stale.npy');
copyFileSync(easy.data, stale);
const bytes = readFileSync(stale);
const [half, whole] = [bytes.length - 1500 * 12, bytes.length];
for (let at = half; at < whole; at += 4) bytes.writeFloatLE(100 * Math.sin(at), at);
writeFileSync(stale, bytes);
/** In a process with these options, the other copy lies under the path of the data. */
function withCopy(name: string, data: string, copy: string): { NODE_OPTIONS: string } {
  const preload = join(folder, `${name}.mjs`);
  writeFileSync(
    preload,
    `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { openSync } = fs;
fs.openSync = (path, ...rest) => openSync(path === ${JSON.stringify(data)} ? ${JSON.stringify(copy)} : path, ...rest);
syncBuiltinESMExports();
`,
  );
  return { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` };
}
const STALE = withCopy('stale', easy.data, stale);

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
    const { run, running, address } = await startCoordinator(
      easy.data,
      join(folder, 'second'),
      ...['--no-early-stop', '--max-epochs', 100, ...QUICK],
    );
    const same = await undisturbedHashes(
      easy.data,
      join(folder, 'quiet100'),
      ...['--no-early-stop', '--max-epochs', 100, ...QUICK],
    );
    const good = workerOf(address);
    await until('the first round', () => /rows × /.test(running.stderr()), running);
    const late = workerOf(address, STALE);
    jsonOf(await running.ended);
    await Promise.all([good.ended, late.ended]);
    assert.deepEqual(resultHashes(run), same);
  });
});
