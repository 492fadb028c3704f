// Limits of the shell under which nothing can run: named in one line, with what to do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { easyData, jsonOf, scratch } from '../e2e/support.ts';

const folder = scratch();
const { data, labels } = easyData(folder, 'easy', 400);
const run = join(folder, 'run');

function underLimit(limit: string, args: string[]) {
  const cwd = mkdtempSync(join(folder, 'cwd-'));
  const script = `ulimit ${limit} && exec "$@"`;
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', script, 'sh', process.execPath, resolve('dist/cli/main.js'), ...args],
    { cwd, encoding: 'utf8', timeout: 60_000 },
  );
  return { code: status, stdout, stderr, left: readdirSync(cwd) };
}

describe('limits', { skip: !existsSync('/proc/self/limits') }, () => {
  const train = ['train', '--data', data, '--out', 'run', '--workers', '2', '--backend', 'wasm'];
  const connect = ['--connect', 'tcp://127.0.0.1:1'];
  const files = [
    train,
    ['coordinator', '--data', data, '--out', 'run'],
    ['worker', ...connect, '--backend', 'wasm'],
    ['launch', '--gpus', 'none', '--cpus', '1', ...connect],
  ];
  for (const args of files)
    for (const limit of args === train ? [22, 30, 42, 60] : [30])
      test(`${args[0]} with ${limit} open files`, () => {
        const { code, stdout, stderr, left } = underLimit(`-n ${limit}`, args);
        assert.deepEqual([code, stdout, left], [2, '', []], stderr);
        assert.match(stderr, /^dpmesh: .*open files.* raise the limit, as with ulimit -n 1024\n$/);
      });

  test('coordinator of 1,000 shards with room for fewer workers', () => {
    const coordinator = ['coordinator', '--data', data, '--out', 'run', '--shards', '1000'];
    const { code, stderr } = underLimit('-n 900', coordinator);
    assert.deepEqual([code, /needs up to 1064 open files/.test(stderr)], [2, true], stderr);
    assert.match(
      underLimit('-n 900', ['doctor', '--json']).stdout,
      /"files","status":"warning".*836 workers/,
    );
  });

  test('address space', () => {
    const trained = [...train, '--out', run, '--max-epochs', '2', '--no-report', '--json'];
    jsonOf(underLimit('-n 1000', trained) as never);
    const space = [
      ...files.filter(([command]) => command !== 'coordinator'),
      ['predict', '--run', run, '--data', data, '--out', 'p.npy'],
    ];
    for (const args of space) {
      const { code, stdout, stderr, left } = underLimit('-v 4000000', args);
      assert.deepEqual([code, stdout, left], [2, '', []], stderr);
      assert.match(stderr, /^dpmesh: WebAssembly .* may have 3\.8 GiB: .* ulimit -v unlimited\n$/);
    }
    // What takes none of it works.
    assert.equal(underLimit('-v 4000000', ['evaluate', '--pred', labels, '--labels', labels]).code, 0);
  });
});
