import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { WriteError } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { retryWrites } from '../../coordinator/fit/write-again.ts';
import { createEventLog, linesOf } from '../../run/event-log.ts';
import { lockDirectory, lockFile } from '../../run/run-lock.ts';

const home = mkdtempSync(join(tmpdir(), 'dpmesh-event-log-'));
after(() => rmSync(home, { recursive: true }));

test('an incomplete last line of any length is truncated before the next is appended', () => {
  for (const [before, kept] of [
    ['', ''],
    ['{"a":1}\n', '{"a":1}\n'],
    ['{"a":1}\n{"b"', '{"a":1}\n'],
    ['{"torn', ''],
    [`{"a":1}\n${'x'.repeat(200_000)}`, '{"a":1}\n'],
  ]) {
    const path = join(home, 'events.jsonl');
    writeFileSync(path, before);
    const log = createEventLog((error) => assert.fail(String(error)));
    log.append('one\n');
    log.open(path);
    log.append('two\n');
    log.close();
    assert.equal(readFileSync(path, 'utf8'), `${kept}one\ntwo\n`);
  }
});

test('an event log is read line by line; an incomplete line and overlong ones are skipped', () => {
  const path = join(home, 'lines.jsonl');
  const lines = ['', 'a', 'ä'.repeat(300_000), '', 'x'.repeat(1 << 20), 'b', 'y'.repeat((1 << 20) - 1), 'c'];
  writeFileSync(path, `${lines.join('\n')}\n${'z'.repeat((1 << 20) + 1)}\n${'z'.repeat(5 << 20)}\nd\nhalf`);
  assert.deepEqual([...linesOf(path)], [...lines, 'd']);
  writeFileSync(path, 'half');
  assert.deepEqual([...linesOf(path)], []);
  assert.deepEqual([...linesOf(join(home, 'none.jsonl'))], []);
});

test('lines that cannot be written are buffered, complete and in order', () => {
  const failures: unknown[] = [];
  const log = createEventLog((error) => failures.push(error));
  log.open('/dev/full');
  log.append('one\n');
  log.append('two\n');
  assert.equal(failures.length, 2);
  assert.ok(failures.every((error) => error instanceof WriteError && /no space left/.test(error.message)));
  const path = join(home, 'later.jsonl');
  log.open(path);
  log.close();
  assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
});

test('a directory is locked by one process at a time, whatever path leads to it', async () => {
  const release = await lockDirectory(home);
  await assert.rejects(lockDirectory(join(home, '.', '')), UserError);
  release();
  (await lockDirectory(home))();
});

test('the lock file of a dead process is taken over, that of a live one is not', () => {
  const folder = mkdtempSync(join(home, 'lock-'));
  writeFileSync(join(folder, 'lock'), '4194999');
  const release = lockFile(folder);
  assert.equal(readFileSync(join(folder, 'lock'), 'utf8'), String(process.pid));
  assert.throws(() => lockFile(folder), UserError);
  release();
  lockFile(folder)();
});

test('failed writes are retried, other failures are not', async () => {
  // The pauses are unref’d timers and do not keep the process alive.
  const alive = setInterval(() => {}, 1000);
  after(() => clearInterval(alive));
  const warnings: string[] = [];
  const failing = (times: number, error: Error) => {
    let count = 0;
    return async () => {
      if (count++ < times) throw error;
      return count;
    };
  };
  const full = new WriteError('labels.npy', 'no space left on the disk');
  const warn = (message: string) => void warnings.push(message);
  assert.equal(await retryWrites(failing(2, full), warn, [0, 0]), 3);
  assert.match(warnings[0], /trying again in 0 s/);
  await assert.rejects(retryWrites(failing(3, full), warn, [0, 0]), full);
  await assert.rejects(retryWrites(failing(1, new UserError('no')), assert.fail, [0]), /^UserError: no$/);
});
