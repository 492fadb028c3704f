import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode, encode, MAX_FRAME } from '../../proto/codec.ts';
import { fromWorker } from '../../proto/messages.ts';
import { bindRouter, connectDealer, type DealerSocket, type RouterSocket } from '../../proto/sockets.ts';
import { bytesOf, nd } from '../../proto/tensors.ts';
import { freePort } from '../bench/processes.ts';
import { deaf } from './deaf.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

const open = new Set<{ close(): void }>();
after(() => {
  for (const socket of open) socket.close();
});

type Received = { peer: Buffer; frames: Buffer[] };

/** A router and its received messages, which `next` returns in order. */
async function router(
  endpoint = 'tcp://127.0.0.1:*',
  on?: (socket: RouterSocket, received: Received) => void,
) {
  const inbox = mailbox<Received>();
  const socket: RouterSocket = await bindRouter(endpoint, (peer, frames) => {
    inbox.put({ peer, frames });
    on?.(socket, { peer, frames });
  });
  open.add(socket);
  return { socket, ...inbox };
}

function dealer(endpoint: string): { socket: DealerSocket; next: () => Promise<Buffer[]> } {
  const inbox = mailbox<Buffer[]>();
  const socket = connectDealer(endpoint, inbox.put);
  open.add(socket);
  return { socket, ...inbox };
}

function mailbox<T>() {
  const items: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  return {
    put(item: T) {
      const next = waiting.shift();
      if (next) next(item);
      else items.push(item);
    },
    next: () =>
      within(
        3000,
        'a message',
        items.length ? Promise.resolve(items.shift()!) : new Promise<T>((resolve) => waiting.push(resolve)),
      ),
  };
}

async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = sleep(ms, null, { signal: stop.signal }).then(() => {
    throw new Error(`no ${what} within ${ms} ms`);
  });
  late.catch(() => {});
  return Promise.race([promise, late]).finally(() => stop.abort());
}

const close = (socket: { close(): void }) => {
  open.delete(socket);
  socket.close();
};
const text = (frames: Buffer[]) => frames.map(String);

