// `dpmesh watch` and a server that may be no run: what it reads is bounded, what it prints is plain text.
import assert from 'node:assert/strict';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { follow } from '../../cli/watch.ts';

const RUN = { status: 'running', config: { maxEpochs: 9 }, workers: ['w1'] };
const HISTORY = { epochs: { epoch: [], time: [], k: [], loss: [], subLoss: [] }, events: [] };
type Answer = (response: ServerResponse) => void;
type Answers = { run?: Answer; history?: Answer; stream?: Answer };
const json = (value: unknown) => (response: ServerResponse) => void response.end(JSON.stringify(value));
/** Without end, and no faster than it is read. */
const endless = (text: string) => (response: ServerResponse) => {
  const chunk = text.repeat(Math.ceil(65_536 / text.length));
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more);
  more();
};
const messages = (...all: unknown[]) => {
  const text = all.map((message) => `data: ${JSON.stringify(message)}\n\n`).join('');
  return (response: ServerResponse) => void response.write(text);
};

/** What is shown of such a server, and how following it ended. */
async function followed(answers: Answers, patience?: number) {
  const routes: Record<string, Answer> = {
    '/api/run': answers.run ?? json(RUN),
    '/api/history': answers.history ?? json(HISTORY),
    '/api/stream': answers.stream ?? messages({ type: 'status', status: 'done' }),
  };
  const listener: RequestListener = ({ url }, response) => routes[url!](response);
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let shown = '';
  const write = (text: string) => {
    shown += text;
  };
  const stream = { write } as unknown as NodeJS.WriteStream;
  try {
    const { port } = server.address() as AddressInfo;
    const url = new URL(`http://127.0.0.1:${port}`);
    const ended = await follow(url, undefined, stream, patience).catch((error: Error) => error);
    return { ended, shown };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function refused(answers: Answers, says: RegExp): Promise<void> {
  const { ended } = await followed(answers);
  assert.ok(ended instanceof UserError, String((ended as Error).stack ?? ended));
  const { message } = ended;
  assert.match(message, /^http:\/\/127\.0\.0\.1:\d+ is no run of dpmesh, or of another version: [^\n]+$/);
  assert.match(message, says);
}

describe('watch', () => {
  test('follows a run to its end', async () => {
    const end = { type: 'event', event: { type: 'end', time: '2', epoch: 3, k: 2, reason: 'settled' } };
    const { ended, shown } = await followed({ stream: messages(end, { type: 'status', status: 'done' }) });
    assert.equal(ended, 'done');
    assert.equal(shown, 'epoch   3  settled  K 2\n');
  });

  test('reads no endless answer', async () => {
    await refused({ run: endless(' ') }, /more than 64 MiB/);
    await refused({ history: endless('[') }, /more than 64 MiB/);
  });

  test('waits no longer for the end of an answer than for its beginning', async () => {
    const dripping = (response: ServerResponse) => {
      const timer = setInterval(() => response.write(' '), 20);
      response.once('close', () => clearInterval(timer));
    };
    for (const answers of [{ run: dripping }, { history: dripping }]) {
      const { ended } = await followed(answers, 300);
      assert.match(String(ended), /does not answer/);
    }
  });

  test('reads no endless line of the stream, and no endless message of many lines', async () => {
    for (const text of ['data: x', ': x', 'x', 'data: x\n'])
      await refused({ stream: endless(text) }, /a message has more than 1 MiB/);
  });

  test('is not led to try for ever by answers of another form', async () => {
    const other: Answers[] = [
      { run: (response) => void response.end('<html>') },
      { run: (response) => void response.end('\x1b\ndpmesh: warning: all is well') },
      ...[null, 7, [], {}, { ...RUN, workers: 7 }].map((value) => ({ run: json(value) })),
      ...[null, {}, { events: [] }, { ...HISTORY, events: [null] }].map((value) => {
        return { history: json(value) };
      }),
      ...[null, 7, {}, { type: 'event' }, { type: 'event', event: { type: 'start' } }].map((value) => {
        return { stream: messages(value) };
      }),
      { stream: (response) => void response.write('data: {\n\n') },
    ];
    for (const answers of other) await refused(answers, /an answer has another form/);
  });

  test('prints no control characters, and one line for an event', async () => {
    const bad = `\x1b]0;title\x07\x9b2J\u202e\r\ndpmesh: warning: all is well${'.'.repeat(5000)}`;
    const event = (rest: object) => ({ type: 'event', event: { time: '1', ...rest } });
    const { ended, shown } = await followed({
      history: json({ ...HISTORY, events: [{ time: '0', type: 'warning', message: bad }] }),
      stream: messages(
        event({ type: 'warning', message: bad }),
        event({ type: 'worker-gone', worker: bad, pid: bad, how: bad, reason: bad }),
        event({ type: 'resume', epoch: bad, k: bad, from: bad }),
        event({ type: 'start', rows: bad, dim: bad, sample: 0, shards: bad }),
        event({ type: 'step', epoch: bad, kind: bad, changed: 1, k: bad }),
        event({ type: 'end', epoch: bad, k: bad, reason: bad }),
        { type: 'status', status: bad },
        { type: 'status', status: 'failed' },
      ),
    });
    assert.equal(ended, 'failed');
    const lines = shown.trimEnd().split('\n');
    assert.equal(lines.length, 7, shown);
    assert.ok(lines.every(({ length }) => length <= 2000));
    assert.match(shown, /title/);
    assert.doesNotMatch(shown, /(?!\n)[\p{Cc}\u202e]/u);
  });
});
