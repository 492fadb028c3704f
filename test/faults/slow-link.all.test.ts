// A worker behind a link of 50 ms each way, beside one that is near.
import assert from 'node:assert/strict';
import { createServer, connect as dial, type Socket } from 'node:net';
import { after, test } from 'node:test';
import {
  easyData,
  freePort,
  jsonOf,
  QUICK,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  undisturbedHashes,
  until,
} from '../e2e/support.ts';

const DELAY_MS = 50;
const folder = scratch();

/** A TCP proxy that passes everything on, in order, after a delay. Returns its address. */
async function slowLinkTo(address: string): Promise<string> {
  const target = Number(address.split(':').at(-1));
  const forward = (from: Socket, to: Socket) => {
    from.on('data', (chunk) => void setTimeout(() => to.write(chunk), DELAY_MS));
    from.on('close', () => void setTimeout(() => to.destroy(), DELAY_MS));
    from.on('error', () => {});
  };
  const server = createServer({ noDelay: true }, (near) => {
    const far = dial({ port: target, host: '127.0.0.1', noDelay: true });
    forward(near, far);
    forward(far, near);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  after(() => server.close());
  return `tcp://127.0.0.1:${port}`;
}

test('a worker whose link costs more than it computes gets no units, is told so, and changes no byte', async () => {
  const { data } = easyData(folder, 'easy', 2000);
  const flags = [...QUICK, '--no-early-stop', '--max-epochs', 300];
  const expected = await undisturbedHashes(data, `${folder}/quiet`, ...flags);
  const { run, running, address } = await startCoordinator(data, `${folder}/run`, ...flags);
  const worker = (connect: string, name: string) =>
    start(['worker', '--connect', connect, '--name', name, '--data-root', folder]);
  const far = worker(await slowLinkTo(address), 'far');
  await until('the far worker', () => far.stderr().includes('joined'), far);
  const near = worker(address, 'near');
  await until('its rest', () => running.stderr().includes('gets no units for now'), running);
  await until(
    'that it is told so',
    () => far.stderr().includes('gets no units for now: rounds are faster'),
    far,
  );
  jsonOf(await running.ended);
  assert.match(running.stderr(), /^\S+Z worker w1 on \S+ gets no units for now/m);
  assert.ok(!/worker w2 .*gets no units/.test(running.stderr()), running.stderr());
  assert.deepEqual(resultHashes(run), expected);
  for (const each of [far, near]) assert.equal((await each.ended).code, 0);
});