describe('router and dealer', () => {
  test('meet at an IPv6 address, also with a port that libzmq chooses', { skip: !hasIpv6 }, async () => {
    const { socket, next } = await router('tcp://[::1]:*');
    assert.match(socket.address, /^tcp:\/\/\[::1\]:\d+$/);
    const worker = dealer(socket.address);
    void worker.socket.send(encode({ type: 'ping' }));
    const { peer, frames } = await next();
    void socket.send(peer, frames);
    assert.equal(decode(fromWorker, await worker.next()).header.type, 'ping');
  });

  test('exchange messages, with each peer separately', async () => {
    const { socket, next } = await router();
    const dealers = [dealer(socket.address), dealer(socket.address)];
    for (const [i, { socket }] of dealers.entries()) void socket.send([Buffer.from(`hello ${i}`)]);
    for (let i = 0; i < 2; i++) {
      const { peer, frames } = await next();
      void socket.send(peer, [Buffer.from(`you said ${frames[0]}`), Buffer.alloc(0)]);
    }
    assert.deepEqual(text(await dealers[0].next()), ['you said hello 0', '']);
    assert.deepEqual(text(await dealers[1].next()), ['you said hello 1', '']);
  });

  test('carry many megabytes in frames of limited size', async () => {
    const { socket, next } = await router();
    const { socket: sender } = dealer(socket.address);
    const large = nd(new Uint32Array(12 << 20));
    for (let i = 0; i < large.data.length; i += 1024) large.data[i] = i;
    await sender.send(encode({ type: 'ping' }, { large, small: nd(new Float32Array(3).fill(0.5)) }));
    const { tensors } = decode(fromWorker, (await next()).frames);
    assert.deepEqual([...tensors.small.data], [0.5, 0.5, 0.5]);
    assert.ok(bytesOf(tensors.large.data).equals(bytesOf(large.data)));
  });

  test('close a connection that announces a larger frame', async () => {
    const { socket, next } = await router();
    const { socket: sender } = dealer(socket.address);
    void sender.send([Buffer.from('fits'), Buffer.alloc(MAX_FRAME)]);
    assert.equal((await next()).frames[1].length, MAX_FRAME);
    void sender.send([Buffer.from('large'), Buffer.alloc(MAX_FRAME + 4096)]);
    const { socket: other } = dealer(socket.address);
    void other.send([Buffer.from('other')]);
    assert.deepEqual(text((await next()).frames), ['other']);
  });

  test('a peer that does not read gets only a few messages, and does not delay others', async () => {
    const stalled: string[] = [];
    const inbox = mailbox<Received>();
    const socket = await bindRouter(
      'tcp://127.0.0.1:*',
      (peer, frames) => inbox.put({ peer, frames }),
      undefined,
      { stalled: (peer) => void stalled.push(peer.toString('hex')) },
    );
    open.add(socket);
    const { say, close } = await deaf(socket.address);
    open.add({ close });
    say([Buffer.from('I am here')]);
    const { peer } = await inbox.next();
    // It keeps sending, so that its connection stays alive.
    const talking = setInterval(() => say([Buffer.from('ping')]), 20);
    const begun = performance.now();
    const piece = Buffer.alloc(1 << 20);
    let sent = 0;
    for (; !stalled.length && sent < 2000; sent++) await socket.send(peer, [piece]);
    assert.ok(sent < 200, `${sent} MiB were taken for a peer that reads nothing`);
    const { traffic } = socket;
    const before = traffic().sent;
    for (let i = 0; i < 500; i++) await socket.send(peer, [piece]);
    assert.ok(traffic().sent - before < 20 << 20);
    const { socket: reader, next: heard } = dealer(socket.address);
    void reader.send([Buffer.from('here')]);
    let from: Received;
    do from = await inbox.next();
    while (String(from.frames[0]) !== 'here');
    void socket.send(from.peer, [Buffer.from('answer')]);
    assert.deepEqual(text(await heard()), ['answer']);
    clearInterval(talking);
    assert.ok(performance.now() - begun < 10_000);
  });

  test('a dealer may start before its router', async () => {
    const port = await freePort();
    const { socket: early } = dealer(`tcp://127.0.0.1:${port}`);
    void early.send([Buffer.from('early')]);
    await sleep(50);
    const { next } = await router(`tcp://127.0.0.1:${port}`);
    assert.deepEqual(text((await next()).frames), ['early']);
  });

  test('a port that is in use rejects; the socket that has it is not affected', async () => {
    const { socket, next } = await router();
    await assert.rejects(
      bindRouter(socket.address, () => {}),
      /in use/i,
    );
    const { socket: sender } = dealer(socket.address);
    void sender.send([Buffer.from('still here')]);
    assert.deepEqual(text((await next()).frames), ['still here']);
  });

  test('sending to a peer that is gone or unknown neither hangs nor delays others', async () => {
    const { socket, next } = await router();
    const gone = dealer(socket.address);
    const here = dealer(socket.address);
    void gone.socket.send([Buffer.from('gone')]);
    void here.socket.send([Buffer.from('here')]);
    const peers = new Map<string, Buffer>();
    for (let i = 0; i < 2; i++) {
      const { peer, frames } = await next();
      peers.set(String(frames[0]), peer);
    }
    close(gone.socket);
    await sleep(100);
    const sends = Array.from({ length: 20 }, () => socket.send(peers.get('gone')!, [Buffer.alloc(1 << 20)]));
    sends.push(socket.send(Buffer.from('nobody'), [Buffer.from('x')]));
    sends.push(socket.send(peers.get('here')!, [Buffer.from('last')]));
    await within(2000, 'end of sending', Promise.all(sends));
    assert.deepEqual(text(await here.next()), ['last']);
  });

  // A process that exits loses unsent messages, so it has to know when they are sent.
  test('closing a router waits for unsent messages, for half a second', async () => {
    const { socket, next } = await router();
    const peer = await deaf(socket.address);
    open.add(peer);
    peer.say([Buffer.from('I am here')]);
    const from = (await next()).peer;
    // More than the kernel buffers for a connection.
    for (let i = 0; i < 30; i++) await socket.send(from, [Buffer.alloc(1 << 20)]);
    await lingers(socket);
  });

  test('closing a dealer does, too', async () => {
    const { socket } = dealer(`tcp://127.0.0.1:${await freePort()}`);
    await socket.send([Buffer.from('is anybody there?')]);
    await lingers(socket);
  });

  test('bytes that are not ZeroMQ change nothing', async () => {
    const { socket, next } = await router();
    const port = Number(socket.address.split(':').at(-1));
    const stranger = connect(port, '127.0.0.1');
    stranger.on('error', () => {});
    stranger.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const { socket: sender } = dealer(socket.address);
    void sender.send([Buffer.from('hello')]);
    assert.deepEqual(text((await next()).frames), ['hello']);
    stranger.destroy();
  });
});

async function lingers(socket: { close(): Promise<void> }): Promise<void> {
  const begun = performance.now();
  await within(5000, 'end of closing', socket.close());
  const took = performance.now() - begun;
  assert.ok(took > 400, `closed after ${took.toFixed(0)} ms`);
}
