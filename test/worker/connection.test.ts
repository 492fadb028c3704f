// A worker's connection to a scripted coordinator.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { decode, encode } from '../../proto/codec.ts';
import type { WorkerKey } from '../../proto/keys.ts';
import { type FromCoordinator, type FromWorker, fromWorker } from '../../proto/messages.ts';
import { bindRouter, type RouterSocket } from '../../proto/sockets.ts';
import { TASKS } from '../../tasks/table.ts';
import { IdentityMismatch, openConnection, type Request } from '../../worker/connection.ts';
import { exitCodeOf } from '../../worker/trouble.ts';
import { freePort, until } from '../bench/processes.ts';

type Hello = Extract<FromWorker, { type: 'hello' }>;

const routers: RouterSocket[] = [];
after(() => {
  for (const router of routers) router.close();
});

/** A coordinator that answers by this function, and a connection to it. */
async function connected(answer: (message: FromWorker) => FromCoordinator | null) {
  const router = await bindRouter('tcp://127.0.0.1:*', (peer, frames) => {
    const message = answer(decode(fromWorker, frames).header);
    if (message) void router.send(peer, encode(message));
  });
  routers.push(router);
  return connectionTo(router.address, 10_000);
}

function connectionTo(connect: string, reconnectFor: number, key?: WorkerKey) {
  const logged: string[] = [];
  const requests: Request[] = [];
  const connection = openConnection(
    { tasks: TASKS, places: [{ connect, key }], reconnectFor, log: (line) => void logged.push(line) },
    () => ({ identity: 'wasm/1', backend: 'wasm', host: 'here', pid: 1, name: 'late' }),
    (request) => void requests.push(request),
  );
  return { connection, logged, requests };
}

describe('a connection to the coordinator', () => {
  test('a worker that is refused temporarily keeps trying, and logs it once', async () => {
    let hellos = 0;
    const { connection, logged } = await connected(({ type }) => {
      if (type === 'ping') return { type: 'who' };
      if (type !== 'hello') return null;
      if (++hellos < 3) return { type: 'refuse', reason: 'there are 1024 workers already', retry: true };
      return { type: 'stop' };
    });
    await connection.done;
    assert.equal(hellos, 3);
    assert.deepEqual(logged, [
      'the coordinator refuses this worker for now, still trying: there are 1024 workers already',
      'the run is over',
    ]);
  });

  test('says how the run ended, and with which exit code', async () => {
    const ends = [
      ['done', 0, 'the run is done (exit code 0)'],
      ['stopped', 130, 'the run was stopped (exit code 130)'],
      ['failed', 2, 'the run failed (exit code 2)'],
    ] as const;
    for (const [how, code, text] of ends) {
      const { connection, logged } = await connected(() => ({ type: 'stop', ended: { how, code } }));
      await connection.done;
      assert.deepEqual(logged, [text]);
    }
  });

  test('a worker that the coordinator does not know says hello again with the same session', async () => {
    const hellos: Hello[] = [];
    const { connection } = await connected((message) => {
      if (message.type === 'ping') return { type: 'who' };
      if (message.type !== 'hello') return null;
      hellos.push(message);
      return hellos.length < 2 ? { type: 'pong' } : { type: 'stop' };
    });
    await connection.done;
    assert.equal(hellos.length, 2);
    assert.equal(hellos[0].name, 'late');
    assert.deepEqual(hellos[0], hellos[1]);
  });

  test('a worker that cannot read a message says bye and ends, so that another start may read it', async () => {
    const heard: string[] = [];
    const router = await bindRouter('tcp://127.0.0.1:*', (peer, frames) => {
      const { type } = decode(fromWorker, frames).header;
      heard.push(type);
      const round = { type: 'round', term: 1, round: 1, tasks: [{ task: 'of another version' }] };
      if (type === 'hello') void router.send(peer, encode(round as unknown as FromCoordinator));
    });
    routers.push(router);
    const { connection, requests } = connectionTo(router.address, 10_000);
    const error = await connection.done.catch((error) => error);
    assert.match(error.message, /^cannot read a message of the coordinator \(header: .*\): left/);
    assert.equal(exitCodeOf(error), 1);
    assert.deepEqual(requests, []);
    // What was sent before the connection was closed may still be on its way.
    await until('the bye', () => heard.length > 1);
    assert.deepEqual(heard, ['hello', 'bye']);
  });

  test('a refused worker ends with the reason, and the identity of the run if that is the reason', async () => {
    const refusal = { type: 'refuse', reason: 'not you' } as const;
    const refused = async (message: FromCoordinator) =>
      (await connected(({ type }) => (type === 'hello' ? message : null))).connection.done.then(
        () => assert.fail('it was not refused'),
        (error: unknown) => error,
      );
    const [plain, other] = [await refused(refusal), await refused({ ...refusal, identity: 'cpu/1' })];
    assert.ok(plain instanceof UserError && !(plain instanceof IdentityMismatch));
    assert.equal(plain.message, 'the coordinator refused this worker: not you');
    assert.ok(other instanceof IdentityMismatch);
    assert.equal(other.identity, 'cpu/1');
  });

  test('large results wait until they are asked for, and are announced again where the coordinator does not know of them', async () => {
    const heard: FromWorker[] = [];
    let welcomes = 0;
    const welcome = (term: number): FromCoordinator => ({
      ...{ type: 'welcome', worker: 'w1', term, file: null },
      layout: { rows: 10, dim: 1, shards: 2, blockRows: 5, seed: '0' },
    });
    const { connection } = await connected((message) => {
      if (message.type === 'ping') return welcomes < 2 ? welcome(++welcomes && 7) : null;
      if (message.type === 'hello') return null;
      heard.push(message);
      if (message.type === 'ready')
        return heard.filter(({ type }) => type === 'ready').length === 3 ? { type: 'send' } : null;
      return heard.at(-1)!.type === 'results' && heard.length > 4 ? { type: 'stop' } : null;
    });
    const results = (round: number) => ({
      ...{ type: 'results' as const, term: 7, round, done: [[{ shard: round, from: 0, to: 0 }]] },
      ...{ seconds: {}, rowsRead: 0, memory: 0 },
    });
    const numbers = (length: number) => ({ '0/0/x': { shape: [length], data: new Float64Array(length) } });
    connection.sendResults(results(0), numbers(1));
    connection.sendResults(results(1), numbers(2 ** 17));
    await connection.done;
    const [small, ...others] = heard;
    assert.deepEqual(small, results(0));
    const ready = { type: 'ready', term: 7, bytes: 2 ** 20, first: 1 };
    assert.deepEqual(others, [ready, ready, ready, results(1)]);
  });

  test('passes on requests only; goodbye ends the connection', async () => {
    const types: string[] = [];
    const rows: Request = { type: 'rows', request: 0, blocks: [], problem: 'there is no such block' };
    const { connection, requests } = await connected(({ type }) => {
      types.push(type);
      if (type === 'hello') return rows;
      if (type === 'ping') connection.goodbye();
      return type === 'ping' ? { type: 'pong' } : null;
    });
    await connection.done;
    assert.deepEqual(types.slice(0, 2), ['hello', 'ping']);
    assert.deepEqual(requests, [rows]);
  });

  test('gives up if the coordinator is silent, and says why', async () => {
    const { connection } = connectionTo(`tcp://127.0.0.1:${await freePort()}`, 500);
    await assert.rejects(connection.done, (error: Error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^no message from tcp:\/\/127\.0\.0\.1:\d+ for 1 s/);
      return true;
    });
  });
});
