import assert from 'node:assert/strict';
import {
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
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  QUICK,
  type RunningProcess,
  refused,
  resultHashes,
  scratch,
  start,
  startAndReach,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 2000);
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
  for (const [how, displace] of [
    ['was removed', (run: string) => rmSync(run, { recursive: true, maxRetries: 20 })],
    ['was moved', (run: string) => renameSync(run, `${run}-moved`)],
  ] as const) {
    test(`${how} stops, and does not make it again`, async () => {
      const run = join(folder, `alone-${how}`);
      const running = await begin(run);
      whileStopped(running, () => displace(run));
      await stops(running, isGone(run));
      assert.equal(existsSync(run), false);
    });

    test(`${how} and made again by another run leaves that alone`, async () => {
      const run = join(folder, `again-${how}`);
      const old = await begin(run);
      process.kill(-old.pid, 'SIGSTOP');
      displace(run);
      jsonOf(await dpmesh(trainArgs(easy.data, run, '--seed', 2, ...flags)));
      const [hashes, files, events] = [resultHashes(run), all(run), eventsOf(run).length];
      process.kill(-old.pid, 'SIGCONT');
      await stops(old, isGone(run));
      assert.deepEqual(resultHashes(run), hashes);
      assert.deepEqual(all(run), files);
      assert.equal(eventsOf(run).length, events);
    });
  }

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
  for (const name of ['checkpoints', 'model', 'report', 'labels.npy'])
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
