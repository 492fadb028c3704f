// Authentication over real sockets: which peers may connect, and what is logged about the others.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Authenticator, createAuthenticator } from '../../proto/authenticator.ts';
import { MAX_FRAME } from '../../proto/codec.ts';
import { type KeyPair, newKeyPair } from '../../proto/keys.ts';
import { bindRouter, connectDealer, type DealerOptions, type RouterSocket } from '../../proto/sockets.ts';
import { freePort } from '../bench/processes.ts';

const server = newKeyPair();
const [alice, bob, stranger] = [newKeyPair(), newKeyPair(), newKeyPair()];
const list = (...names: [KeyPair, string][]) => new Map(names.map(([key, name]) => [key.public, name]));
const holder = (pair: KeyPair, of = server) => ({ ...pair, server: of.public });

const open = new Set<{ close(): void }>();
after(() => {
  for (const socket of open) socket.close();
});

let authenticator: Authenticator;
let log: string[];
let heard: string[];
let router: RouterSocket;
beforeEach(async () => {
  log = [];
  heard = [];
  authenticator = createAuthenticator(server.secret, list([alice, 'alice']), (line) => void log.push(line));
  // Tests close it and bind it again: an ephemeral port could be taken in between.
  router = await bindRouter(
    `tcp://127.0.0.1:${await freePort()}`,
    (peer, [text]) => {
      heard.push(String(text));
      void router.send(peer, [Buffer.from(`re ${text}`)]);
    },
    authenticator,
  );
  open.add(router);
});

function dealer(options: DealerOptions, endpoint = router.address) {
  const answers: string[] = [];
  const socket = connectDealer(endpoint, ([text]) => void answers.push(String(text)), options);
  open.add(socket);
  return {
    answers,
    say: (text: string) => void socket.send([Buffer.from(text)]),
    reopen: () => socket.reopen(),
    close: () => socket.close(),
  };
}

async function until(what: string, check: () => boolean, seconds = 10): Promise<void> {
  for (const begun = performance.now(); !check(); await sleep(10))
    if (performance.now() - begun > 1000 * seconds) assert.fail(`${what}: ${JSON.stringify({ log, heard })}`);
}

const tcp = (): Socket =>
  connect(Number(router.address.split(':').at(-1)), '127.0.0.1')
    .on('error', () => {})
    .resume();

