// A coordinator of which the test says every word, and a worker.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../../../proto/codec.ts';
import { type FromCoordinator, fromWorker } from '../../../proto/messages.ts';
import { bindRouter } from '../../../proto/sockets.ts';
import type { Backend } from '../../../worker/compute/backends/backend.ts';
import { Worker } from '../../../worker/worker.ts';

test('a worker for which there is no room tries on, and says so once', async () => {
  let hellos = 0;
  const router = await bindRouter('tcp://127.0.0.1:*', (peer, frames) => {
    const { type } = decode(fromWorker, frames).header;
    const answer = (message: FromCoordinator) => void router.send(peer, encode(message));
    if (type === 'ping') answer({ type: 'who' });
    if (type !== 'hello') return;
    if (++hellos < 3) answer({ type: 'refuse', reason: 'there are 1024 workers already', retry: true });
    else answer({ type: 'stop' });
  });
  const said: string[] = [];
  const worker = new Worker({
    ...{
      connect: router.address,
      backend: { identity: 'wasm/1' } as unknown as Backend,
      backendName: 'wasm',
    },
    ...{ name: 'late', dataRoot: '/', reconnectFor: 10_000, log: (line: string) => void said.push(line) },
  });
  await worker.done;
  assert.equal(hellos, 3);
  assert.deepEqual(said, ['the coordinator has no room, trying on: there are 1024 workers already']);
  router.close();
});
