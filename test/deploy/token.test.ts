// deploy/start-or-resume.sh: whose token it takes over. The command that it starts is played.
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
const says = join(folder, 'says');
writeFileSync(says, '#!/bin/sh\necho "$1 $DPMESH_HTTP_TOKEN"\n', { mode: 0o755 });
const run = join(folder, 'run');
const token = `${run}.token`;
beforeEach(() => rmSync(token, { force: true }));

function start(env: Record<string, string> = {}) {
  const { DPMESH_HTTP_TOKEN: _, ...rest } = process.env;
  const args = [resolve('deploy/start-or-resume.sh'), run, 'run.yaml', '--http', '0.0.0.0:9464'];
  const { status, stdout, stderr } = spawnSync('sh', args, {
    env: { ...rest, DPMESH: says, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}
const refuses = () => {
  const { status, stdout, stderr } = start();
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^\S+run\.token is no token of this user's own.*remove it\n$/);
};

test('one is made, for its owner only, and stays', () => {
  const { stdout } = start();
  assert.match(stdout, /^coordinator \S{32}\n$/);
  assert.equal(statSync(token).mode & 0o777, 0o600);
  assert.equal(stdout, `coordinator ${readFileSync(token, 'utf8')}`);
  assert.equal(start().stdout, stdout);
  // By the kubelet, at the next start of the pod.
  chmodSync(token, 0o660);
  assert.equal(start().stdout, stdout);
  assert.equal(start({ DPMESH_HTTP_TOKEN: 'mine' }).stdout, 'coordinator mine\n');
});

test('a start that was killed left it empty', () => {
  writeFileSync(token, '');
  assert.match(start().stdout, /^coordinator \S{32}\n$/);
});

test('one that others can read, or that is a link, is not taken', () => {
  writeFileSync(token, 'known');
  chmodSync(token, 0o604);
  refuses();
  rmSync(token);
  const elsewhere = join(folder, 'elsewhere');
  writeFileSync(elsewhere, 'known', { mode: 0o600 });
  symlinkSync(elsewhere, token);
  refuses();
  rmSync(elsewhere);
  start();
  assert.ok(!existsSync(elsewhere), 'written through a link');
});

test('nor is one of another user', { skip: process.getuid?.() !== 0 && 'only root can make one' }, () => {
  writeFileSync(token, 'known', { mode: 0o600 });
  chownSync(token, 12345, 12345);
  refuses();
});
