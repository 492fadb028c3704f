// Relays between workers and their coordinator: the same bytes in any tree of them, and when its parts are killed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindRouter, type RouterSocket } from '../../../proto/sockets.ts';
import {
  assertNoneLeft,
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  eventsOf,
  freePort,
  jsonOf,
  ofType,
  QUICK,
  type RunningProcess,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  undisturbedHashes,
  until,
} from '../../e2e/support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const easy = easyData(folder, 'easy', 600);
/** A sample of so few rows comes from the coordinator. */
const SAMPLE = ['--sample', 120];
const FLAGS = [
  ...[...QUICK, ...SAMPLE, '--no-early-stop', '--max-epochs', 40, '--shards', 8],
  ...['--no-http', '--no-report'],
];
const MORE = { timeout: 120_000 };

/** A relay of this coordinator or relay, on a port that it has again when it is started again. */
async function startRelay(connect: string, name: string, ...flags: string[]) {
  const bind = `tcp://127.0.0.1:${await freePort()}`;
  const begin = () =>
    start(['relay', '--connect', connect, '--bind', bind, '--name', name, ...flags], {
      ...MORE,
      cwd: folder,
    });
  const running = begin();
  await until('the relay', () => running.stderr().includes('listening on'), running);
  return { bind, running, begin };
}
const workerOf = (connect: string, name: string, ...flags: string[]) =>
  start(['worker', '--connect', connect, '--backend', 'wasm', '--name', name, ...flags], {
    ...MORE,
    cwd: folder,
  });
const allEnd = async (processes: RunningProcess[]) => {
  for (const { code, stderr } of await Promise.all(processes.map(({ ended }) => ended)))
    assert.equal(code, 0, stderr);
};

let expected: string[];
before(async () => {
  expected = await undisturbedHashes(easy.data, path('quiet'), ...FLAGS);
});

test('the same bytes by a relay with two workers, a relay behind it with one, which is asked to leave, and a worker without', async () => {
  const { run, running, address } = await startCoordinator(easy.data, path('tree'), ...FLAGS);
  const outer = await startRelay(address, 'outer');
  const inner = await startRelay(outer.bind, 'inner');
  const workers = [outer.bind, outer.bind, address].map((at, i) => workerOf(at, `w${i}`));
  const left = workerOf(inner.bind, 'w3', '--reconnect-for', '3');
  await until('its joining', () => left.stderr().includes('joined as'), left);
  await until('epoch 3', () => epochOf(run) >= 3, running);
  inner.running.kill('SIGTERM');
  assert.equal((await inner.running.ended).code, 0);
  const { workers: seen } = jsonOf(await running.ended);
  assert.equal(seen, 2, 'a relay is one');
  await allEnd([outer.running, ...workers]);
  assert.equal((await left.ended).code, 2);
  assert.deepEqual(resultHashes(run), expected);
  const joined = ofType(eventsOf(run), 'worker');
  assert.deepEqual(new Set(joined.map(({ name }) => name)), new Set(['outer', 'w2']));
});

describe('parts that are killed', () => {
  test('a worker of a relay, then all of it, then the relay, which comes again', async () => {
    const { run, running, address } = await startCoordinator(easy.data, path('killed'), ...FLAGS);
    const relay = await startRelay(address, 'relay');
    const workers = [0, 1].map((i) => workerOf(relay.bind, `w${i}`, '--reconnect-for', '60'));
    await until('epoch 3', () => epochOf(run) >= 3, running);
    await workers[0].killAll();
    await until('epoch 6', () => epochOf(run) >= 6, running);
    await workers[1].killAll();
    await until('the relay to leave', () => relay.running.stderr().includes('no workers are left'), running);
    await until('its departure', () => ofType(eventsOf(run), 'worker-gone').length > 0, running);
    const others = [2, 3].map((i) => workerOf(relay.bind, `w${i}`, '--reconnect-for', '60'));
    const reached = epochOf(run);
    await until('further epochs', () => epochOf(run) >= reached + 3, running);
    await relay.running.killAll();
    await sleep(300);
    const again = relay.begin();
    jsonOf(await running.ended);
    await allEnd([again, ...others]);
    assert.deepEqual(resultHashes(run), expected);
  });

  test('a relay, for good: its workers go on with the coordinator, with another key', async () => {
    const keysOf = async (name: string) => {
      assert.equal((await dpmesh(['keygen', path(name)])).code, 0);
      return [path(name), join(path(name), 'worker.key')];
    };
    const [[root, rootKey], [rack, rackKey]] = [await keysOf('root-keys'), await keysOf('rack-keys')];
    const { run, running, address } = await startCoordinator(
      easy.data,
      path('for-good'),
      ...FLAGS,
      '--keys',
      root,
    );
    const relay = await startRelay(address, 'relay', '--key', rootKey, '--keys', rack);
    const list = `${relay.bind},${address}`;
    const workers = [0, 1].map((i) => workerOf(list, `w${i}`, '--key', `${rackKey},${rootKey}`));
    await until('epoch 3', () => epochOf(run) >= 3, running);
    await relay.running.killAll();
    jsonOf(await running.ended);
    await allEnd(workers);
    assert.deepEqual(resultHashes(run), expected);
    const joined = ofType(eventsOf(run), 'worker').map(({ name }) => name);
    assert.deepEqual(new Set(joined), new Set(['relay', 'w0', 'w1']));
  });

  test('the coordinator: resumed, its relay is there again', async () => {
    const run = path('root');
    const bind = `tcp://127.0.0.1:${await freePort()}`;
    const { running } = await startCoordinator(
      easy.data,
      run,
      ...FLAGS,
      '--bind',
      bind,
      '--checkpoint-every',
      0,
    );
    const relay = await startRelay(bind, 'relay');
    const workers = [0, 1].map((i) => workerOf(relay.bind, `w${i}`));
    await until('epoch 8', () => epochOf(run) >= 8, running);
    await running.killAll();
    const resumed = start(['resume', run, '--bind', bind, '--json', '--no-http', '--no-report'], MORE);
    jsonOf(await resumed.ended);
    await allEnd([relay.running, ...workers]);
    assert.deepEqual(resultHashes(run), expected);
  });
});

