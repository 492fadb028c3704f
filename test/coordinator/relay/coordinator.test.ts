// A relay and its coordinator, a scripted one, which refuses it or is started again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRelay } from '../../../coordinator/relay/relay.ts';
import { decode, encode } from '../../../proto/codec.ts';
import { type FromCoordinator, fromWorker } from '../../../proto/messages.ts';
import { bindRouter, type RouterSocket } from '../../../proto/sockets.ts';
import { TASKS } from '../../../tasks/table.ts';
import { IdentityMismatch, openConnection } from '../../../worker/connection.ts';

type Refusal = { reason: string; identity?: string };

/** A relay of a coordinator that refuses all but this identity, and the identities that it has heard. */
async function relayOf(refusal: Refusal) {
  const heard: string[] = [];
  const coordinator: RouterSocket = await bindRouter('tcp://127.0.0.1:*', (peer, frames) => {
    const message = decode(fromWorker, frames).header;
    if (message.type !== 'hello') return;
    heard.push(message.identity);
    const accepted = message.identity === refusal.identity;
    void coordinator.send(peer, encode(accepted ? { type: 'stop' } : { type: 'refuse', ...refusal }));
  });
  const relay = await startRelay({
    ...{
      tasks: TASKS,
      places: [{ connect: coordinator.address }],
      bind: 'tcp://127.0.0.1:*',
      name: 'relay',
      log() {},
    },
    ...{ tasks: TASKS, reconnectFor: 10_000, heartbeatTimeout: 5000 },
  });
  return { relay, heard, close: () => coordinator.close() };
}
const workerOf = (connect: string, identity: string) =>
  openConnection(
    { tasks: TASKS, places: [{ connect }], reconnectFor: 10_000, log() {} },
    () => ({ identity, backend: 'any', host: 'here', pid: 1, name: identity }),
    () => {},
  );

test('the run has another numeric identity: its workers are told, as by the coordinator, and may join with that', async () => {
  const { relay, heard, close } = await relayOf({ reason: 'not yours', identity: 'cpu/1' });
  for (const _ of ['the first', 'the next'])
    await assert.rejects(workerOf(relay.address, 'wasm/1').done, (error) => {
      assert.ok(error instanceof IdentityMismatch);
      assert.equal(error.identity, 'cpu/1');
      return true;
    });
  await workerOf(relay.address, 'cpu/1').done;
  await relay.done;
  assert.deepEqual(heard, ['wasm/1', 'cpu/1']);
  await close();
});

test('it is of another version: it ends and says so', async () => {
  const { relay, close } = await relayOf({ reason: 'it is dpmesh 1, this coordinator is 2' });
  const worker = workerOf(relay.address, 'wasm/1');
  await assert.rejects(relay.done, {
    message: 'the coordinator refused this worker: it is dpmesh 1, this coordinator is 2',
  });
  worker.end();
  await Promise.all([worker.done, close()]);
});

test('a coordinator that is started again hears how many workers it has by then', async () => {
  const heard: (number | undefined)[] = [];
  const coordinator: RouterSocket = await bindRouter('tcp://127.0.0.1:*', (peer, frames) => {
    const message = decode(fromWorker, frames).header;
    if (message.type === 'hello' || message.type === 'workers') heard.push(message.workers);
    // One that is started again does not know it.
    if (heard.length === 2) void coordinator.send(peer, encode({ type: 'who' }));
    if (heard.length === 3) void coordinator.send(peer, encode({ type: 'stop' }));
  });
  const relay = await startRelay({
    ...{
      tasks: TASKS,
      places: [{ connect: coordinator.address }],
      bind: 'tcp://127.0.0.1:*',
      name: 'relay',
      log() {},
    },
    ...{ tasks: TASKS, reconnectFor: 10_000, heartbeatTimeout: 5000 },
  });
  const workers = [workerOf(relay.address, 'wasm/1')];
  while (!heard.length) await sleep(10);
  workers.push(workerOf(relay.address, 'wasm/1'));
  await relay.done;
  assert.deepEqual(heard, [1, 2, 2]);
  await Promise.all([...workers.map(({ done }) => done), coordinator.close()]);
});

test('a round that does not fit its states is refused, and the relay stays', async () => {
  const layout = { rows: 8, dim: 1, shards: 1, blockRows: 8, seed: '0' };
  const round = {
    ...{ type: 'round' as const, term: 1, tasks: [], units: [{ shard: 0, from: 0, to: 0 }], sum: false },
    ...{ uses: [], states: [] },
  };
  const rounds: FromCoordinator[] = [
    { ...round, round: 1, uses: [{ name: 'net', version: 1 }] },
    { ...round, round: 2, tasks: [{ task: 'statistics', diagonal: false, block: 16 }] },
    { ...round, round: 3, units: [{ shard: 7, from: 0, to: 0 }] },
    { ...round, round: 4, sampled: [] },
    { ...round, round: 5, sampled: [8] },
  ];
  const failures: string[] = [];
  const coordinator: RouterSocket = await bindRouter('tcp://127.0.0.1:*', (peer, frames) => {
    const message = decode(fromWorker, frames).header;
    const send = (message: FromCoordinator) => void coordinator.send(peer, encode(message));
    if (message.type === 'hello') send({ type: 'welcome', worker: 'w1', term: 1, file: null, layout });
    else if (message.type === 'failure') failures.push(message.message);
    else return;
    send(rounds[failures.length] ?? { type: 'stop' });
    // More of the round before, which has not ended.
    if (failures.length === 4) send({ ...round, round: 5 });
  });
  const relay = await startRelay({
    ...{ places: [{ connect: coordinator.address }], bind: 'tcp://127.0.0.1:*', name: 'relay', log() {} },
    ...{ tasks: TASKS, reconnectFor: 10_000, heartbeatTimeout: 5000 },
  });
  const worker = workerOf(relay.address, 'wasm/1');
  await Promise.all([relay.done, worker.done]).finally(coordinator.close);
  assert.deepEqual(failures, [
    'state net was never sent',
    'statistics reads the state transform, which is not among those of the round',
    'there is no such unit',
    'it has the rows of other samples than those of its units',
    'it has the rows of samples of some of its units only',
  ]);
});
