import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { COMPUTATION } from '../../tasks/compute/table.ts';
import { cpuBackend } from '../../worker/compute/backends/host.ts';
import { startWorker } from '../../worker/worker.ts';
import { freePort } from '../bench/processes.ts';

// `done` used to resolve at once, so that a process which exited then lost its `bye`.
test('a worker that leaves waits until its bye is sent, for half a second', async () => {
  const worker = startWorker({
    computation: COMPUTATION,
    places: [{ connect: `tcp://127.0.0.1:${await freePort()}` }],
    backend: cpuBackend(),
    backendName: 'cpu',
    name: '',
    dataRoots: [tmpdir()],
    reconnectFor: 60_000,
    log: () => {},
  });
  const start = performance.now();
  worker.leave();
  await worker.done;
  const took = performance.now() - start;
  assert.ok(took > 400, `over after ${took.toFixed(0)} ms`);
});
