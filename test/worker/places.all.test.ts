// A worker with a list of addresses, of scripted coordinators that fall silent.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode, encode } from '../../proto/codec.ts';
import { fromWorker } from '../../proto/messages.ts';
import { bindRouter, type RouterSocket } from '../../proto/sockets.ts';
import { TASKS } from '../../tasks/table.ts';
import { openConnection } from '../../worker/connection.ts';
import { freePort, until } from '../bench/processes.ts';

function connectionTo(addresses: string[], reconnectFor: number) {
  const logged: string[] = [];
  const connection = openConnection(
    {
      tasks: TASKS,
      places: addresses.map((connect) => ({ connect })),
      reconnectFor,
      log: (line) => void (line.startsWith('no answer') || logged.push(line)),
    },
    () => ({ identity: 'wasm/1', backend: 'wasm', host: 'here', pid: 1, name: 'late' }),
    () => {},
  );
  return { connection, logged };
}

/** A coordinator that answers pings, and `hello` with `stop` if its run is over. */
async function place(bind: string, isOver: boolean, heard: (session: string) => void) {
  const router: RouterSocket = await bindRouter(bind, (peer, frames) => {
    const message = decode(fromWorker, frames).header;
    if (message.type === 'hello') heard(message.session);
    const ends = isOver && message.type === 'hello';
    void router.send(peer, encode({ type: ends ? 'stop' : message.type === 'ping' ? 'who' : 'pong' }));
  });
  return router;
}

describe('a worker with a list of addresses', { concurrency: true }, () => {
  test('goes on to the next when one falls silent, and from the last to the first', async () => {
    const sessions: string[][] = [[], [], []];
    const open = (i: number, bind: string, isOver = false) =>
      place(bind, isOver, (session) => sessions[i].push(session));
    const [first, second] = [await open(0, 'tcp://127.0.0.1:*'), await open(1, 'tcp://127.0.0.1:*')];
    const addresses = [first.address, second.address];
    const { connection, logged } = connectionTo(addresses, 60_000);
    await until('a hello', () => sessions[0].length);
    await first.close();
    await until('the next', () => sessions[1].length);
    const again = await open(2, addresses[0], true);
    await second.close();
    await connection.done;
    await again.close();
    assert.equal(new Set(sessions.flat()).size, 1);
    assert.deepEqual(logged, [
      ...[addresses[1], addresses[0]].map((address) => `goes on with ${address}`),
      'the run is over',
    ]);
  });

  test('gives up when none has answered for --reconnect-for', async () => {
    const addresses = [await freePort(), await freePort()].map((port) => `tcp://127.0.0.1:${port}`);
    const { connection } = connectionTo(addresses, 7500);
    await assert.rejects(connection.done, (error: Error) => {
      assert.ok(error.message.startsWith(`no message from ${addresses.join(', ')} for 8 s: nothing`));
      return true;
    });
  });
});
