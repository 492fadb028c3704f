import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { s3Settings } from '../../../data/remote/store.ts';
import { scratchFolder } from '../files.ts';

const { folder, put } = scratchFolder();
mkdirSync(join(folder, '.aws'));
put(
  '.aws/credentials',
  '[default]\naws_access_key_id = ID\naws_secret_access_key=SECRET\n\n# old\n[my.work]\naws_access_key_id=WORK\r\naws_secret_access_key=W=S\naws_session_token=TOKEN\n',
);
put(
  '.aws/config',
  '[default]\nregion = eu-north-1\ns3 =\n  region = no\n[profile my.work]\nregion=us-west-2\nendpoint_url=https://store.example\n[profile sso]\nsso_session = x\nregion = eu-west-1\n',
);
const home = { HOME: folder };
const empty = { HOME: join(folder, 'nobody') };

test('the default profile', () => {
  const { keys, region, endpoint } = s3Settings(home);
  assert.deepEqual(keys, { accessKeyId: 'ID', secretAccessKey: 'SECRET' });
  assert.equal(region, 'eu-north-1');
  assert.equal(endpoint, null);
});

test('a named profile, in both files', () => {
  const { keys, region, endpoint } = s3Settings({ ...home, AWS_PROFILE: 'my.work' });
  assert.deepEqual(keys, { accessKeyId: 'WORK', secretAccessKey: 'W=S', sessionToken: 'TOKEN' });
  assert.equal(region, 'us-west-2');
  assert.equal(endpoint?.href, 'https://store.example/');
});

test('the environment comes first', () => {
  const env = {
    ...home,
    ...{ AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B', AWS_SESSION_TOKEN: 'C' },
    ...{ AWS_REGION: 'r', AWS_ENDPOINT_URL: 'http://a', AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1/x' },
  };
  const { keys, region, endpoint } = s3Settings(env);
  assert.deepEqual(keys, { accessKeyId: 'A', secretAccessKey: 'B', sessionToken: 'C' });
  assert.equal(region, 'r');
  assert.equal(endpoint?.href, 'http://127.0.0.1:1/x');
});

test('none: why, and what to do', () => {
  assert.equal(s3Settings(empty).keys, null);
  assert.match(s3Settings(empty).missing, /AWS_PROFILE/);
  const { keys, missing } = s3Settings({ ...home, AWS_PROFILE: 'sso' });
  assert.equal(keys, null);
  assert.match(missing, /export-credentials --profile sso/);
});

test('settings that cannot be used, without what may be secret', () => {
  const refused = [
    { ...empty, AWS_PROFILE: 'x' },
    { ...empty, AWS_ACCESS_KEY_ID: 'SECRET' },
    { ...empty, AWS_ENDPOINT_URL: 'https://me:SECRET@store.example' },
    { ...empty, AWS_ENDPOINT_URL: 'store.example' },
    { ...empty, AWS_REGION: 'x.example/SECRET' },
    ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'].flatMap((name) =>
      ['SECRET\n', 'SECRET\r\n', 'a SECRET', '\u00e9SECRET'].map((value) => ({
        ...{ ...empty, AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B', AWS_SESSION_TOKEN: 'C' },
        [name]: value,
      })),
    ),
  ];
  for (const env of refused)
    assert.throws(
      () => s3Settings(env),
      (error) => error instanceof UserError && !/SECRET\b(?!_)/.test(error.message.replace('AWS_SECRET', '')),
    );
});