test('a relay reads the list of its keys again at SIGHUP, and warns of --insecure', async () => {
  const keys = path('hup-keys');
  const keygen = async (...more: string[]) => assert.equal((await dpmesh(['keygen', keys, ...more])).code, 0);
  await keygen();
  const { running } = await startRelay('tcp://127.0.0.1:9', 'relay', '--keys', keys);
  await keygen('--workers', 'late');
  running.kill('SIGHUP');
  await until(
    'the list',
    () => running.stderr().includes('read the list of keys again: 2 allowed\n'),
    running,
  );
  await running.killAll();
  const open = await startRelay('tcp://127.0.0.1:9', 'relay', '--insecure');
  assert.match(open.running.stderr(), /^relay: warning: --insecure: anyone who can reach tcp\S+ can join/m);
  await open.running.killAll();
});

describe('launch of more than four workers', () => {
  const launchOf = (connect: string) =>
    start(['launch', '--cpus', 5, '--connect', connect, '--backend', 'wasm', '--data-root', folder], MORE);

  test('five workers are one at the coordinator; their relay is killed, and comes again', async () => {
    const { run, running, address } = await startCoordinator(easy.data, path('launched'), ...FLAGS);
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
      easy.data,
      path('endless'),
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
});

describe('dpmesh relay refuses', () => {
  test('to be connected to itself, also by way of another', async () => {
    const ports = [await freePort(), await freePort(), await freePort()].map(
      (port) => `tcp://127.0.0.1:${port}`,
    );
    for (const [at, ...others] of [[ports[0]], ports.slice(1)]) {
      const next = [...others, at];
      const relays = [at, ...others].map((bind, i) =>
        start(['relay', '--connect', next[i], '--bind', bind, '--name', `r${i}`], { ...MORE, cwd: folder }),
      );
      await until(
        'the relay',
        () => relays.every((relay) => relay.stderr().includes('listening on')),
        relays[0],
      );
      const worker = workerOf(at, 'w');
      const { code, stderr } = await relays.at(-1)!.ended;
      assert.equal(code, 2, stderr);
      assert.match(stderr, /refused this worker: it is connected to itself/);
      for (const each of [...relays, worker]) await each.killAll();
    }
  });

  test('a port that is in use, and an address of another machine', async () => {
    const { bind, running } = await startRelay('tcp://127.0.0.1:1', 'first');
    for (const [at, says] of [
      [bind, `dpmesh: --bind ${bind}: the port is in use; choose another, or * for any free port`],
      ['tcp://192.0.2.1:5556', 'dpmesh: --bind tcp://192.0.2.1:5556: this machine has no such address'],
    ]) {
      const flags = ['--connect', 'tcp://127.0.0.1:1', '--bind', at, '--insecure'];
      const { code, stderr } = await dpmesh(['relay', ...flags]);
      assert.equal(code, 2, stderr);
      assert.ok(stderr.includes(says), stderr);
      assert.doesNotMatch(stderr, /\n +at /);
    }
    await running.killAll();
  });

  test('addresses that are none, or open without keys', async () => {
    for (const [flags, says] of [
      [['--connect', 'here'], '--connect here must look like'],
      [['--connect', 'tcp://a:1,here'], '--connect here must look like'],
      [['--connect', 'tcp://a:1', '--key', 'a,b'], '--key a,b: 2 files, for another number of addresses (1)'],
      [['--connect', 'tcp://a:1', '--bind', 'tcp://*:5556'], 'is open to other machines'],
      [['--connect', 'tcp://a:1', '--bind', 'here'], '--bind here must look like'],
    ] as const) {
      const { code, stderr } = await dpmesh(['relay', ...flags]);
      assert.equal(code, 2, stderr);
      assert.ok(stderr.includes(says), stderr);
    }
  });
});

test('a relay that cannot read a message leaves with the exit code of a worker that does: another start may help', async () => {
  const coordinator: RouterSocket = await bindRouter('tcp://127.0.0.1:*', (peer) => {
    void coordinator.send(peer, [Buffer.of(0xc1)]);
  });
  const relay = await startRelay(coordinator.address, 'relay');
  const worker = workerOf(relay.bind, 'w');
  try {
    const { code, stderr } = await relay.running.ended;
    assert.match(stderr, /dpmesh: cannot read a message of the coordinator/);
    assert.equal(code, 1, stderr);
  } finally {
    await worker.killAll();
    await coordinator.close();
  }
});