describe('a router with keys', () => {
  test('exchanges messages with a key on its list', async () => {
    const { say, answers } = dealer({ key: holder(alice) });
    say('hello');
    await until('an answer', () => answers.length === 1);
    assert.deepEqual([heard, answers, log], [['hello'], ['re hello'], []]);
  });

  test('exchanges no messages with an unknown key, and logs it once', async () => {
    for (let i = 0; i < 5; i++) dealer({ key: holder(stranger) }).say('let me in');
    await until('refusals', () => router.refused()['unknown-key'] === 5);
    const { say, answers } = dealer({ key: holder(alice) });
    say('hello');
    await until('an answer', () => answers.length === 1);
    assert.deepEqual(heard, ['hello']);
    // There may be another line about closed connections.
    const named = log.filter((line) => line.includes('not on the list'));
    assert.equal(named.length, 1, log.join('\n'));
    assert.ok(
      log.length <= 2 && named[0].includes(stranger.public.slice(0, 8)) && named[0].includes('127.0.0.1'),
      log.join('\n'),
    );
    assert.ok(!log.join().includes(stranger.public));
  });

  test('receives nothing from peers without a key, with another server key, or with a mismatched pair', async () => {
    let failures = 0;
    const failed = () => void failures++;
    const no = [
      dealer({ failed }),
      dealer({ failed, key: holder(alice, newKeyPair()) }),
      dealer({ failed, key: holder({ public: alice.public, secret: stranger.secret }) }),
    ];
    for (const { say } of no) say('let me in');
    await until('failures', () => failures >= 3 && router.refused()['wrong-server-key']! >= 2);
    await until('no key', () => router.refused()['no-key']! + router.refused()['broken-off']! > 0);
    assert.deepEqual([heard, ...no.map(({ answers }) => answers)], [[], [], [], []]);
    assert.ok(log.length <= 6, log.join('\n'));
  });

  test('hundreds of silent, plain and invalid connections do not affect an authenticated peer', async () => {
    const { say, answers } = dealer({ key: holder(alice) });
    say('before');
    await until('an answer', () => answers.length === 1);
    const idle = Array.from({ length: 200 }, tcp);
    for (let i = 0; i < 100; i++) tcp().write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    for (let i = 0; i < 100; i++) tcp().write(Buffer.alloc(200, 0xff));
    for (let i = 0; i < 100; i++) {
      const socket = tcp();
      socket.once('data', () => socket.destroy());
    }
    await until('refusals', () => Object.values(router.refused()).reduce((a, b) => a + b) >= 295);
    say('after');
    await until('an answer', () => answers.length === 2, 2);
    for (const socket of idle) socket.destroy();
    assert.deepEqual(heard, ['before', 'after']);
    assert.ok(log.length <= 12, log.join('\n'));
    const refused = router.refused();
    assert.ok(refused['not-zeromq']! >= 90 && refused['no-key']! >= 90, JSON.stringify(refused));
  });

  test('unauthenticated peers take little memory, whatever length they announce', async () => {
    const greeting = Buffer.alloc(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
    greeting.write('CURVE', 12);
    /** An unauthenticated peer that has announced a command of this length. */
    const begin = async (length: number) => {
      const socket = tcp();
      socket.write(greeting);
      await once(socket, 'data');
      const head = Buffer.alloc(9);
      head[0] = 0x06;
      head.writeBigUInt64BE(BigInt(length), 1);
      socket.write(head);
      return socket;
    };
    const before = process.memoryUsage.rss();
    const piece = Buffer.alloc(MAX_FRAME - 1024);
    const within = await Promise.all(Array.from({ length: 200 }, () => begin(MAX_FRAME)));
    for (const socket of within) socket.write(piece);
    await sleep(500);
    const grown = process.memoryUsage.rss() - before;
    assert.ok(within.every((socket) => !socket.closed));
    assert.ok(grown < 150 << 20, `${grown >> 20} MiB for 200 strangers`);
    const beyond = await Promise.all([1 << 20, 1 << 30, 2 ** 40].map(begin));
    await until('the end of their connections', () => beyond.every((socket) => socket.destroyed), 3);
    const { say, answers } = dealer({ key: holder(alice) });
    say('hello');
    await until('an answer', () => answers.length === 1);
    for (const socket of within) socket.destroy();
  });

  for (const way of ['up', 'down'] as const)
    test(`bytes that are damaged on their way ${way} cost one connection, and the next one is as good as new`, async () => {
      let connections = 0;
      let damage = false;
      const { port } = new URL(router.address);
      const line = createServer((near) => {
        connections++;
        const far = connect(Number(port), '127.0.0.1');
        for (const [from, to, dir] of [
          [near, far, 'up'],
          [far, near, 'down'],
        ] as const) {
          from.on('data', (bytes: Buffer) => {
            if (damage && dir === way) {
              damage = false;
              bytes[bytes.length - 1] ^= 1;
            }
            to.write(bytes);
          });
          from.on('error', () => {}).on('close', () => to.destroy());
        }
      });
      await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
      open.add(line);
      const { say, answers, reopen } = dealer(
        { key: holder(alice) },
        `tcp://127.0.0.1:${(line.address() as AddressInfo).port}`,
      );
      say('before');
      await until('an answer', () => answers.length === 1);
      damage = true;
      say('lost');
      await until('damage', () => !damage);
      // libzmq's server silently stops reading. A worker reopens its connection after a while without messages.
      if (way === 'up') reopen();
      await until('another connection', () => connections === 2);
      say('after');
      await until('an answer', () => answers.at(-1) === 're after');
      assert.equal(connections, 2);
    });

  test('after a change of the list, added keys may connect and removed ones may not', async () => {
    const a = dealer({ key: holder(alice) });
    const b = dealer({ key: holder(bob) });
    a.say('alice 1');
    b.say('bob 1');
    await until('alice', () => a.answers.length === 1);
    assert.deepEqual(b.answers, []);
    assert.equal(authenticator.replace(list([alice, 'alice'], [bob, 'bob'])), false);
    const again = dealer({ key: holder(bob) });
    again.say('bob 2');
    await until('bob', () => again.answers.length === 1);

    assert.equal(authenticator.replace(list([bob, 'bob'])), true);
    const address = router.address;
    await router.cut();
    assert.equal(router.address, address);
    heard.length = 0;
    // Messages sent before the old connection is closed are lost with it.
    const saying = setInterval(() => again.say('bob 3'), 50);
    await until('bob again', () => heard.includes('bob 3')).finally(() => clearInterval(saying));
    for (let i = 0; i < 10; i++) {
      a.say(`alice ${i + 2}`);
      await sleep(30);
    }
    assert.deepEqual(
      heard.filter((text) => text.startsWith('alice')),
      [],
    );
    assert.equal(a.answers.length, 1);
  });

  test('cuts and closes at once under a flood of connections', async () => {
    let flooding = true;
    const flood = () => flooding && void tcp().once('close', flood).write('GET / HTTP/1.1\r\n\r\n');
    for (let i = 0; i < 20; i++) flood();
    await sleep(100);
    for (let i = 0; i < 3; i++) await router.cut();
    // Also while an earlier call is in progress.
    await Promise.all([router.cut(), router.cut(), router.cut()]);
    const { say, answers } = dealer({ key: holder(alice) });
    say('hello');
    await until('an answer', () => answers.length === 1);
    open.delete(router);
    router.close();
    flooding = false;
  });

  test('a worker keeps trying if its coordinator comes back without keys, or with them', async () => {
    let reopened = 0;
    const plain = dealer({
      reopened: () => {
        reopened++;
        plain.say('hello again');
      },
    });
    plain.say('hello');
    await until('another try', () => reopened > 0);
    open.delete(router);
    const { address } = router;
    await router.close();
    router = await bindRouter(address, (_, [text]) => void heard.push(String(text)));
    open.add(router);
    await until('hello', () => heard.some((text) => text.startsWith('hello')));
  });
});
