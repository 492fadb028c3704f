// The short form of strangers.ts: a complete run while peers without valid keys keep connecting to its port; and one whose coordinator
// may have few descriptors, while strangers take all that are left.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  checkpointsOf,
  easyData,
  epochOf,
  eventsOf,
  ofType,
  pageUrlOf,
  resultHashes,
  scratch,
  undisturbedHashes,
  until,
} from '../e2e/support.ts';
import { startCluster } from './manual-cluster.ts';
import { startHostilePeers } from './start-hostile-peers.ts';

const folder = scratch();
const { data } = easyData(folder, 'easy', 600);
const FLAGS = ['--no-early-stop', '--max-epochs', 150, '--split-merge-every', 10];
let expected: string[];
before(async () => {
  expected = await undisturbedHashes(data, join(folder, 'quiet'), ...FLAGS);
});

test('a run with hostile peers: none is accepted, few log lines, the same bytes', async () => {
  const out = join(folder, 'hostile');
  const { coordinator, address, serverKey, worker } = await startCluster(data, out, FLAGS);
  const peers = await startHostilePeers(address, serverKey, 1);
  const workers = [0, 1].map(() => worker(folder));
  const { code, stderr } = await coordinator.ended;
  peers.end();
  for (const each of workers) await each.killAll();
  assert.equal(code, 0, stderr);
  assert.deepEqual(resultHashes(out), expected);
  const events = eventsOf(out);
  assert.equal(ofType(events, 'worker').length, 2);
  assert.equal(ofType(events, 'worker-gone').length, 0);
  const { idle, answers, noKey, plain, unknownKey, wrongServer } = peers.attempts();
  assert.equal(answers, 0);
  for (const [kind, times] of Object.entries({ idle, noKey, plain, unknownKey, wrongServer }))
    assert.ok(times >= 5, `${kind}: ${times}`);
  const refused = stderr.split('\n').filter((line) => /^(\S+Z )?refused/.test(line));
  // Each unknown key is logged once; repetitions at powers of ten.
  assert.ok(refused.length > 3, stderr);
  assert.ok(refused.length <= unknownKey + 50, refused.join('\n'));
});

const LIMIT = 256;
const STRANGERS = 400;

test('idle connections that take all descriptors do not end a run, and checkpoints are written meanwhile', async () => {
  const out = join(folder, 'idle');
  const within = ['bash', '-c', `ulimit -n ${LIMIT}; exec "$0" "$@"`];
  const http = [...FLAGS, '--checkpoint-every', 0, '--http', '127.0.0.1:0'];
  const { coordinator, address, worker, over } = await startCluster(data, out, http, { within });
  const workers = [0, 1].map(() => worker(folder));
  const sockets: Socket[] = [];
  try {
    await until('epoch 5', () => epochOf(out) >= 5, coordinator);
    const ports = [Number(address.split(':').at(-1)), Number(new URL(await pageUrlOf(coordinator)).port)];
    for (const port of ports)
      for (let i = 0; i < STRANGERS; i++) sockets.push(connect(port, '127.0.0.1').on('error', () => {}));
    let most = 0;
    let saved = 0;
    while (!over()) {
      const open = descriptorsOf(coordinator.pid);
      if (open >= LIMIT - 1) saved = Math.max(saved, ofType(eventsOf(out), 'checkpoint').length);
      most = Math.max(most, open);
      await sleep(20);
    }
    const { code, stderr } = await coordinator.ended;
    assert.equal(code, 0, stderr);
    assert.ok(most >= LIMIT - 1, `at most ${most} descriptors`);
    assert.deepEqual(resultHashes(out), expected);
    const events = eventsOf(out);
    assert.equal(ofType(events, 'worker-gone').length, 0);
    // Not all: each costs some of the reserve, which libzmq takes for the connections that wait.
    assert.ok(saved > 0 && checkpointsOf(out).length > 0, `${saved} checkpoints at the limit`);
  } finally {
    for (const socket of sockets) socket.destroy();
    await Promise.all([coordinator, ...workers].map((each) => each.killAll()));
  }
});

function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
