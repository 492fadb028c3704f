// `launch` with more than four workers: a relay of its own stands for them, also when it is killed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  assertNoneLeft,
  ENDLESS,
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

const folder = scratch();
const { data } = easyData(folder, 'easy', 2000);
const launchOf = (connect: string) =>
  start(['launch', '--cpus', 5, '--connect', connect, '--backend', 'wasm', '--data-root', folder], {
    timeout: 120_000,
  });

test('five workers are one at the coordinator; their relay is killed, and comes again', async () => {
  const flags = [...QUICK, '--no-early-stop', '--max-epochs', 40, '--shards', 8, '--no-http', '--no-report'];
  const expected = await undisturbedHashes(data, join(folder, 'quiet'), ...flags);
  const { run, running, address } = await startCoordinator(data, join(folder, 'run'), ...flags);
  const launched = launchOf(address);
  const relays = () => ofType(eventsOf(run), 'worker');
  await until('epoch 3', () => epochOf(run) >= 3, running);
  const [{ pid, name }] = relays();
  assert.equal(name, `${hostname()}/relay`);
  for (const file of ['cmdline', 'environ'])
    assert.doesNotMatch(readFileSync(`/proc/${pid}/${file}`, 'latin1'), /secret/i);
  process.kill(pid, 'SIGKILL');
  const { workers } = jsonOf(await running.ended);
  const { code, stderr } = await launched.ended;
  assert.equal(code, 0, stderr);
  await assertNoneLeft(launched.pid, 1);
  assert.deepEqual(resultHashes(run), expected);
  // As long as the coordinator does not miss the one that was killed, there are two.
  assert.ok(workers <= 2, stderr);
  assert.deepEqual(new Set(relays().map(({ name }) => name)), new Set([name]), stderr);
  assert.match(stderr, /^launch: a relay stands for them at the coordinator$/m);
  assert.ok(stderr.includes(`launch: ${name} killed by SIGKILL; restarting it\n`), stderr);
  assert.ok((stderr.match(/^\S+\/cpu\d: joined as /gm)?.length ?? 0) >= 5, stderr);
});

test('a signal to all processes: the relay leaves after its workers; killed launch: it ends with them', async () => {
  const { run, running, address } = await startCoordinator(
    data,
    join(folder, 'endless'),
    ...QUICK,
    ...ENDLESS,
  );
  const launched = launchOf(address);
  await until('work', () => epochOf(run) >= 2, launched);
  process.kill(-launched.pid, 'SIGTERM');
  const { code, stderr } = await launched.ended;
  assert.equal(code, 0, stderr);
  await assertNoneLeft(launched.pid, 1);
  const gone = await until('its departure', () => ofType(eventsOf(run), 'worker-gone')[0]);
  assert.equal(gone.reason, 'said goodbye');
  const killed = launchOf(address);
  await until('its relay', () => ofType(eventsOf(run), 'worker').length > 1, killed);
  process.kill(killed.pid, 'SIGKILL');
  await assertNoneLeft(killed.pid, 3);
  running.kill('SIGTERM');
  await running.ended;
});
