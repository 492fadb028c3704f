import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveConfig } from '../../coordinator/config.ts';
import { session } from '../../coordinator/session.ts';

test('a session that is interrupted before it begins opens nothing, and says so', async () => {
  const nothing = () => assert.fail('it has begun');
  const end = await session(await resolveConfig({ data: 'no-such-file.npy' }), {
    bind: 'tcp://127.0.0.1:*',
    mixed: false,
    sharedFiles: true,
    force: false,
    heartbeatTimeout: 5,
    checkpointEvery: 30,
    http: null,
    linger: 0,
    report: false,
    start: nothing,
    signal: AbortSignal.abort(),
    listener: { event: nothing, log: nothing, result: nothing },
  });
  assert.deepEqual(end, { how: 'interrupted', message: 'stopped; nothing was written yet' });
});
