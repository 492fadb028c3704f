import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  dpmesh,
  easyData,
  jsonOf,
  QUICK,
  resultHashes,
  scratch,
  sha256,
  type TestData,
  trainArgs,
} from '../e2e/support.ts';

/** Runs that take the place of an earlier one and are killed. */

const folder = scratch();
const path = (name: string) => join(folder, name);
const killer = pathToFileURL(join(import.meta.dirname, 'kill-at.mjs')).href;
/** Operations, and one in its first epochs. */
const KILLS = [1, 2, 3, 5, 7, 9, 11, 13, 15, 40];

let data: TestData;
let [old, other]: string[][] = [];
before(async () => {
  data = easyData(folder, 'easy', 300);
  jsonOf(await dpmesh(trainArgs(data.data, path('old'), '--workers', 1, ...QUICK)));
  jsonOf(await dpmesh(trainArgs(data.data, path('other'), '--workers', 1, ...QUICK, '--seed', 5)));
  [old, other] = [resultHashes(path('old')), resultHashes(path('other'))];
});

describe('a run that is killed as it takes the place of an earlier one, with --force', () => {
  test('leaves that one whole, or itself to be resumed', async () => {
    const run = path('run');
    const predicted = path('p.npy');
    const found = { old: 0, other: 0 };
    for (const at of KILLS) {
      rmSync(run, { recursive: true, force: true });
      cpSync(path('old'), run, { recursive: true });
      writeFileSync(join(run, 'notes.txt'), 'mine');
      const env = { DPMESH_KILL_AT: String(at), NODE_OPTIONS: `--import=${killer}` };
      const args = trainArgs(data.data, run, '--workers', 1, ...QUICK, '--seed', 5, '--force');
      const killed = await dpmesh(args, { env, grace: 10 });
      assert.equal(killed.code, null, `operation ${at}: ${killed.stderr}`);
      const again = await dpmesh(['predict', run, data.data, '--out', predicted, '--force']);
      if (again.code === 0) {
        const isOld = resultHashes(run)[0] === old[0];
        found[isOld ? 'old' : 'other']++;
        assert.deepEqual(resultHashes(run), isOld ? old : other, `operation ${at}`);
        assert.equal(sha256(predicted), sha256(join(run, 'labels.npy')));
        continue;
      }
      found.other++;
      assert.match(again.stderr, /is not finished; continue it with: dpmesh resume/, `operation ${at}`);
      assert.equal((await dpmesh(trainArgs(data.data, run))).code, 2, 'not without --force');
      jsonOf(await dpmesh(['resume', run, '--json', '--no-report']));
      assert.deepEqual(resultHashes(run), other, `operation ${at}`);
      assert.ok(existsSync(join(run, 'notes.txt')));
      assert.deepEqual(
        readdirSync(run).filter((name) => name.endsWith('.tmp')),
        [],
      );
    }
    assert.ok(found.old > 0 && found.other > 1, JSON.stringify(found));
  });
});
