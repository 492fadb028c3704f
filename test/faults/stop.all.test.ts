// Workers freeze (the short form of stop.ts), or their connections are slow or dead: nothing but the run time may change.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assertNoneLeft,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  patience,
  resultHashes,
  scratch,
  start,
  startAndReach,
  startCoordinator,
  trainArgs,
  undisturbedHashes,
  until,
} from '../e2e/support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 600);
const FLAGS = [
  ...['--no-early-stop', '--shards', 4, '--split-merge-every', 10, '--batch-size', 16, '--max-epochs'],
];
const EPOCHS = 40;
const SHORT = [...FLAGS, EPOCHS];
/** Enough for the run to last until a frozen worker is suspected, or a slow one rests. */
const MORE_EPOCHS = 200;
const LONG = [...FLAGS, MORE_EPOCHS];

/** A child process of the run whose arguments contain this text. */
function processOf(text: string, run: string): number | undefined {
  const argsOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  return readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .find((pid) => {
      try {
        const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
        return argsOf(pid).some((arg) => arg.includes(text)) && argsOf(parent).includes(run);
      } catch {
        return false;
      }
    });
}

const DELAY_MS = 50;

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

describe('the same bytes', () => {
  let [expected, ofLong]: string[][] = [];
  before(async () => {
    expected = await undisturbedHashes(easy.data, join(folder, 'quiet'), ...SHORT);
    ofLong = await undisturbedHashes(easy.data, join(folder, 'quiet-long'), ...LONG);
  });

  test('after a worker was frozen: first raced, then suspected, then back at work', async () => {
    const run = join(folder, 'frozen');
    const running = await startAndReach(5, easy.data, run, '--heartbeat-timeout', 2, ...LONG);
    const [{ pid, worker }] = ofType(eventsOf(run), 'worker');
    process.kill(pid, 'SIGSTOP');
    const frozenAt = epochOf(run);
    await until('progress of the others', () => epochOf(run) > frozenAt + 2, running);
    assert.equal(ofType(eventsOf(run), 'worker-gone').length, 0, 'raced before it is suspected');
    await until('suspicion', () => ofType(eventsOf(run), 'worker-gone').length > 0, running);
    process.kill(pid, 'SIGCONT');
    const json = jsonOf(await running.ended);
    await assertNoneLeft(running.pid);
    const [gone] = ofType(eventsOf(run), 'worker-gone');
    assert.deepEqual([gone.worker, gone.reason], [worker, 'silent for 2 s']);
    assert.equal(json.epochs, MORE_EPOCHS);
    assert.deepEqual(resultHashes(run), ofLong);
  });

  test('with a first worker that gets a hundredth of its time: another, which joins later, does the work', async () => {
    const { run, running, address } = await startCoordinator(easy.data, join(folder, 'hundredth'), ...SHORT);
    const args = ['worker', '--connect', address, '--data-root', folder, '--backend', 'wasm'];
    const slow = start(args);
    await until('its joining', () => /joined as/.test(slow.stderr()), running);
    let over = false;
    const throttling = (async () => {
      while (!over) {
        slow.kill('SIGSTOP');
        await sleep(2000);
        slow.kill('SIGCONT');
        await sleep(20);
      }
    })();
    await sleep(1200);
    const fast = start(args);
    const { seconds, ...ended } = await running.ended;
    over = true;
    await throttling;
    await Promise.all([slow.ended, fast.ended]);
    assert.equal(jsonOf({ seconds, ...ended }).epochs, EPOCHS);
    assert.deepEqual(resultHashes(run), expected);
    assert.ok(seconds < patience(25), `${seconds} s`);
  });

  test('with a worker that hangs before it joins: the run begins without it', async () => {
    const run = join(folder, 'stuck');
    const running = start(trainArgs(easy.data, run, '--workers', 2, ...SHORT));
    const stuck = await until('its second worker', () => processOf('"name":"local/1"', run), running);
    process.kill(stuck, 'SIGSTOP');
    const json = jsonOf(await running.ended);
    await assertNoneLeft(running.pid);
    assert.match(running.stderr(), /begins with 1 of 2 workers/);
    assert.equal(json.workers, 1);
    assert.deepEqual(resultHashes(run), expected);
  });

  test('with a worker whose link costs more than it computes: it gets no units, and is told so', async () => {
    const { run, running, address } = await startCoordinator(easy.data, join(folder, 'far'), ...LONG);
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
    assert.deepEqual(resultHashes(run), ofLong);
    for (const each of [far, near]) assert.equal((await each.ended).code, 0);
  });

  test('a worker whose connection no longer transfers data reconnects', async () => {
    const out = join(folder, 'dead');
    const { running, address } = await startCoordinator(easy.data, out, ...SHORT);
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
});
