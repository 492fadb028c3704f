// Clients of an HTTP port that read slowly or not at all, over real sockets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../../base/http.ts';

const LARGE = Buffer.alloc(12 << 20, 'x');
const { server, onRequest, port } = await listen({ host: '127.0.0.1', port: 0 }, { stalled: 1000, most: 20 });
const requests: string[] = [];
onRequest(async (request, response) => {
  const { url } = request;
  requests.push(url!);
  if (url === '/body') {
    request.resume();
    await Promise.race(['end', 'close'].map((event) => once(request, event).catch(() => {})));
  }
  if (url === '/late') await sleep(1500);
  if (url === '/stream') response.write('begun');
  else response.end(url === '/large' ? LARGE : 'done');
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const sockets = new Set<Socket>();
after(() => sockets.forEach((socket) => void socket.destroy()));
/** Sends this; `ended` is when the connection is. */
function client(text: string, reading = true) {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  sockets.add(socket);
  let got = 0;
  if (reading) socket.on('data', ({ length }) => (got += length));
  else socket.pause();
  if (text) socket.write(`${text} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return { socket, got: () => got };
}
/** What is answered to these bytes until the connection ends, answer by answer. */
async function answersTo(sent: string): Promise<string[]> {
  const { socket } = client('');
  let text = '';
  socket.on('data', (part) => {
    text += part;
  });
  socket.write(sent);
  await once(socket, 'close');
  return text.split(/(?=HTTP\/1\.1 )/);
}
const count = () => new Promise<number>((resolve) => server.getConnections((_, n) => resolve(n)));
async function becomes(expected: number): Promise<void> {
  for (let i = 0; (await count()) !== expected; i++) {
    assert.ok(i < 500, `${await count()} connections, not ${expected}`);
    await sleep(20);
  }
}

/** Does a request on a connection of its own get a response, within a second? */
function isAnswered(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.setTimeout(1000, () => socket.destroy());
    socket
      .on('error', () => {})
      .on('data', (part) => {
        text += part;
      });
    socket.once('close', () => resolve(text.startsWith('HTTP/1.1 200')));
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  });
}

describe('connections', () => {
  test('a client that does not read its response is dropped', async () => {
    client('GET /large', false);
    await becomes(1);
    await becomes(0);
  });

  test('a client that is slow, waits for a response or follows a stream is not dropped', async () => {
    const slow = client('GET /large');
    slow.socket.on('data', () => {
      slow.socket.pause();
      setTimeout(() => slow.socket.resume(), 1);
    });
    const late = client('GET /late');
    const stream = client('GET /stream');
    for (let i = 0; slow.got() < LARGE.length || !late.got(); i++) {
      assert.ok(i < 1000 && !slow.socket.destroyed && !late.socket.destroyed, `${slow.got()}, ${late.got()}`);
      await sleep(20);
    }
    assert.ok(stream.got() && !stream.socket.destroyed);
    stream.socket.destroy();
    // Idle connections are closed.
    await becomes(0);
  });

  test('connections without a request make room for others', async () => {
    const crowded = await listen({ host: '127.0.0.1', port: 0 }, { most: 16 });
    crowded.server.on('request', (_request, response) => response.end('done'));
    let isOver = false;
    const crowd = new Set<Socket>();
    const idle = () => {
      if (isOver) return;
      const socket = connect(crowded.port, '127.0.0.1').on('error', () => {});
      crowd.add(socket);
      socket.resume().once('close', () => {
        crowd.delete(socket);
        setTimeout(idle, 300);
      });
    };
    for (let i = 0; i < 24; i++) idle();
    // Each attempt is new: there are moments in which all places are taken.
    let answers = 0;
    for (let attempts = 0; answers < 2; attempts++) {
      assert.ok(attempts < 600, `${answers} answers`);
      if (await isAnswered(crowded.port)) answers++;
      else await sleep(50);
    }
    isOver = true;
    for (const socket of crowd) socket.destroy();
    crowded.server.close();
    crowded.server.closeAllConnections();
  });

  test('a client that sends thousands of requests at once is dropped', async () => {
    requests.length = 0;
    const { socket } = client('');
    socket.write('GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20_000));
    await new Promise((resolve) => socket.once('close', resolve));
    assert.ok(requests.length <= 16, `${requests.length} requests`);
    await becomes(0);
  });

  test('requests behind 16 that wait are refused with an answer', async () => {
    requests.length = 0;
    const answers = await answersTo('GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20));
    assert.deepEqual(
      answers.map((answer) => answer.slice(9, 12)),
      [...Array(16).fill('200'), '503'],
    );
    assert.match(answers[16], /connection: close\r\n.*\{"error":"more than 16 requests wait /is);
    assert.equal(requests.length, 16);
  });

  test('what is no request is answered behind the requests before it', async () => {
    const late = 'GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const chunked = 'POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n';
    for (const [sent, expected] of [
      [`${late}${late}no HTTP\r\n\r\n`, ['200', '200', '400']],
      [`${late}${chunked}no length\r\n`, ['200', '400']],
      [`${chunked}no length\r\n`, ['400']],
      [`${late}GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, ['200', '431']],
    ] as const) {
      const answers = await answersTo(sent);
      assert.deepEqual(
        answers.map((answer) => answer.slice(9, 12)),
        expected,
      );
      assert.match(answers.at(-1)!, /connection: close\r\n.*\{"error":"[^"]+"\}$/is);
      for (const answer of answers.slice(0, -1)) assert.match(answer, /\r\n\r\ndone$/);
    }
  });

  test('a body that is encoded for the transfer is refused in one line', async () => {
    requests.length = 0;
    const heading = 'POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:';
    const after = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    for (const [sent, expected] of [
      [`${heading} gzip\r\n\r\n`, ['501']],
      [`${heading} chunked, gzip\r\n\r\n`, ['501']],
      [`GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n${heading} gzip\r\n\r\nabc`, ['200', '501']],
      // Where it ends is known.
      [`${heading} gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n${after}`, ['501', '200']],
      [`${heading} gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n${after}`, ['501', '200']],
      [`${heading} , chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n${after}`, ['200', '200']],
    ] as const) {
      const answers = await answersTo(sent);
      assert.deepEqual(
        answers.map((answer) => answer.slice(9, 12)),
        expected,
        sent,
      );
      for (const answer of answers.filter((one) => one.startsWith('HTTP/1.1 501')))
        assert.match(
          answer,
          /\r\n\r\n\{"error":"the body has a transfer encoding other than chunked: [^"]+"\}$/,
        );
    }
  });

  test('a client that goes on after what was no request is dropped', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
    sockets.add(socket);
    let got = '';
    socket.on('data', (part) => {
      got += part;
    });
    const timer = setInterval(() => socket.write('x'), 20);
    socket.once('close', () => clearInterval(timer));
    socket.write('no HTTP\r\n\r\n');
    await once(socket, 'end');
    assert.match(got, /^HTTP\/1\.1 400 /);
    await becomes(0);
  });

  test('close ends connections without a request at once, others behind their answers', async () => {
    const closing = await listen({ host: '127.0.0.1', port: 0 });
    closing.onRequest(async (request, response) => {
      for await (const _ of request);
      response.end(request.url === '/large' ? LARGE : 'done');
    });
    const open = (text: string) => {
      const socket = connect(closing.port, '127.0.0.1');
      sockets.add(socket);
      let got = '';
      socket.on('data', (part) => {
        got += part;
      });
      socket.write(`${text} HTTP/1.1\r\nHost: localhost\r\n`);
      return { socket, got: () => got, closed: once(socket, 'close') };
    };
    const idle = open('GET /');
    idle.socket.write('\r\n');
    await once(idle.socket, 'data');
    const slow = open('GET /large');
    slow.socket.write('\r\n');
    await once(slow.socket, 'data');
    slow.socket.pause();
    const arriving = open('POST /');
    const received = once(closing.server, 'request');
    arriving.socket.write('Content-Length: 2\r\n\r\n1');
    await received;
    const closed = closing.close(60_000);
    await idle.closed;
    assert.ok(!slow.socket.destroyed && !arriving.socket.destroyed);
    arriving.socket.write('2');
    slow.socket.resume();
    await Promise.all([closed, slow.closed, arriving.closed]);
    assert.match(arriving.got(), /^HTTP\/1\.1 200 .*done$/s);
    assert.equal(slow.got().split('\r\n\r\n')[1].length, LARGE.length);
  });

  test('close answers, in order, all requests that have come on one connection', async () => {
    const closing = await listen({ host: '127.0.0.1', port: 0 });
    const asked: string[] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    closing.onRequest(async (request, response) => {
      asked.push(request.url!);
      for await (const _ of request);
      await released;
      response.end(request.url);
    });
    const accepted: Socket[] = [];
    closing.server.on('connection', (socket) => accepted.push(socket));
    const open = (text: string) => {
      const socket = connect(closing.port, '127.0.0.1').on('error', () => {});
      sockets.add(socket);
      let got = '';
      socket.on('data', (part) => {
        got += part;
      });
      socket.write(text);
      const answers = async () => {
        await closed;
        return got
          .split(/(?=HTTP\/1\.1 )/)
          .map((answer) => [/[^\n]*$/.exec(answer)![0], /^connection: close\r$/im.test(answer)]);
      };
      const closed = once(socket, 'close');
      return { socket, answers };
    };
    const until = async (isSo: () => boolean, what: string) => {
      for (let i = 0; !isSo(); i++) {
        assert.ok(i < 1000, what);
        await sleep(10);
      }
    };
    const heading = 'HTTP/1.1\r\nHost: localhost\r\n';
    const whole = open(
      `GET /1 ${heading}\r\nPOST /2 ${heading}Content-Length: 2\r\n\r\nabGET /3 ${heading}\r\n`,
    );
    const arriving = open(`GET /4 ${heading}\r\nPOST /5 ${heading}Content-Length: 2\r\n\r\na`);
    await until(() => asked.length === 5, 'all have come');
    const begun = open('GET /6 ');
    await until(() => accepted.length === 3 && accepted[2].bytesRead > 0, 'the beginning of one has come');
    const closed = closing.close(60_000);
    whole.socket.write(`GET /too-late ${heading}\r\n`);
    arriving.socket.write('b');
    begun.socket.write(`${heading}\r\n`);
    await until(() => asked.includes('/too-late') && asked.includes('/6'), 'the others have come');
    release();
    assert.deepEqual(await whole.answers(), [
      ['/1', false],
      ['/2', false],
      ['/3', true],
    ]);
    assert.deepEqual(await arriving.answers(), [
      ['/4', false],
      ['/5', true],
    ]);
    assert.deepEqual(await begun.answers(), [['/6', true]]);
    await closed;
  });

  test('close waits no longer than it is told to', async () => {
    const closing = await listen({ host: '127.0.0.1', port: 0 });
    closing.onRequest((_request, response) => response.end(LARGE));
    const socket = connect(closing.port, '127.0.0.1').on('error', () => {});
    sockets.add(socket);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'readable');
    await closing.close(200);
  });

  test('the number of connections is limited', async () => {
    const all = Array.from({ length: 40 }, () => client('GET /stream'));
    await once(server, 'drop');
    await becomes(20);
    for (const { socket } of all) socket.destroy();
    await becomes(0);
  });
});
