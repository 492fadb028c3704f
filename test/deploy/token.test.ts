// deploy/start-or-resume.sh: which existing token files it accepts. The command that it starts is a stub.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, beforeEach, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-token-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const stub = join(folder, 'stub');
writeFileSync(stub, '#!/bin/sh\necho "$1 $DPMESH_HTTP_TOKEN"\n', { mode: 0o755 });
const run = join(folder, 'run');
const token = `${run}.token`;
beforeEach(() => rmSync(token, { force: true }));

function start(env: Record<string, string> = {}) {
  const { DPMESH_HTTP_TOKEN: _, ...rest } = process.env;
  const args = [resolve('deploy/start-or-resume.sh'), run, 'run.yaml', '--http', '0.0.0.0:9464'];
  const { status, stdout, stderr } = spawnSync('sh', args, {
    env: { ...rest, DPMESH: stub, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}
const assertRejected = () => {
  const { status, stdout, stderr } = start();
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^\S+run\.token does not belong to this user or is readable by others: remove it\n$/);
};

test('a token is generated, readable by its owner only, and kept', () => {
  const { stdout } = start();
  assert.match(stdout, /^coordinator \S{32}\n$/);
  assert.equal(statSync(token).mode & 0o777, 0o600);
  assert.equal(stdout, `coordinator ${readFileSync(token, 'utf8')}`);
  assert.equal(start().stdout, stdout);
  // As the kubelet does at the next start of the pod.
  chmodSync(token, 0o660);
  assert.equal(start().stdout, stdout);
  assert.equal(start({ DPMESH_HTTP_TOKEN: 'mine' }).stdout, 'coordinator mine\n');
});

test('an empty token file of a killed start is replaced', () => {
  writeFileSync(token, '');
  assert.match(start().stdout, /^coordinator \S{32}\n$/);
});

test('a token that others can read or that is a link is rejected', () => {
  writeFileSync(token, 'known');
  chmodSync(token, 0o604);
  assertRejected();
  rmSync(token);
  const elsewhere = join(folder, 'elsewhere');
  writeFileSync(elsewhere, 'known', { mode: 0o600 });
  symlinkSync(elsewhere, token);
  assertRejected();
  rmSync(elsewhere);
  start();
  assert.ok(!existsSync(elsewhere), 'written through a link');
});

test('a token of another user is rejected', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  writeFileSync(token, 'known', { mode: 0o600 });
  chownSync(token, 12345, 12345);
  assertRejected();
});
