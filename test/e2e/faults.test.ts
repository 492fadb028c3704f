// Freezing, and a coordinator that dies under its workers: nothing but the time may change.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  bytesOfRun,
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  freePort,
  jsonOf,
  leftovers,
  ofType,
  QUICK,
  scratch,
  start,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 3000);
/** A child of the run whose arguments have this text. */
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

/** Enough to be under way still when a frozen worker is suspected, or both have found the new coordinator. */
const EPOCHS = 250;
const FLAGS = ['--no-early-stop', '--max-epochs', EPOCHS, ...QUICK];

describe('the same bytes', () => {
  let expected: string[];
  before(async () => {
    const quiet = join(folder, 'quiet');
    jsonOf(await dpmesh(trainArgs(easy.data, quiet, '--workers', 1, ...FLAGS)));
    expected = bytesOfRun(quiet);
  });

  test('after a worker was frozen: raced at first, suspected in the end, and back at work', async () => {
    const run = join(folder, 'frozen');
    const running = start(trainArgs(easy.data, run, '--workers', 2, '--heartbeat-timeout', 3, ...FLAGS));
    await until('epoch 5', () => epochOf(run) >= 5, running);
    const [{ pid, worker }] = ofType(eventsOf(run), 'worker');
    process.kill(pid, 'SIGSTOP');
    const frozenAt = epochOf(run);
    await until('the others to go on', () => epochOf(run) > frozenAt + 2, running);
    assert.equal(ofType(eventsOf(run), 'worker-gone').length, 0, 'raced before it is suspected');
    await until('suspicion', () => ofType(eventsOf(run), 'worker-gone').length > 0, running);
    process.kill(pid, 'SIGCONT');
    const json = jsonOf(await running.ended);
    await leftovers(running.pid);
    const [gone] = ofType(eventsOf(run), 'worker-gone');
    assert.deepEqual([gone.worker, gone.reason], [worker, 'silent for 3 s']);
    assert.equal(json.epochs, EPOCHS);
    assert.deepEqual(bytesOfRun(run), expected);
  });

  test('after a worker that does not get as far as joining: the run begins without it', async () => {
    const run = join(folder, 'stuck');
    const running = start(trainArgs(easy.data, run, '--workers', 2, ...FLAGS));
    const stuck = await until('its second worker', () => processOf('"name":"local/1"', run), running);
    process.kill(stuck, 'SIGSTOP');
    const json = jsonOf(await running.ended);
    await leftovers(running.pid);
    assert.match(running.stderr(), /begins with 1 of 2 workers/);
    assert.equal(json.workers, 1);
    assert.deepEqual(bytesOfRun(run), expected);
  });

  test('after the coordinator was killed: its workers wait for the one that resumes', async () => {
    const run = join(folder, 'orphaned');
    const address = `tcp://127.0.0.1:${await freePort()}`;
    const first = start([
      ...['coordinator', '--data', easy.data, '--out', run, '--bind', address, '--checkpoint-every', 0],
      ...FLAGS,
    ]);
    await until('its address', () => first.stderr().includes(`listening on ${address};`), first);
    const workers = ['one', 'two'].map((name) =>
      start(['worker', '--connect', address, '--name', name, '--data-root', folder, '--reconnect-for', 30]),
    );
    const joined = () => ofType(eventsOf(run), 'worker').length;
    await until('both workers, and epoch 8', () => joined() === 2 && epochOf(run) >= 8, first);
    first.kill('SIGKILL');
    await first.ended;
    await sleep(500);
    const json = jsonOf(await dpmesh(['resume', run, '--bind', address, '--json'], { grace: 1 }));
    assert.equal(json.epochs, EPOCHS);
    for (const worker of workers) {
      const { code, stderr } = await worker.ended;
      assert.equal(code, 0, stderr);
      assert.equal(stderr.match(/joined as/g)?.length, 2, stderr);
      await leftovers(worker.pid);
    }
    assert.deepEqual(bytesOfRun(run), expected);
  });

  test('a worker without a coordinator gives up after its time', async () => {
    const { code, stderr } = await dpmesh([
      ...['worker', '--connect', `tcp://127.0.0.1:${await freePort()}`, '--reconnect-for', 2],
    ]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /no word from tcp:\/\/127\.0\.0\.1:\d+ for 2 s/);
  });
});
