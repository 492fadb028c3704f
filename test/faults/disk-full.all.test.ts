// The short form of disk-full.ts: a disk that fills up during a run, or becomes read-only, as after a disk error.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  preloading,
  QUICK,
  resultHashes,
  scratch,
  start,
  startAndReach,
  trainArgs,
  undisturbedHashes,
  until,
} from '../e2e/support.ts';

const works = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
const mounted: string[] = [];
// Registered before scratch(), whose hook removes the folder: hooks run in this order.
after(() => {
  for (const at of mounted) works('umount', '-l', at);
});
const folder = scratch();
const { data } = easyData(folder, 'easy', 600);

function mount(name: string, ...args: string[]): [string, boolean] {
  const at = join(folder, name);
  mkdirSync(at);
  const done = works('mount', ...args, at);
  if (done) mounted.push(at);
  return [at, done];
}
const [small, canMount] = mount('small', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs');
// Not a tmpfs: the kernel does not make it read-only while a file is open for writing, as in a run.
const image = join(folder, 'image');
writeFileSync(image, Buffer.alloc(16 << 20));
const isMade = works('mkfs.ext4', '-q', '-F', image);
const [readOnly, canRemount] = isMade
  ? mount('read-only', '-o', 'loop,errors=remount-ro', image)
  : ['', false];

const FLAGS = [...QUICK, '--no-early-stop', '--max-epochs', 60];
let expected: string[];
before(async () => {
  if (canMount || canRemount) expected = await undisturbedHashes(data, join(folder, 'quiet'), ...FLAGS);
});

test('a full disk delays the results but loses none', {
  skip: !canMount && 'mount is not allowed here',
}, async () => {
  const run = join(small, 'run');
  const running = await startAndReach(10, data, run, ...FLAGS, '--checkpoint-every', 0.2);
  const ballast = join(small, 'ballast');
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1k', 'count=4000']);
  await until('a second attempt', () => running.stderr().includes('trying again in 2 s'), running);
  rmSync(ballast);
  const ended = await running.ended;
  jsonOf(ended);
  assert.match(ended.stderr, /warning: the checkpoint of epoch \d+ cannot be saved/);
  assert.deepEqual(resultHashes(run), expected);
  assert.deepEqual(
    readdirSync(run, { recursive: true }).filter((name) => String(name).endsWith('.tmp')),
    [],
  );
});

test('a disk that stays full: the reason at once, exit code 75, and the trained state where the service may resume from it', {
  skip: !canMount && 'mount is not allowed here',
}, async () => {
  const [run, state] = [join(small, 'full'), join(folder, 'state')];
  mkdirSync(state);
  const soon = `import timers from 'node:timers/promises';
const { setTimeout: sleep } = timers;
timers.setTimeout = (ms, ...rest) => sleep(ms < 1000 ? ms : ms / 30, ...rest);`;
  // The minute of attempts takes two seconds.
  const env = { STATE_DIRECTORY: state, ...preloading(folder, 'soon', soon) };
  const flags = [...FLAGS, '--checkpoint-every', 1000, '--http', '127.0.0.1:0', '--linger', 600];
  const running = start(trainArgs(data, run, '--workers', 2, ...flags), { env, timeout: 300_000 });
  await until('epoch 10', () => epochOf(run) >= 10, running);
  const ballast = join(small, 'ballast');
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1k', 'count=4000']);
  await until('the last attempt', () => running.stderr().includes('trying again in 30 s'), running);
  await until('the reason', () => /\ndpmesh: \S+ cannot be written/.test(running.stderr()), running);
  assert.match(
    running.stderr(),
    /\ndpmesh: \S+ cannot be written: no space left on the disk; training is complete and saved in \S+\/state\/rescued-[0-9a-f]{8}\/epoch-000060\.ckpt; run dpmesh resume \S+ when/,
  );
  await until('its page to stay', () => running.stderr().includes('stays for 600 s'), running);
  running.kill('SIGTERM');
  const { code, stderr } = await running.ended;
  assert.equal(code, 75, stderr);
  rmSync(ballast);
  const before = eventsOf(run).length;
  jsonOf(await dpmesh(['resume', run, '--no-http', '--no-report', '--json'], { env }));
  assert.deepEqual(ofType(eventsOf(run).slice(before), 'epoch'), []);
  assert.deepEqual(resultHashes(run), expected);
  assert.deepEqual(readdirSync(state), []);
  rmSync(run, { recursive: true });
});

test('training continues on a disk that becomes read-only, and the results can be written elsewhere', {
  skip: !canRemount && 'no ext4 can be mounted here',
}, async () => {
  const [run, other] = [join(readOnly, 'run'), join(folder, 'other')];
  const running = await startAndReach(10, data, run, ...FLAGS, '--checkpoint-every', 0);
  assert.ok(works('mount', '-o', 'remount,abort', readOnly), 'remount');
  const last = epochOf(run);
  assert.ok(last < 60, 'the run ended too early');
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
  const rejected = await dpmesh(['resume', run]);
  assert.equal(rejected.code, 2);
  assert.match(rejected.stderr, /read-only; use --out ELSEWHERE to continue in another directory/);
  jsonOf(await dpmesh(['resume', run, '--out', other, '--no-report', '--json']));
  assert.deepEqual(resultHashes(other), expected);
});
