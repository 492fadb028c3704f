// Runs on a small disk with more and more free space, so that each write fails in some run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dpmesh, scratch, synth, tempPath } from '../bench/dpmesh.ts';
import { spawnDpmesh, until } from '../bench/processes.ts';
import { checkpointsOf } from '../e2e/run-files.ts';
import { log, report, resultHash, short, skip } from './campaign.ts';

const campaign = {
  name: 'disk-full',
  what: 'a disk that is full at each write of a run (tmpfs of 2 MiB), or becomes read-only (ext4)',
  target: 'no lost labels, clear messages',
};
const disk = join(scratch, 'disk');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0;
if (!mounted) skip(campaign, 'mount is not allowed here');
// Before the scratch folder is removed.
process.prependOnceListener('exit', () => spawnSync('umount', ['-l', disk]));

const { data } = await synth(4, 3000, 3, 1);
const train = (out: string) => [
  ...['train', '--data', data, '--out', out, '--workers', 2],
  ...['--no-early-stop', '--max-epochs', 40, '--checkpoint-every', 0, '--no-report', '--no-http'],
];
const quiet = tempPath('quiet');
await dpmesh(train(quiet));
const expected = resultHash(quiet);
const ballast = join(disk, 'ballast');
const free = () => {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
};

/** Fills the disk except for `left` bytes. A run that writes at the same time may use up the rest. */
function fill(left: number): void {
  try {
    writeFileSync(ballast, Buffer.alloc(Math.max(0, free() - left)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

const problems: string[] = [];
let [finished, rejected, elsewhere] = [0, 0, 0];
// From no free space to enough for a complete run, in steps of some pages.
const step = short ? 64 << 10 : 16 << 10;
for (let left = 0; left <= 512 << 10; left += step) {
  const dir = join(disk, 'run');
  fill(left);
  const running = spawnDpmesh(train(dir));
  let over = false;
  void running.ended.then(() => {
    over = true;
  });
  await until('the results or an end', () => over || running.stderr().includes('trying again in 2 s'));
  rmSync(ballast);
  const { code, stderr } = await running.ended;
  const last = stderr.trim().split('\n').at(-1)!;
  if (code === 0) {
    finished++;
    if (resultHash(dir) !== expected) problems.push(`${left} bytes: different bytes`);
  } else {
    rejected++;
    if (code !== 75 || !/^dpmesh: .*cannot be written: no space left/.test(last))
      problems.push(`${left} bytes: exit ${code}, ${last}`);
    if (existsSync(dir)) problems.push(`${left} bytes: it left behind ${readdirSync(dir)}`);
  }
  log(`${left >> 10} KiB left: exit ${code}; ${last}`);
  rmSync(dir, { recursive: true, force: true });
}

if (!short) {
  // Full until dpmesh gives up; then a resume from the saved state writes the results elsewhere.
  const dir = join(disk, 'run');
  const running = spawnDpmesh(train(dir));
  await until('a checkpoint', () => existsSync(join(dir, 'checkpoints')));
  fill(4096);
  const { code, stderr } = await running.ended;
  const last = stderr.trim().split('\n').at(-1)!;
  log(`full to the end: exit ${code}; ${last}`);
  const from = /--from (\S+)/.exec(last)?.[1];
  const other = tempPath('elsewhere');
  await dpmesh(['resume', dir, '--out', other, ...(from ? ['--from', from] : [])]);
  if (from) rmSync(from);
  if (code === 75 && resultHash(other) === expected) elsewhere++;
  else problems.push('the results were not written elsewhere');
}
let readOnly = '';
if (!short) {
  // Read-only from some epoch on, as after a disk error. An ext4, because a tmpfs with open files cannot be made read-only.
  const [image, mount] = [tempPath('image'), tempPath('read-only')];
  writeFileSync(image, Buffer.alloc(16 << 20));
  mkdirSync(mount);
  const works = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
  if (works('mkfs.ext4', '-q', '-F', image) && works('mount', '-o', 'loop,errors=remount-ro', image, mount)) {
    process.prependOnceListener('exit', () => spawnSync('umount', ['-l', mount]));
    const dir = join(mount, 'run');
    const running = spawnDpmesh(train(dir));
    // Not every epoch has a checkpoint: one that is due while another is being written is skipped.
    await until('a checkpoint', () => checkpointsOf(dir).some((name) => name >= 'epoch-000010'));
    works('mount', '-o', 'remount,abort', mount);
    const { code, stderr } = await running.ended;
    const last = stderr.trim().split('\n').at(-1)!;
    log(`read-only: exit ${code}; ${last}`);
    const from = /--from (\S+)/.exec(last)?.[1];
    const other = tempPath('elsewhere');
    await dpmesh(['resume', dir, '--out', other, ...(from ? ['--from', from] : [])]);
    if (from) rmSync(from);
    if (code !== 75 || resultHash(other) !== expected)
      problems.push('read-only: the results were not written elsewhere');
    readOnly = '; read-only from epoch 10 on: finished elsewhere';
  } else readOnly = '; read-only: no ext4 can be mounted here';
}
for (const problem of problems) log(problem);
report({
  ...campaign,
  measured: `${finished + rejected} fill levels: ${finished} runs finished with the same bytes once there was space, ${rejected} were rejected at the start and left nothing behind${short ? '' : `; permanently full: ${elsewhere} of 1 finished elsewhere`}${readOnly}; ${problems.length} problems`,
  ok: problems.length === 0,
});
