import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, describe, test } from 'node:test';
import { createAuthenticator } from '../../proto/authenticator.ts';
import { newKeyPair } from '../../proto/keys.ts';
import { bindRouter } from '../../proto/sockets.ts';
import { whyNoAnswer as ask } from '../../worker/connection.ts';
import { freePort } from '../bench/processes.ts';

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});
async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Asks again if the answer was late, as on a busy machine. */
async function whyNoAnswer(
  endpoint: string,
  hasKey: boolean,
  late = /firewall|sends nothing/,
): Promise<string> {
  for (let tries = 0; tries < 3; tries++) {
    const why = await ask(endpoint, hasKey);
    if (!late.test(why)) return why;
  }
  return ask(endpoint, hasKey);
}

/** A server that sends nothing, or `text` once it gets a line. */
const server = (text?: string) =>
  createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => text && data.includes('\n') && socket.end(text));
  });

describe('why a coordinator does not answer', () => {
  const cases: [name: string, endpoint: () => Promise<string>, why: RegExp, late?: RegExp][] = [
    ['nothing listens', async () => `tcp://127.0.0.1:${await freePort()}`, /nothing listens on this port/],
    [
      'a host name that cannot be resolved',
      async () => 'tcp://nowhere.invalid:5555',
      /the host name nowhere\.invalid cannot be resolved/,
    ],
    [
      'an HTTP server',
      () => listening(createHttpServer()),
      /not a dpmesh coordinator: it sends “HTTP\/1\.1 400 Bad Request”/,
    ],
    [
      'a server that waits for a line; its text is shown without control characters',
      () => listening(server('500 \x1b[31mwhat?\r\nmore')),
      /it sends “500 \?\[31mwhat\?”/,
    ],
    [
      'a server that sends nothing',
      () => listening(server()),
      /sends nothing: it is not a dpmesh/,
      /firewall/,
    ],
  ];
  for (const [name, endpoint, why, late] of cases)
    test(name, async () => assert.match(await whyNoAnswer(await endpoint(), false, late), why));

  test('coordinators with keys and without', async () => {
    const plain = await bindRouter('tcp://127.0.0.1:*', () => {});
    const authenticator = createAuthenticator(newKeyPair().secret, new Map(), () => {});
    const locked = await bindRouter('tcp://127.0.0.1:*', () => {}, authenticator);
    try {
      assert.match(await whyNoAnswer(locked.address, false), /requires a key: use --key FILE/);
      assert.match(await whyNoAnswer(locked.address, true), /check that this key is on its list/);
      assert.match(await whyNoAnswer(plain.address, true), /has no keys; leave --key out/);
      assert.match(await whyNoAnswer(plain.address, false), /a ZeroMQ socket answers, /);
    } finally {
      plain.close();
      locked.close();
    }
  });
});
