import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  dpmesh,
  easyData,
  jsonOf,
  plainDisk,
  QUICK,
  resultHashes,
  scratch,
  sha256,
  trainArgs,
} from './support.ts';

/** Data and runs on a file system that has no links and no sync, as some of removable disks and of networks. */

const folder = scratch();

test('train, predict and update give what they give elsewhere', async () => {
  const { data } = easyData(folder, 'x', 300);
  const later = easyData(folder, 'later', 200, (row) => row.map((value) => value + 0.01)).data;
  const runs = await Promise.all(
    [{}, { env: plainDisk(folder) }].map(async (how, i) => {
      const at = join(folder, String(i));
      mkdirSync(at);
      cpSync(data, join(at, 'x.npy'));
      const [x, run] = [join(at, 'x.npy'), join(at, 'run')];
      const run2 = join(at, 'updated');
      jsonOf(await dpmesh(trainArgs(x, run, ...QUICK), how));
      const predicted = join(at, 'p.npy');
      assert.equal((await dpmesh(['predict', run, x, '--out', predicted], how)).code, 0);
      jsonOf(await dpmesh(['update', run, '--data', later, '--out', run2, '--json', '--no-report'], how));
      jsonOf(await dpmesh(['update', run, '--data', later, '--in-place', '--json', '--no-report'], how));
      const written = [run, run2].map((run) => ({
        files: readdirSync(run).sort(),
        hashes: resultHashes(run),
      }));
      return { written, predicted: sha256(predicted) };
    }),
  );
  assert.deepEqual(runs[1], runs[0]);
});
