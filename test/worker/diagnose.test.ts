import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, describe, test } from 'node:test';
import { freePort } from '../../bench/processes.ts';
import { createAuthenticator } from '../../proto/authenticator.ts';
import { newKeyPair } from '../../proto/keys.ts';
import { bindRouter } from '../../proto/sockets.ts';
import { whyNoAnswer as ask } from '../../worker/connection.ts';

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

describe('why a coordinator does not answer', () => {
  test('nothing listens', async () => {
    assert.match(
      await whyNoAnswer(`tcp://127.0.0.1:${await freePort()}`, false),
      /nothing listens on this port/,
    );
  });

  test('a host name that cannot be resolved', async () => {
    assert.match(
      await whyNoAnswer('tcp://nowhere.invalid:5555', false),
      /the host name nowhere\.invalid cannot be resolved/,
    );
  });

  test('an HTTP server', async () => {
    const why = await whyNoAnswer(await listening(createHttpServer()), false);
    assert.match(why, /not a dpmesh coordinator: it sends “HTTP\/1\.1 400 Bad Request”/);
  });

  test('a server that waits for a line; its text is shown without control characters', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => data.includes('\n') && socket.end('500 \x1b[31mwhat?\r\nmore'));
    });
    assert.match(await whyNoAnswer(await listening(server), false), /it sends “500 \?\[31mwhat\?”/);
  });

  test('a server that sends nothing', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).resume());
    assert.match(
      await whyNoAnswer(await listening(server), true, /firewall/),
      /sends nothing: it is not a dpmesh/,
    );
  });

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
