import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { isBelowAddress, isRemote, parseAddress, parsePrefix } from '../../../data/remote/address.ts';

test('addresses', () => {
  const s3 = parseAddress('s3://sets/a b/é+(x).npy');
  assert.deepEqual(s3, { name: 's3://sets/a b/é+(x).npy', bucket: 'sets', key: 'a b/é+(x).npy' });
  assert.equal(parseAddress('https://example.com/a/../x.npy').name, 'https://example.com/x.npy');
  assert.equal(parseAddress('http://127.0.0.1:8080/x.npy').name, 'http://127.0.0.1:8080/x.npy');
  for (const path of ['x.npy', '/a/x.npy', 'C:\\x.npy', 'a:b', '-']) assert.ok(!isRemote(path), path);
});

test('what may be a secret is refused, and not repeated', () => {
  for (const address of [
    'https://me:SECRET@example.com/x.npy',
    'https://SECRET@example.com/x.npy',
    'https://example.com/x.npy?X-Amz-Signature=SECRET',
    'https://example.com/x.npy#SECRET',
    's3://me:SECRET@sets/x.npy',
    's3://sets/x.npy?X-Amz-Signature=SECRET',
    'ftp://me:SECRET@example.com/x.npy',
  ])
    assert.throws(
      () => parseAddress(address),
      (error) => error instanceof UserError && !/SECRET/.test(error.message),
      address,
    );
});

test('other addresses that are refused', () => {
  const refused: [string, RegExp][] = [
    ['http://example.com/x.npy', /https/],
    ['http://127.example.com/x.npy', /https/],
    ['ftp://example.com/x.npy', /use s3/],
    ['file:///etc/passwd', /use s3/],
    ['s3://sets', /s3:\/\/BUCKET\/KEY/],
    ['s3://SETS/x', /s3:\/\/BUCKET\/KEY/],
    ['s3://sets/a/../x', /\.\./],
    ['https://example.com/a%2F..%2Fx', /slash/],
    ['https://example.com/a\\x', /slash/],
    ['https://exa mple/x', /not a valid address/],
  ];
  for (const [address, says] of refused) assert.throws(() => parseAddress(address), says, address);
});

test('a worker’s prefix: only what lies below it', () => {
  const cases: [string, string, boolean][] = [
    ['s3://sets', 's3://sets/x.npy', true],
    ['s3://sets/', 's3://sets/a/x.npy', true],
    ['s3://sets/a', 's3://sets/a/x.npy', true],
    ['s3://sets/a/x.npy', 's3://sets/a/x.npy', true],
    ['s3://sets/a', 's3://sets/ab/x.npy', false],
    ['s3://sets', 's3://sets2/x.npy', false],
    ['s3://sets/a', 'https://sets/a/x.npy', false],
    ['https://example.com/a/', 'https://example.com/a/x.npy', true],
    ['https://example.com/a', 'https://example.com/a/../x.npy', false],
    ['https://example.com/a', 'https://example.com/a/%2e%2e/x.npy', false],
    ['https://example.com', 'https://example.com.evil.org/x.npy', false],
    ['https://example.com', 'https://example.com:8443/x.npy', false],
    ['https://example.com', 'https://169.254.169.254/latest/meta-data', false],
  ];
  for (const [root, address, expected] of cases)
    assert.equal(isBelowAddress(root, address), expected, `${address} below ${root}`);
  for (const address of ['https://example.com@evil.org/x', 'https://example.com/a/..%2fx'])
    assert.throws(() => isBelowAddress('https://example.com/a', address), UserError);
  assert.throws(() => parsePrefix('ftp://example.com'), UserError);
});
