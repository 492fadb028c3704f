import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { Unreachable } from '../../../data/remote/address.ts';
import { openRemote, type Patience } from '../../../data/remote/remote-file.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251));
const patience: Patience = { retries: 3, pauseMs: 1, longestPauseMs: 4, stallMs: 5000 };

/** The server's answers by path; `count`: requests for this path before. */
const answers = new Map<string, Answer>();
const counts = new Map<string, number>();
const server = createServer((request, response) => {
  const path = request.url!;
  const count = counts.get(path) ?? 0;
  counts.set(path, count + 1);
  answers.get(path)?.(request, response, count);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(() => {
  server.closeAllConnections();
  server.close();
});

let paths = 0;
/** Lets the server answer so at a path of its own. */
function at(answer: Answer): string {
  const path = `/${paths++}.npy`;
  answers.set(path, answer);
  return root + path;
}

/** Answers a range request as it should be, or with only the first `limit` bytes of the answer. */
function serve(request: IncomingMessage, response: ServerResponse, { etag = '"1"', limit = Infinity } = {}) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range!)!.map(Number);
  const body = CONTENT.subarray(from, Math.min(to, CONTENT.length - 1) + 1);
  response.writeHead(206, {
    etag,
    'content-length': body.length,
    'content-range': `bytes ${from}-${from + body.length - 1}/${CONTENT.length}`,
  });
  if (body.length <= limit) response.end(body);
  else response.write(body.subarray(0, limit), () => response.destroy());
}

const open = (address: string, more: Partial<Patience> = {}) =>
  openRemote(address, { patience: { ...patience, ...more } });

async function readAll(address: string): Promise<Buffer> {
  const file = await open(address);
  return Buffer.from(await file.read(0, file.size!));
}

async function refused(work: Promise<unknown>, says: RegExp): Promise<void> {
  await assert.rejects(work, (error: Error) => {
    assert.ok(error instanceof UserError, String(error.stack));
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /\n|SECRET/);
    return true;
  });
}

