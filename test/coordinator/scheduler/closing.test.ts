import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../bench/processes.ts';
import { startServer } from '../../../coordinator/scheduler/server.ts';
import { encode } from '../../../proto/codec.ts';
import { type FromWorker, PROTOCOL } from '../../../proto/messages.ts';
import { deaf } from '../../proto/deaf.ts';

// Closing used to return at once, and if the process then exited, workers never received their `stop`.
test('close waits up to half a second for a worker that has not read its messages', async () => {
  const blocks = [0, 1, 2, 3];
  const rows = new Float32Array(1 << 22);
  const server = await startServer({
    bind: 'tcp://127.0.0.1:*',
    layout: { rows: rows.length, dim: 1, shards: 1, blockRows: rows.length / 4, seed: '1' },
    file: null,
    readBlocks: async () => rows,
    heartbeatTimeout: 5000,
    emit: () => {},
    log: () => {},
  });
  const worker = await deaf(server.address);
  const say = (message: FromWorker) => worker.say(encode(message).map((frame) => Buffer.from(frame)));
  const about = { protocol: PROTOCOL, identity: 'wasm/1', backend: 'wasm', host: 'here', pid: 1, name: '' };
  say({ type: 'hello', ...about, session: '0'.repeat(32) });
  await server.joined(1);
  // More than the kernel buffers for a connection.
  for (const request of [0, 1, 2]) say({ type: 'fetch', request, blocks });
  await until('the rows', () => server.traffic().sent > 3 * rows.byteLength);
  const startedAt = performance.now();
  await server.close();
  const elapsed = performance.now() - startedAt;
  worker.close();
  assert.ok(elapsed > 400, `closed after ${elapsed.toFixed(0)} ms`);
});
