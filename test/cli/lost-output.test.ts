import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { easyData, QUICK, scratch } from '../e2e/support.ts';

const folder = scratch();
const { data, labels } = easyData(folder, 'easy', 600);
const shell = (command: string) =>
  spawnSync(
    'bash',
    ['-c', `set -o pipefail; dpmesh() { ${process.execPath} dist/cli/main.js "$@"; }; ${command}`],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
const train = (out: string) =>
  `dpmesh train --data ${data} --out ${join(folder, out)} --workers 1 --json --no-report --no-http --max-epochs 3 ${QUICK.join(' ')}`;
/** All that a run leaves, and nothing that was begun. */
function assertWhole(out: string): void {
  const names = readdirSync(join(folder, out), { recursive: true }).map(String);
  assert.ok(names.includes('labels.npy') && names.includes('model/model.json'), names.join());
  assert.deepEqual(
    names.filter((name) => name.endsWith('.tmp')),
    [],
  );
}
const skip = existsSync('/dev/full') ? false : 'there is no /dev/full here';

describe('output that nobody gets', () => {
  test('on stdout, to a full disk: said, with exit code 2', { skip }, () => {
    const run = shell(`${train('full')} >/dev/full`);
    assert.equal(run.status, 2, run.stderr);
    assert.match(run.stderr, /^dpmesh: the output on stdout cannot be written: no space left on the disk$/m);
    assertWhole('full');
    const scores = shell(`dpmesh evaluate --pred ${labels} --labels ${labels} >/dev/full`);
    assert.equal(scores.status, 2);
    assert.match(scores.stderr, /^dpmesh: the output on stdout .*\n$/);
  });

  test('on stderr, to a full disk: the run goes on', { skip }, () => {
    const run = shell(`${train('mute')} 2>/dev/full`);
    assert.equal(run.status, 0);
    assert.equal(JSON.parse(run.stdout).epochs, 3);
    assertWhole('mute');
  });

  test('to a reader that has had enough: the run goes on, without a word', () => {
    const run = shell(`${train('head')} 2>&1 | head -1`);
    assert.equal(run.status, 0);
    assert.equal(run.stdout.split('\n').length, 2);
    assertWhole('head');
    const quiet = shell(`${train('gone')} | true`);
    assert.equal(quiet.status, 0);
    assert.doesNotMatch(quiet.stderr, /EPIPE|dpmesh:/);
    assertWhole('gone');
  });
});