describe('reading parts of a remote file', () => {
  test('any part, with the same version', async () => {
    const asked: (string | undefined)[] = [];
    const file = await open(
      at((request, response) => {
        asked.push(request.headers['if-match'] as string | undefined);
        assert.equal(request.headers['accept-encoding'], 'identity');
        serve(request, response);
      }),
    );
    assert.equal(file.size, CONTENT.length);
    for (const [from, length] of [
      [0, 10],
      [200_000, 100_000],
      [299_999, 1],
    ])
      assert.deepEqual(Buffer.from(await file.read(from, length)), CONTENT.subarray(from, from + length));
    await file.assertSame();
    assert.deepEqual(asked, [undefined, '"1"', '"1"', '"1"']);
  });

  test('a broken connection goes on where it broke off', async () => {
    const from: number[] = [];
    const address = at((request, response, count) => {
      if (count) from.push(Number(/\d+/.exec(request.headers.range!)![0]));
      serve(request, response, count ? { limit: 70_000 } : {});
    });
    assert.deepEqual(await readAll(address), CONTENT);
    assert.deepEqual(from[0], 0);
    assert.ok(from.every((start, i) => i === 0 || start > from[i - 1]));
  });

  test('errors that pass are tried again, before and between', async () => {
    const address = at((request, response, count) => {
      if (count % 3 === 0) response.writeHead(503).end('<Code>SlowDown</Code>');
      else if (count % 3 === 1) response.destroy();
      else serve(request, response, { limit: 150_000 });
    });
    assert.deepEqual(await readAll(address), CONTENT);
  });

  test('no more than so many times', async () => {
    const address = at((_, response) => void response.writeHead(500).end('<Error><Code>Oops</Code>SECRET'));
    await refused(open(address), /the server says 500 Oops, 4 times in a row/);
    await assert.rejects(open(address), Unreachable);
    assert.equal(counts.get(new URL(address).pathname), 8);
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    await refused(open(`http://127.0.0.1:${port}/x.npy`), /the connection was refused, 4 times/);
  });

  test('a server that says nothing, or stops', async () => {
    await refused(
      open(
        at(() => {}),
        { retries: 1, stallMs: 50 },
      ),
      /no answer.* for 0.05 s, 2 times/,
    );
  });

  test('a file that changes on the way', async () => {
    for (const later of [
      (request: IncomingMessage, response: ServerResponse) => serve(request, response, { etag: '"2"' }),
      (_: IncomingMessage, response: ServerResponse) => void response.writeHead(412).end(),
      (_: IncomingMessage, response: ServerResponse) => void response.writeHead(416).end(),
    ]) {
      const file = await open(
        at((request, response, count) => (count ? later(request, response) : serve(request, response))),
      );
      await refused(file.read(200_000, 10), /changed while it was being read/);
      await refused(file.assertSame(), /changed while it was being read/);
    }
  });

  test('answers that are no part of the file', async () => {
    const whole = (_: IncomingMessage, response: ServerResponse) => void response.writeHead(200).end(CONTENT);
    const file = await open(at(whole));
    assert.ok(!file.hasRanges);
    await refused(file.read(200_000, 10), /200 in place of 206/);
    const pieces: Buffer[] = [];
    await file.copy((bytes) => void pieces.push(Buffer.from(bytes)));
    assert.deepEqual(Buffer.concat(pieces), CONTENT);
    const head = (_: IncomingMessage, response: ServerResponse) =>
      response.writeHead(206, { 'content-range': `bytes 0-9/${CONTENT.length}`, etag: '"1"' });
    const ofOther = await open(
      at((request, response, count) =>
        count ? void head(request, response).end(CONTENT.subarray(0, 10)) : serve(request, response),
      ),
    );
    await refused(ofOther.read(200_000, 10), /another part/);
    const gzipped = at((_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end());
    await refused(open(gzipped), /compresses/);
    const empty = at((_, response) => void response.writeHead(416, { 'content-range': 'bytes */0' }).end());
    await refused(open(empty), /is empty/);
  });

  test('refusals, with what to do', async () => {
    const status = (code: number) => at((_, response) => void response.writeHead(code).end('SECRET'));
    await refused(open(status(403)), /access denied \(403\); it must be public/);
    await refused(open(status(401)), /access denied/);
    await refused(open(status(404)), /no such file \(404\)/);
    await refused(open(status(418)), /418/);
    await refused(open('https://no-such-host.invalid/x.npy'), /there is no such host|EAI_AGAIN/);
  });

  test('an error of a library that has seen a secret is not passed on', async (t) => {
    const own = globalThis.fetch;
    t.after(() => {
      globalThis.fetch = own;
    });
    for (const error of [
      new TypeError('Headers.set: "SECRET\n" is an invalid header value.'),
      new TypeError('fetch failed', { cause: new Error('SECRET') }),
    ]) {
      globalThis.fetch = async () => {
        throw error;
      };
      await assert.rejects(open(`${root}/secret.npy`), ({ message }: Error) => {
        assert.match(message, /the connection failed/);
        return !message.includes('SECRET');
      });
    }
  });

  test('redirects are followed, but not in a circle, nor to what may not be read', async () => {
    const target = at((request, response) => serve(request, response));
    const to = (location: string) => at((_, response) => void response.writeHead(302, { location }).end());
    const relative = to(new URL(target).pathname);
    assert.deepEqual(await readAll(relative), CONTENT);
    // The target is asked at once the next time.
    assert.equal(counts.get(new URL(relative).pathname), 1);
    const circle = at((request, response) => void response.writeHead(302, { location: request.url! }).end());
    await refused(open(circle), /redirected more than 5 times/);
    for (const location of [
      'http://example.com/x',
      'ftp://127.0.0.1/x',
      'http://a:SECRET@127.0.0.1/',
      'http://',
    ])
      await refused(open(to(location)), /redirected to an address that may not be read/);
  });

  test('a redirect that expires is asked for anew', async () => {
    const target = at((request, response, count) =>
      count === 1 ? void response.writeHead(403).end() : serve(request, response),
    );
    const address = at((_, response) => void response.writeHead(307, { location: target }).end());
    assert.deepEqual(await readAll(address), CONTENT);
    assert.equal(counts.get(new URL(address).pathname), 2);
  });
});
