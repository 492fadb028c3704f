import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lostPeer } from '../../proto/sockets.ts';

test('the address of the peer whose connection was closed here last', {
  skip: process.platform !== 'linux',
}, async () => {
  for (const [host, from, seen] of [
    ['127.0.0.1', '127.0.0.2', '127.0.0.2'],
    ['::', '127.0.0.3', '127.0.0.3'],
  ]) {
    const server = createServer((socket) => socket.end()).listen(0, host);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.equal(lostPeer(port), null);
    const client = connect({ port, host: '127.0.0.1', localAddress: from }).resume();
    await once(client, 'close');
    while (lostPeer(port) === null) await sleep(10);
    assert.equal(lostPeer(port), seen);
    server.close();
  }
});
