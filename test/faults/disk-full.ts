// A run on a small disk that fills up at seeded moments, so that each of its writes is refused some time.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dpmesh, fresh, scratch, synth } from '../../bench/dpmesh.ts';
import { start, until } from '../../bench/processes.ts';
import { checkpointsOf } from '../../bench/run-files.ts';
import { bytesOf, report, say, short, skip } from './fault.ts';

const about = {
  name: 'disk-full',
  what: 'a disk that is full at each write of a run (tmpfs of 1 MiB), or becomes read-only (ext4)',
  asked: 'no lost labels, clear words',
};
const disk = join(scratch, 'disk');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0;
if (!mounted) skip(about, 'mount is not allowed here');
// Before the scratch folder is removed.
process.prependOnceListener('exit', () => spawnSync('umount', ['-l', disk]));

const { data } = await synth(4, 3000, 3, 1);
const train = (out: string) => [
  ...['train', '--data', data, '--out', out, '--workers', 2],
  ...['--no-early-stop', '--max-epochs', 40, '--checkpoint-every', 0, '--no-report', '--no-http'],
];
const quiet = fresh('quiet');
await dpmesh(train(quiet));
const expected = bytesOf(quiet);
const ballast = join(disk, 'ballast');
const free = () => {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
};

/** Fills the disk but for `left` bytes; what a run writes meanwhile may take the last of them. */
function fill(left: number): void {
  try {
    writeFileSync(ballast, Buffer.alloc(Math.max(0, free() - left)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

const problems: string[] = [];
let [finished, refused, elsewhere] = [0, 0, 0];
// From nothing left to enough for the whole run, by the page.
const step = short ? 64 << 10 : 16 << 10;
for (let left = 0; left <= 256 << 10; left += step) {
  const dir = join(disk, 'run');
  fill(left);
  const going = start(train(dir));
  let over = false;
  void going.ended.then(() => {
    over = true;
  });
  await until('the results or an end', () => over || going.stderr().includes('trying again in 2 s'));
  rmSync(ballast);
  const { code, stderr } = await going.ended;
  const last = stderr.trim().split('\n').at(-1)!;
  if (code === 0) {
    finished++;
    if (bytesOf(dir) !== expected) problems.push(`${left} bytes: other bytes`);
  } else {
    refused++;
    if (code !== 2 || !/^dpmesh: .*cannot be written: no space left/.test(last))
      problems.push(`${left} bytes: exit ${code}, ${last}`);
    if (existsSync(dir)) problems.push(`${left} bytes: it left ${readdirSync(dir)}`);
  }
  say(`${left >> 10} KiB left: exit ${code}; ${last}`);
  rmSync(dir, { recursive: true, force: true });
}

if (!short) {
  // Full until patience ends; then the results go elsewhere, from what was saved.
  const dir = join(disk, 'run');
  const going = start(train(dir));
  await until('a checkpoint', () => existsSync(join(dir, 'checkpoints')));
  fill(4096);
  const { code, stderr } = await going.ended;
  const last = stderr.trim().split('\n').at(-1)!;
  say(`full to the end: exit ${code}; ${last}`);
  const from = /--from (\S+)/.exec(last)?.[1];
  const other = fresh('elsewhere');
  await dpmesh(['resume', dir, '--out', other, ...(from ? ['--from', from] : [])]);
  if (from) rmSync(from);
  if (code === 2 && bytesOf(other) === expected) elsewhere++;
  else problems.push('the results did not come elsewhere');
}
let readOnly = '';
if (!short) {
  // Read-only from some epoch on, as after an error of the disk. The kernel takes a tmpfs away from no writer, an ext4 it does.
  const [image, mount] = [fresh('image'), fresh('read-only')];
  writeFileSync(image, Buffer.alloc(16 << 20));
  mkdirSync(mount);
  const works = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
  if (works('mkfs.ext4', '-q', '-F', image) && works('mount', '-o', 'loop,errors=remount-ro', image, mount)) {
    process.prependOnceListener('exit', () => spawnSync('umount', ['-l', mount]));
    const dir = join(mount, 'run');
    const going = start(train(dir));
    // One that is due while the one before is being written is left out: not every epoch has its own.
    await until('a checkpoint', () => checkpointsOf(dir).some((name) => name >= 'epoch-000010'));
    works('mount', '-o', 'remount,abort', mount);
    const { code, stderr } = await going.ended;
    const last = stderr.trim().split('\n').at(-1)!;
    say(`read-only: exit ${code}; ${last}`);
    const from = /--from (\S+)/.exec(last)?.[1];
    const other = fresh('elsewhere');
    await dpmesh(['resume', dir, '--out', other, ...(from ? ['--from', from] : [])]);
    if (from) rmSync(from);
    if (code !== 2 || bytesOf(other) !== expected)
      problems.push('read-only: the results did not come elsewhere');
    readOnly = '; read-only from epoch 10 on: finished elsewhere';
  } else readOnly = '; read-only: no ext4 can be mounted here';
}
for (const problem of problems) say(problem);
report({
  ...about,
  measured: `${finished + refused} fillings: ${finished} runs finished with the same bytes when there was room, ${refused} were refused at the start and left nothing${short ? '' : `; full for good: ${elsewhere} of 1 finished elsewhere`}${readOnly}; ${problems.length} problems`,
  ok: problems.length === 0,
});
