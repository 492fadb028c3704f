// A coordinator of which the test says every word, and a worker's connection to it.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { decode, encode } from '../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, fromWorker } from '../../proto/messages.ts';
import { bindRouter, type RouterSocket } from '../../proto/sockets.ts';
import { CoordinatorConnection, IdentityMismatch, type Request } from '../../worker/connection.ts';

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

function connectionTo(connect: string, reconnectFor: number) {
  const said: string[] = [];
  const asked: Request[] = [];
  const connection = new CoordinatorConnection(
    { connect, reconnectFor, log: (line) => void said.push(line) },
    { identity: 'wasm/1', backend: 'wasm', host: 'here', pid: 1, name: 'late' },
    (request) => void asked.push(request),
  );
  return { connection, said, asked };
}

describe('a connection to the coordinator', () => {
  test('a worker for which there is no room tries on, and says so once', async () => {
    let hellos = 0;
    const { connection, said } = await connected(({ type }) => {
      if (type === 'ping') return { type: 'who' };
      if (type !== 'hello') return null;
      if (++hellos < 3) return { type: 'refuse', reason: 'there are 1024 workers already', retry: true };
      return { type: 'stop' };
    });
    await connection.done;
    assert.equal(hellos, 3);
    assert.deepEqual(said, ['the coordinator has no room, trying on: there are 1024 workers already']);
  });

  test('a worker that is not known says hello again, as the same one', async () => {
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

  test('one that is refused ends with the reason, and knows whether another backend is wanted', async () => {
    const refusal = { type: 'refuse', reason: 'not you' } as const;
    const refused = async (message: FromCoordinator) =>
      (await connected(({ type }) => (type === 'hello' ? message : null))).connection.done.then(
        () => assert.fail('it was let in'),
        (error: unknown) => error,
      );
    const [plain, other] = [await refused(refusal), await refused({ ...refusal, identity: 'cpu/1' })];
    assert.ok(plain instanceof UserError && !(plain instanceof IdentityMismatch));
    assert.equal(plain.message, 'the coordinator refused this worker: not you');
    assert.ok(other instanceof IdentityMismatch);
    assert.equal(other.identity, 'cpu/1');
  });

  test('what is asked of the worker is handed on, the rest is not; a goodbye ends it', async () => {
    const types: string[] = [];
    const rows: Request = { type: 'rows', request: 0, blocks: [], problem: 'there is no such block' };
    const { connection, asked } = await connected(({ type }) => {
      types.push(type);
      if (type === 'hello') return rows;
      if (type === 'ping') connection.goodbye();
      return type === 'ping' ? { type: 'pong' } : null;
    });
    await connection.done;
    assert.deepEqual(types.slice(0, 2), ['hello', 'ping']);
    assert.deepEqual(asked, [rows]);
  });

  test('where nobody is heard it gives up, and says why', async () => {
    const gone = await bindRouter('tcp://127.0.0.1:*', () => {});
    gone.close();
    const { connection } = connectionTo(gone.address, 500);
    await assert.rejects(connection.done, (error: Error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^no word from tcp:\/\/127\.0\.0\.1:\d+ for 1 s/);
      return true;
    });
  });
});
