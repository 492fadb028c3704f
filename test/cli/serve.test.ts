// `dpmesh serve` as a process: what it prints, and how it ends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { D, dpmesh, easyData, refused, scratch, start, until } from '../e2e/support.ts';
import { fitted } from '../fitted.ts';

const folder = scratch();
const { rows } = easyData(folder, 'easy', 300);
const run = join(folder, 'x');

/** A request for labels of so many rows, which are 0, with binary data. */
function binaryRequest(count: number): Buffer {
  const values = Buffer.alloc(4 * count * D);
  const parameters = { binary_data_size: values.length };
  const inputs = [{ name: 'rows', datatype: 'FP32', shape: [count, D], parameters }];
  const json = JSON.stringify({ inputs });
  const head = `POST /v2/models/x/infer HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: ${json.length}\r\nContent-Length: ${json.length + values.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head + json), values]);
}

test('serve: prints the address of each model, and at SIGTERM answers what is under way', async () => {
  await fitted('gaussian', run);
  const serving = start(['serve', run, '--http', '127.0.0.1:0']);
  const [, url, port] = await until(
    'its address',
    () => /: (http:\/\/127\.0\.0\.1:(\d+)\/v2\/models\/x)\n/.exec(serving.stderr()),
    serving,
  );
  const body = JSON.stringify({
    inputs: [{ name: 'rows', datatype: 'FP32', shape: [300, D], data: Array.from(rows) }],
  });
  const answer = JSON.parse(await (await fetch(`${url}/infer`, { method: 'POST', body })).text());
  assert.equal(answer.outputs[0].data.length, 300);
  const socket = connect(Number(port), '127.0.0.1');
  let text = '';
  socket.on('data', (piece) => {
    text += piece;
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // A connection that is kept without a request, and an answer larger than what lies between two programs, which nobody reads yet.
  const idle = connect(Number(port), '127.0.0.1');
  await once(idle, 'connect');
  const ended = once(idle.resume(), 'close');
  const large = connect(Number(port), '127.0.0.1');
  large.write(binaryRequest(300_000));
  await once(large, 'readable');
  const head = `POST /v2/models/x/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
  socket.write(head + body.slice(0, 10));
  await sleep(100);
  serving.kill('SIGTERM');
  await ended;
  socket.write(body.slice(10));
  await closed;
  const [heading, content] = (await textOf(large)).split('\r\n\r\n');
  assert.match(heading, /^HTTP\/1\.1 200 OK\r\n/);
  assert.equal(content.length, Number(/content-length: (\d+)/i.exec(heading)![1]));
  assert.ok(content.length > 10 << 20, `${content.length} bytes`);
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.deepEqual(JSON.parse(text.split('\r\n\r\n')[1]), answer);
  const { code, stdout, stderr } = await serving.ended;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '');
  refused(await dpmesh(['serve', folder]), /is not the directory of a finished run/);
});
