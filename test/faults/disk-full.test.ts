// The short form of disk-full.ts: a disk that fills up in the middle of a run, or becomes read-only, as after an error of its own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  bytesOfRun,
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  scratch,
  underWay,
  undisturbed,
  until,
} from '../e2e/support.ts';

const works = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
const mounted: string[] = [];
// Before the folder goes, which is done after what was asked for earlier.
after(() => {
  for (const at of mounted) works('umount', '-l', at);
});
const folder = scratch();
const { data } = easyData(folder, 'easy', 2000);

function mount(name: string, ...args: string[]): [string, boolean] {
  const at = join(folder, name);
  mkdirSync(at);
  const done = works('mount', ...args, at);
  if (done) mounted.push(at);
  return [at, done];
}
const [small, canMount] = mount('small', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs');
// A tmpfs will not do: the kernel makes it read-only only if nobody has a file open to write, as a run has.
const image = join(folder, 'image');
writeFileSync(image, Buffer.alloc(16 << 20));
const isMade = works('mkfs.ext4', '-q', '-F', image);
const [readOnly, canRemount] = isMade
  ? mount('read-only', '-o', 'loop,errors=remount-ro', image)
  : ['', false];

const FLAGS = [...QUICK, '--no-early-stop', '--max-epochs', 60];
let expected: string[];
before(async () => {
  if (canMount || canRemount) expected = await undisturbed(data, join(folder, 'quiet'), ...FLAGS);
});

test('a disk that is full delays the results and loses none', {
  skip: !canMount && 'mount is not allowed here',
}, async () => {
  const run = join(small, 'run');
  const running = await underWay(10, data, run, ...FLAGS, '--checkpoint-every', 0.2);
  const ballast = join(small, 'ballast');
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1k', 'count=1000']);
  await until('a second attempt', () => running.stderr().includes('trying again in 2 s'), running);
  rmSync(ballast);
  const ended = await running.ended;
  jsonOf(ended);
  assert.match(ended.stderr, /warning: the checkpoint of epoch \d+ cannot be saved/);
  assert.deepEqual(bytesOfRun(run), expected);
  assert.deepEqual(
    readdirSync(run, { recursive: true }).filter((name) => String(name).endsWith('.tmp')),
    [],
  );
});

test('a disk that becomes read-only stops no training, and the results come elsewhere', {
  skip: !canRemount && 'no ext4 can be mounted here',
}, async () => {
  const [run, other] = [join(readOnly, 'run'), join(folder, 'other')];
  const running = await underWay(10, data, run, ...FLAGS, '--checkpoint-every', 0);
  assert.ok(works('mount', '-o', 'remount,abort', readOnly), 'remount');
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
    /warning: the checkpoint of epoch \d+ cannot be saved in .*: the file system is read-only; training continues/,
  );
  assert.match(stderr, /warning: .*events\.jsonl cannot be written: .*; events are kept in memory/);
  assert.match(stderr, /warning: .* cannot be written: the file system is read-only; trying again in 1 s/);
  assert.match(stderr, /dpmesh resume \S+/);
  assert.ok(!existsSync(join(run, 'labels.npy')));
  assert.equal(ofType(eventsOf(run), 'done').length, 0);
  const refused = await dpmesh(['resume', run]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /read-only; use --out ELSEWHERE to continue in another directory/);
  jsonOf(await dpmesh(['resume', run, '--out', other, '--json']));
  assert.deepEqual(bytesOfRun(other), expected);
});
