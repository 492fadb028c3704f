import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../../base/user-error.ts';
import { type Server, startServer } from '../../../coordinator/rounds/server.ts';
import { decode, encode, prefixed } from '../../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL } from '../../../proto/messages.ts';
import { connectDealer } from '../../../proto/sockets.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { RunEvent } from '../../../run/events.ts';
import { TASKS } from '../../../tasks/table.ts';
import { until } from '../../bench/processes.ts';
import { deaf } from '../../proto/deaf.ts';
import { fromCoordinator } from '../../proto/support.ts';
import { helloOf, rulesOf } from './rules.ts';

const layout = { rows: 100, dim: 2, shards: 2, blockRows: 25, seed: '5' };
const HELLO = { ...helloOf(4711), identity: 'wasm/4.22.0', why: 'asked for', host: hostname() };
let sessions = 0;
const session = () => (sessions++).toString(16).padStart(32, '0');
const units = [0, 1].map((shard) => ({ shard, from: 0, to: 0 }));
const spec = { tasks: [{ task: 'statistics' as const, diagonal: false, block: 16 }], units };

const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

let server: Server;
let events: RunEvent[];
let logged: string[];
beforeEach(async () => {
  events = [];
  logged = [];
  server = await startServer({
    tasks: rulesOf(['net'], { n: 1 }),
    bind: 'tcp://127.0.0.1:*',
    layout,
    file: { path: '/data/rows.npy', firstBlock: 'ab' },
    readBlocks: async (blocks) => {
      if (blocks.includes(9)) throw new UserError('there is no such block');
      return Float32Array.from(blocks.flatMap((block) => [block, block + 0.5]));
    },
    verify: async () => new UserError('rows.npy is truncated, it is true'),
    heartbeatTimeout: 5000,
    emit: (event) => void events.push(event),
    log: (line) => void logged.push(line),
  });
  const opened = server;
  closing.push(() => void opened.close());
});

/** A worker whose messages the test sends. */
function connect() {
  const inbox: { header: FromCoordinator; tensors: Tensors }[] = [];
  const socket = connectDealer(server.address, (frames) => void inbox.push(decode(fromCoordinator, frames)));
  closing.push(() => socket.close());
  return {
    send: (message: FromWorker, tensors?: Tensors) => void socket.send(encode(message, tensors)),
    close: () => socket.close(),
    raw: (...frames: Buffer[]) => void socket.send(frames),
    silent: async () => {
      await sleep(60);
      return inbox.length === 0;
    },
    async receive<N extends FromCoordinator['type']>(type: N) {
      for (let i = 0; !inbox.length; i++) {
        assert.ok(i < 400, `no ${type} came`);
        await sleep(5);
      }
      const { header, tensors } = inbox.shift()!;
      assert.equal(header.type, type, JSON.stringify(header));
      return { ...(header as Extract<FromCoordinator, { type: N }>), tensors };
    },
  };
}

const present = () => server.members().flatMap(({ worker, state }) => (state === 'up' ? [worker] : []));

async function joined(hello: object = {}) {
  const worker = connect();
  worker.send({ ...HELLO, session: session(), ...hello } as FromWorker);
  const welcome = await worker.receive('welcome');
  return { ...worker, welcome };
}

const results = (
  term: number,
  round: number,
  seconds: Record<string, number> = { statistics: 0.5 },
): FromWorker => ({
  ...{ type: 'results', term, round, seconds, rowsRead: 50, memory: 1000 },
  done: units.map((unit) => [unit]),
});
const answers = prefixed([
  ['0/0', { n: nd(Float64Array.of(1)) }],
  ['1/0', { n: nd(Float64Array.of(2)) }],
]);

