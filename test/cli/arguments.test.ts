import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { openRun } from '../../library/open-run.ts';
import { called } from '../e2e/in-process.ts';
import { easyData, scratch } from '../e2e/support.ts';
import { fitted } from '../fitted.ts';

const cwd = scratch();
const { data } = easyData(cwd, 'easy', 300);
const labels = join('run', 'labels.npy');
before(async () => {
  await fitted('gaussian', join(cwd, 'run'));
  cpSync(join(cwd, 'run'), join(cwd, '-odd'), { recursive: true });
});

describe('after --', () => {
  for (const args of [
    ['resume', '--', 'run'],
    ['resume', '--', '-odd'],
    ['finish', '--json', '--', 'run'],
    ['predict', '--out', 'p.npy', '--force', '--', 'run', data],
    ['predict', 'run', '--out', 'p.npy', '--force', '--', data],
    ['cut', '--clusters', '2', '--', 'run'],
    ['plot', '--', '-odd'],
    ['evaluate', '--', labels, labels],
    ['train', '--dry-run', '--', data],
  ])
    test(args.join(' ').replace(cwd, ''), async () => {
      const { code, stderr } = await called(args, cwd);
      assert.equal(code, 0, stderr);
    });

  test('no flag takes a word, and a word is no flag', async () => {
    const says = async (...args: string[]) => (await called(args, cwd)).stderr;
    assert.equal(await says('resume', '--seed', '--', 'run'), 'dpmesh: --seed needs a value\n');
    assert.match(await says('resume', '--', 'run', '--help'), /unexpected argument \.\/--help/);
    assert.match(await says('view', '--', 'nowhere'), /^dpmesh: nowhere is not a run directory/);
  });
});

describe('an address where something is to be written', () => {
  for (const args of [
    ['train', data, '--out', 's3://bucket/run'],
    ['train', data, '--dry-run', '--out', 'S3://bucket/run'],
    ['train', data, '--force', '--out', 'gs://bucket/run'],
    ['coordinator', data, '--out', 's3://bucket/run'],
    ['resume', 'run', '--out', 's3://bucket/run'],
    ['predict', 'run', data, '--out', 's3://user:secret@bucket/p.npy'],
    ['predict', 'run', data, '--out', 'p.npy', '--force', '--soft', 'https://a.b/p.npy?token=secret'],
    ['cut', 'run', '--clusters', '2', '--out', 's3://bucket/c.csv'],
    ['plot', 'run', '--out', 'file:///tmp/pictures'],
    ['synth', '--out', 's3://bucket/x.npy', '--labels', 'y.npy'],
    ['keygen', 's3://bucket/keys'],
  ])
    test(args.join(' ').replaceAll(cwd, ''), async () => {
      const { code, stderr } = await called(args, cwd);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /^dpmesh: .*:\/\/\S+ is an address, and nothing is written to one: [^\n]+\n$/);
      assert.doesNotMatch(stderr, /secret/);
      assert.deepEqual(
        readdirSync(cwd).filter((name) => name.endsWith(':')),
        [],
      );
    });

  test('is refused by the library', async () => {
    const run = await openRun(join(cwd, 'run'));
    await assert.rejects(run.draw({ out: 's3://bucket/pictures' }), {
      name: 'UserError',
      message: /is an address/,
    });
    assert.equal(existsSync('s3:'), false);
  });
});

describe('a flag that is given twice', () => {
  const says = async (...args: string[]) => called(args, cwd);
  writeFileSync(join(cwd, 'abc.csv'), `a,b,c\n${easyRows(60)}`);

  test('adds up, if its value is a list', async () => {
    const dry = ['train', 'abc.csv', '--dry-run', '--json'];
    const { stdout } = await says(...dry, '--drop', 'a', '--drop=c', '--workers', '2', '--workers', '1');
    const { names, workers } = JSON.parse(stdout);
    assert.deepEqual([names, workers], [['b'], 1]);
    const logs = await says('train', 'abc.csv', '--dry-run', '--log', 'b', '--logarithm', '3');
    assert.match(logs.stderr, /--log b,c\n/);
    const all = await says('train', data, '--dry-run', '--gpus', 'all', '--gpus', 'none');
    assert.match(all.stderr, /--gpus all,none/);
    const keys = JSON.parse(
      (await says('keygen', 'keys', '--workers', 'al', '--workers', 'bo', '--json')).stdout,
    );
    assert.deepEqual(
      keys.workers.map(({ name }: { name: string }) => name),
      ['al', 'bo'],
    );
    for (const roots of [
      ['.', '/no/where'],
      ['/no/where', '.'],
    ]) {
      const flags = roots.flatMap((root) => ['--data-root', root]);
      const { stderr } = await says('worker', '--connect', 'tcp://127.0.0.1:1', ...flags);
      assert.match(stderr, /^dpmesh: --data-root \/no\/where does not exist/);
    }
    const connect = ['--connect', 'tcp://127.0.0.1:1', '--connect', 'nowhere'];
    assert.match((await says('worker', ...connect)).stderr, /^dpmesh: --connect nowhere must look/);
  });

  test('has the last value, if that is no list, also of commands of several words', async () => {
    const { stderr } = await says('view', 'run', '--http', '0.0.0.0:1', '--http', '127.0.0.1:x');
    assert.match(stderr, /^dpmesh: --http 127\.0\.0\.1:x/);
  });
});

/** Rows of three columns of positive numbers. */
function easyRows(rows: number): string {
  return Array.from(
    { length: rows },
    (_, i) => `${1 + Math.sin(i) ** 2},${2 + (i % 7)},${3 + Math.cos(i)}\n`,
  ).join('');
}
