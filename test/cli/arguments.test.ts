import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { openRun } from '../../library/open-run.ts';
import { called } from '../e2e/in-process.ts';
import { easyData, jsonOf, QUICK, scratch, trainArgs } from '../e2e/support.ts';

const cwd = scratch();
const { data } = easyData(cwd, 'easy', 300);
const labels = join('run', 'labels.npy');
before(async () => {
  jsonOf(await called(trainArgs(data, join(cwd, 'run'), '--workers', 1, ...QUICK)));
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