describe('the coordinator’s server', () => {
  test('refuses another protocol, and another numeric identity than the first worker’s', async () => {
    const old = connect();
    old.send({ ...HELLO, session: session(), protocol: PROTOCOL + 1, identity: 'other' });
    assert.match(
      (await old.receive('refuse')).reason,
      new RegExp(`\\(protocol ${PROTOCOL + 1}\\), this coordinator is .* \\(protocol ${PROTOCOL}\\)`),
    );
    await joined();
    const other = connect();
    other.send({ ...HELLO, session: session(), identity: 'cpu/1' });
    const refusal = await other.receive('refuse');
    assert.match(refusal.reason, /cpu\/1.*wasm\/4\.22\.0/);
    assert.equal(refusal.identity, 'wasm/4.22.0');
    assert.deepEqual(present(), ['w1']);
  });

  test('reads no more than 20 hellos in ten seconds from one connection', async () => {
    const worker = await joined();
    for (let i = 0; i < 40; i++) worker.send({ ...HELLO, session: session() } as FromWorker);
    for (let i = 1; i < 20; i++) await worker.receive('welcome');
    assert.ok(await worker.silent());
    assert.equal(server.counts().messagesIgnored, 21);
    assert.equal((await joined()).welcome.worker, 'w21');
  });

  test('rejects malformed messages and unknown peers; the round of the others continues', async () => {
    const worker = await joined();
    server.dispatcher.publish('net', { p0: nd(Float32Array.of(1)) });
    const round = server.dispatcher.round(spec);
    const message = await worker.receive('round');
    assert.deepEqual([message.units, Object.keys(message.tensors)], [units, ['net/p0']]);

    const stranger = connect();
    stranger.raw(Buffer.from('GET /'));
    assert.match((await stranger.receive('refuse')).reason, /^malformed message/);
    stranger.send({ ...results(message.term, message.round), done: [] } as FromWorker);
    assert.match((await stranger.receive('refuse')).reason, /^malformed message \(header: done/);
    stranger.send(results(message.term, message.round), answers);
    await stranger.receive('who');
    assert.equal(logged.length, 2);

    worker.send(results(message.term, message.round), answers);
    assert.deepEqual(
      (await round).map(({ tasks: [{ n }] }) => [...n.data]),
      [[1], [2]],
    );
  });

  test('counts no more rows and time than is possible, and nothing of rejected results', async () => {
    const worker = await joined();
    server.dispatcher.publish('net', {});
    const startedAt = performance.now();
    const round = server.dispatcher.round(spec);
    const { round: id, term } = await worker.receive('round');
    const excess = { rowsRead: Number.MAX_SAFE_INTEGER, memory: Number.MAX_SAFE_INTEGER };
    const claims = results(term, id, { statistics: 1e308, moments: 1e308 });
    worker.send({ ...claims, ...excess, round: id + 1 } as FromWorker, answers);
    worker.send({ ...claims, ...excess } as FromWorker, {});
    await worker.receive('refuse');
    assert.deepEqual(server.totals(), { rounds: 0, rowsRead: 0, memory: 0, workers: 1 });
    assert.deepEqual(server.usage(), { tasks: {}, workers: {} });
    const other = await joined();
    await other.receive('round');
    other.send({ ...claims, ...excess } as FromWorker, answers);
    await round;
    const elapsed = (performance.now() - startedAt) / 1000;
    const { tasks, workers } = server.usage();
    assert.ok(tasks.statistics <= elapsed && workers.w2 <= 2 * elapsed, JSON.stringify({ tasks, workers }));
    assert.equal(server.totals().rowsRead, layout.rows);
  });

  test('counts the time of known tasks only', async () => {
    const worker = await joined();
    server.dispatcher.publish('net', {});
    const round = server.dispatcher.round(spec);
    const { round: id, term } = await worker.receive('round');
    worker.send(results(term, id, { constructor: 1, statistics: 1 }), answers);
    await round;
    assert.deepEqual(Object.keys(server.usage().tasks), ['statistics']);
  });

  test('serves rows, or reports the problem', async () => {
    const worker = await joined();
    worker.send({ type: 'fetch', request: 3, blocks: [2, 0] });
    const { request, blocks, problem, tensors } = await worker.receive('rows');
    assert.deepEqual([request, blocks, problem], [3, [2, 0], undefined]);
    assert.deepEqual(
      [tensors.rows.shape, [...tensors.rows.data]],
      [
        [2, 2],
        [2, 2.5, 0, 0.5],
      ],
    );
    worker.send({ type: 'fetch', request: 4, blocks: [9] });
    const failed = await worker.receive('rows');
    assert.deepEqual(
      [failed.request, failed.problem, Object.keys(failed.tensors)],
      [4, 'there is no such block', []],
    );
  });

  test('has the sample for the owners of shards, until other rows are served', async () => {
    const worker = await joined();
    const asked = async (sample: { shard: number; below: number }) => {
      worker.send({ type: 'fetch', request: 5, blocks: [], sample });
      const { request, problem, tensors } = await worker.receive('rows');
      assert.deepEqual([request, problem], [5, undefined]);
      return tensors.rows && [...tensors.rows.data];
    };
    const ofShard1 = { shard: 1, below: 0.5 };
    assert.equal(await asked(ofShard1), undefined);
    server.hold({ below: 0.5, shards: [Float32Array.of(1, 2), Float32Array.of(3, 4, 5, 6)] });
    assert.deepEqual(await asked(ofShard1), [3, 4, 5, 6]);
    assert.equal(await asked({ shard: 1, below: 0.25 }), undefined, 'of another size');
    assert.equal(await asked({ shard: 7, below: 0.5 }), undefined);
    server.serve(layout);
    const again = await joined();
    again.send({ type: 'fetch', request: 6, blocks: [], sample: ofShard1 });
    assert.deepEqual(Object.keys((await again.receive('rows')).tensors), []);
  });

  test('drops a worker that requests rows and never reads them, although it keeps sending pings', async () => {
    let read = 0;
    const seen: RunEvent[] = [];
    const own = await startServer({
      ...{ tasks: TASKS, bind: 'tcp://127.0.0.1:*', layout, file: null, heartbeatTimeout: 60_000 },
      ...{ emit: (event: RunEvent) => void seen.push(event), log: () => {} },
      readBlocks: async () => {
        read++;
        return new Float32Array(1 << 18);
      },
    });
    const peer = await deaf(own.address);
    closing.push(peer.close, () => void own.close());
    peer.say(encode({ ...HELLO, session: session() }));
    for (let request = 0; !seen.some(({ type }) => type === 'worker-gone'); request++) {
      assert.ok(request < 2000, 'still present');
      peer.say(encode({ type: 'fetch', request, blocks: [0, 1] }));
      peer.say(encode({ type: 'ping' }));
      await sleep(2);
    }
    assert.equal((seen.at(-1) as { reason: string }).reason, 'stopped reading its messages');
    const before = read;
    for (let request = 0; request < 50; request++)
      peer.say(encode({ type: 'fetch', request, blocks: [0, 1] }));
    await sleep(100);
    assert.equal(read, before, 'no rows are read for it');
  });

  test('gives up workers whose connections were closed long before they would count as silent, and no other', async () => {
    const [closed, next, silent] = [await joined(), await joined(), await joined()];
    const begun = performance.now();
    await closed.close();
    // Another one, which is heard between the two.
    await sleep(500);
    next.send({ type: 'ping' });
    await next.receive('pong');
    await next.close();
    const gone = () => events.filter((event) => event.type === 'worker-gone');
    await until('both have gone', () => gone().length > 1);
    const lost = [closed, next].map(({ welcome }) => [welcome.worker, 'disconnected']);
    assert.deepEqual(
      gone().map(({ worker, how }) => [worker, how]),
      lost,
    );
    assert.ok(performance.now() - begun < 4000, 'a heartbeat timeout is 5 s');
    assert.deepEqual(present(), [silent.welcome.worker]);
  });

  test('tells all workers to stop when it closes, and rejects the current round', async () => {
    const worker = await joined();
    server.dispatcher.publish('net', {});
    const round = server.dispatcher.round(spec);
    round.catch(() => {});
    await worker.receive('round');
    await server.close();
    await worker.receive('stop');
    await assert.rejects(round, /the coordinator is shutting down/);
  });
});

// Closing used to return at once, and if the process then exited, workers never received their `stop`.
test('close waits up to half a second for a worker that has not read its messages', async () => {
  const blocks = [0, 1, 2, 3];
  const rows = new Float32Array(1 << 22);
  const server = await startServer({
    tasks: TASKS,
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
  say(helloOf(1));
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
