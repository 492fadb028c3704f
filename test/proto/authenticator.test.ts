import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerZap, createAuthenticator } from '../../proto/authenticator.ts';
import { fromZ85, newKeyPair } from '../../proto/keys.ts';

const [one, two] = [newKeyPair().public, newKeyPair().public];
const setUp = () => {
  const log: string[] = [];
  return {
    log,
    authenticator: createAuthenticator('secret', new Map([[one, 'a']]), (line) => void log.push(line)),
  };
};

test('a key on the list has a name; an unknown key is counted, and logged once', () => {
  const { authenticator, log } = setUp();
  assert.equal(authenticator.admit(one, '10.0.0.1'), 'a');
  for (let i = 0; i < 1000; i++) assert.equal(authenticator.admit(two, '10.0.0.2'), null);
  assert.deepEqual(log, [
    `refused a worker at 10.0.0.2: its key ${two.slice(0, 8)}… is not on the list of allowed keys`,
  ]);
  assert.equal(authenticator.refused()['unknown-key'], 1000);
});

test('logs 100 unknown keys, then one line that further ones are only counted', () => {
  const { authenticator, log } = setUp();
  for (let i = 0; i < 5000; i++) authenticator.admit(String(i).padStart(40, '0'), '10.0.0.2');
  assert.equal(log.length, 101);
  assert.match(log[100], /counted, but not logged/);
  assert.equal(authenticator.refused()['unknown-key'], 5000);
});

test('failures with the same reason are logged at powers of ten', () => {
  const { authenticator, log } = setUp();
  for (let i = 0; i < 2500; i++) authenticator.failed('no-key');
  authenticator.failed('not-zeromq');
  assert.deepEqual(
    log.map((line) => line.slice(0, line.indexOf(':'))),
    [1, 10, 100, 1000, 1].map((n) => `refused ${n === 1 ? 'a connection' : `${n} connections`}`),
  );
  assert.equal(authenticator.refused()['no-key'], 2500);
});

test('replacing the list admits new keys, and returns whether a key was removed', () => {
  const { authenticator } = setUp();
  assert.equal(
    authenticator.replace(
      new Map([
        [one, 'a'],
        [two, 'b'],
      ]),
    ),
    false,
  );
  assert.equal(authenticator.admit(two, ''), 'b');
  assert.equal(authenticator.replace(new Map([[two, 'b']])), true);
  assert.equal(authenticator.admit(one, ''), null);
});

test('ZAP: admits only CURVE keys of 32 bytes, in this domain and version', () => {
  const { authenticator } = setUp();
  const request = ['1.0', '7', 'dpmesh', '10.0.0.1', '', 'CURVE', fromZ85(one)!];
  const ask = (change: Record<number, string | Buffer> = {}, length = 7) => {
    const frames = request.slice(0, length).map((frame, i) => Buffer.from(change[i] ?? frame));
    return answerZap(frames, authenticator.admit).slice(2).map(String);
  };
  const rejected = ['300', '', '', ''];
  assert.deepEqual(ask(), ['200', '', 'a', '']);
  assert.deepEqual(ask({ 6: fromZ85(two)! }), rejected);
  assert.deepEqual(ask({ 5: 'PLAIN' }), rejected);
  assert.deepEqual(ask({ 5: 'NULL' }, 6), rejected);
  assert.deepEqual(ask({ 2: 'other' }), rejected);
  assert.deepEqual(ask({ 0: '2.0' }), rejected);
  assert.deepEqual(ask({ 6: fromZ85(one)!.subarray(1) }), rejected);
});
