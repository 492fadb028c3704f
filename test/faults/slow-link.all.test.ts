// Connections through a proxy: one of 50 ms each way, and one that stays open but no longer transfers data, which the kernels at
// both ends do not notice.
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
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

/** A TCP proxy that passes on, in order, what each connection (counted from 1) is to pass on. Returns its address. */
async function proxyTo(
  address: string,
  pass: (connection: number, write: () => void) => void,
): Promise<string> {
  let connections = 0;
  const server = createServer({ noDelay: true }, (near) => {
    const connection = ++connections;
    const far = dial({ port: Number(new URL(address).port), host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('data', (chunk) => pass(connection, () => to.write(chunk)));
      from.on('error', () => {}).on('close', () => void setTimeout(() => to.destroy(), DELAY_MS));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => server.close());
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a worker whose link costs more than it computes gets no units, is told so, and changes no byte', async () => {
  const { data } = easyData(folder, 'easy', 2000);
  const flags = [...QUICK, '--no-early-stop', '--max-epochs', 300];
  const expected = await undisturbedHashes(data, `${folder}/quiet`, ...flags);
  const { run, running, address } = await startCoordinator(data, `${folder}/run`, ...flags);
  const worker = (connect: string, name: string) =>
    start(['worker', '--connect', connect, '--name', name, '--data-root', folder]);
  const slow = await proxyTo(address, (_, write) => void setTimeout(write, DELAY_MS));
  const far = worker(slow, 'far');
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

test('a worker whose connection no longer transfers data reconnects', async () => {
  const { data } = easyData(folder, 'few', 600);
  const flags = ['--no-early-stop', '--max-epochs', 60];
  const [quiet, out] = ['dead-quiet', 'dead'].map((name) => join(folder, name));
  const expected = await undisturbedHashes(data, quiet, ...flags);
  const { running, address } = await startCoordinator(data, out, ...flags);
  let dead = false;
  // Only the first connection dies. The worker probes with a second one before it reconnects.
  const line = await proxyTo(address, (connection, write) => {
    if (connection > 1 || !dead) write();
  });
  const helper = start(['worker', '--connect', line, '--data-root', folder]);
  await until('epoch 3', () => epochOf(out) >= 3, running);
  dead = true;
  jsonOf(await running.ended);
  assert.equal((await helper.ended).code, 0);
  assert.equal(ofType(eventsOf(out), 'worker').length, 2);
  assert.deepEqual(resultHashes(out), expected);
});
