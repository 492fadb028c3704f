import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEarlyFinish } from '../../coordinator/fit/stage.ts';
import { session } from '../../library/session.ts';
import { resolveConfig } from '../../run/config.ts';

test('a session that is interrupted before it begins opens nothing', async () => {
  const unexpected = () => assert.fail('the session has begun');
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
    start: unexpected,
    earlyFinish: createEarlyFinish(),
    signal: AbortSignal.abort(),
    listener: { event: unexpected, log: unexpected, result: unexpected, lingers: unexpected },
  });
  assert.deepEqual(end, { how: 'interrupted', directory: null });
});
