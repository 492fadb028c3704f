import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { easyData, QUICK, scratch } from '../e2e/support.ts';

const folder = scratch();
const { data, labels } = easyData(folder, 'easy', 600);
const shell = (command: string) => {
  const script = `set -o pipefail; dpmesh() { ${process.execPath} dist/cli/main.js "$@"; }; ${command}`;
  return spawnSync('bash', ['-c', script], { encoding: 'utf8', timeout: 60_000 });
};
const train = (out: string) =>
  `dpmesh train --data ${data} --out ${join(folder, out)} --workers 1 --json --no-report --no-http --max-epochs 3 ${QUICK.join(' ')}`;
/** Asserts that the run directory is complete and has no temporary files. */
function assertComplete(out: string): void {
  const names = readdirSync(join(folder, out), { recursive: true }).map(String);
  assert.ok(names.includes('labels.npy') && names.includes('model/model.safetensors'), names.join());
  assert.deepEqual(
    names.filter((name) => name.endsWith('.tmp')),
    [],
  );
}
const skip = existsSync('/dev/full') ? false : 'there is no /dev/full here';

describe('lost output', () => {
  test('on stdout, to a full disk: an error with exit code 2', { skip }, () => {
    const run = shell(`${train('full')} >/dev/full`);
    assert.equal(run.status, 2, run.stderr);
    assert.match(run.stderr, /^dpmesh: the output on stdout cannot be written: no space left on the disk$/m);
    assertComplete('full');
    const scores = shell(`dpmesh evaluate --pred ${labels} --labels ${labels} >/dev/full`);
    assert.equal(scores.status, 2);
    assert.match(scores.stderr, /^dpmesh: the output on stdout .*\n$/);
  });

  test('on stderr, to a full disk: the run continues', { skip }, () => {
    const run = shell(`${train('mute')} 2>/dev/full`);
    assert.equal(run.status, 0);
    assert.equal(JSON.parse(run.stdout).epochs, 3);
    assertComplete('mute');
  });

  test('to a pipe whose reader has ended: the run continues without a message', () => {
    const run = shell(`${train('head')} 2>&1 | head -1`);
    assert.equal(run.status, 0);
    assert.equal(run.stdout.split('\n').length, 2);
    assertComplete('head');
    const quiet = shell(`${train('gone')} | true`);
    assert.equal(quiet.status, 0);
    assert.doesNotMatch(quiet.stderr, /EPIPE|dpmesh:/);
    assertComplete('gone');
  });
});
