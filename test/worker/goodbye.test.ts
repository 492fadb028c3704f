import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { freePort } from '../../bench/processes.ts';
import { cpuBackend } from '../../worker/compute/backends/cpu.ts';
import { Worker } from '../../worker/worker.ts';

// Once it was over at once, and a process that exited then took its goodbye along.
test('the end of a worker waits until its goodbye is taken, for half a second', async () => {
  const worker = new Worker({
    connect: `tcp://127.0.0.1:${await freePort()}`,
    backend: cpuBackend(),
    backendName: 'cpu',
    name: '',
    dataRoot: tmpdir(),
    reconnectFor: 60_000,
    log: () => {},
  });
  const begun = performance.now();
  worker.leave();
  await worker.done;
  const took = performance.now() - begun;
  assert.ok(took > 400, `over after ${took.toFixed(0)} ms`);
});
