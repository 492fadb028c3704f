// A file system that becomes read-only in the middle of a run, as after an error of its disk.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bytesOfRun,
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  start,
  trainArgs,
  until,
} from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-read-only-'));
process.on('exit', () => {
  if (mounted) spawnSync('umount', ['-l', disk]);
  rmSync(folder, { recursive: true, force: true });
});
const [image, disk] = ['image', 'disk'].map((name) => join(folder, name));
mkdirSync(disk);
writeFileSync(image, Buffer.alloc(16 << 20));
// A tmpfs will not do: the kernel makes it read-only only if nobody has a file open to write, as a run has.
const works = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
const mounted =
  works('mkfs.ext4', '-q', '-F', image) && works('mount', '-o', 'loop,errors=remount-ro', image, disk);

test('a disk that becomes read-only stops no training, and the results come elsewhere', {
  skip: !mounted && 'no ext4 can be mounted here',
}, async () => {
  const { data } = easyData(folder, 'easy', 2000);
  const flags = [...QUICK, '--no-early-stop', '--max-epochs', 60, '--checkpoint-every', 0];
  const [quiet, other] = [join(folder, 'quiet'), join(folder, 'other')];
  jsonOf(await dpmesh(trainArgs(data, quiet, '--workers', 1, ...flags)));
  const run = join(disk, 'run');
  const running = start(trainArgs(data, run, '--workers', 2, ...flags));
  await until('epoch 10', () => epochOf(run) >= 10, running);
  assert.ok(works('mount', '-o', 'remount,abort', disk), 'remount');
  const last = epochOf(run);
  assert.ok(last < 60, 'it was over before');
  await until('the end of training', () => /last epoch/.test(running.stderr()), running);
  await until(
    'an attempt to write the results',
    () => running.stderr().includes('trying again in 2 s'),
    running,
  );
  running.kill('SIGTERM');
  const { code, stderr } = await running.ended;
  assert.equal(code, 130, stderr);
  assert.match(
    stderr,
    /warning: the checkpoint of epoch \d+ is missing in .*: it cannot be written: the file system is read-only; training goes on/,
  );
  assert.match(stderr, /warning: .*events\.jsonl cannot be written: .*; events wait in memory/);
  assert.match(stderr, /warning: .* cannot be written: the file system is read-only; trying again in 1 s/);
  assert.match(stderr, /dpmesh resume \S+/);
  assert.ok(!existsSync(join(run, 'labels.npy')));
  assert.equal(ofType(eventsOf(run), 'done').length, 0);
  const refused = await dpmesh(['resume', run]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /read-only; --out ELSEWHERE goes on there/);
  jsonOf(await dpmesh(['resume', run, '--out', other, '--json']));
  assert.deepEqual(bytesOfRun(other), bytesOfRun(quiet));
});
