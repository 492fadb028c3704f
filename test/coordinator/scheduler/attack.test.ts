// What a peer with a good key could try, besides mutated messages (test/faults/fuzz-coordinator.test.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr } from 'msgpackr';
import { oneLine, printable } from '../../../base/text.ts';
import type { Registry } from '../../../coordinator/scheduler/registry.ts';
import { createScheduler } from '../../../coordinator/scheduler/scheduler.ts';
import { byPrefix, decode, MalformedMessage, prefixed } from '../../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, fromWorker, PROTOCOL } from '../../../proto/messages.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { Event } from '../../../view/events.ts';

const layout = { rows: 100, dim: 2, shards: 4, blockRows: 16, seed: '0' };

function place(pace = 100) {
  const sent: [string, FromCoordinator][] = [];
  const events: Event[] = [];
  let clock = 0;
  const scheduler = createScheduler({
    layout,
    file: null,
    term: 7,
    heartbeatTimeout: 1e9,
    send: (peer, message) => void sent.push([peer, message]),
    now: () => (clock += pace),
    emit: (event) => void events.push(event),
    log: () => {},
  });
  const hello = (n: number): FromWorker => ({
    type: 'hello',
    protocol: PROTOCOL,
    identity: 'wasm/1',
    backend: 'wasm',
    host: 'h',
    pid: n,
    name: '',
    session: n.toString(16).padStart(32, '0'),
  });
  return { ...scheduler, sent, events, hello };
}

const isHere = (registry: Registry, peer: string) => registry.at(peer)?.state === 'up';

test('tensors that lie over one another are refused before any is copied', () => {
  const message = (count: number) => {
    const tensors = Array.from({ length: count }, (_, i) => ({
      ...{ name: `t${i}`, dtype: 'uint8', shape: [100] },
      ...{ frame: 1, at: 0 },
    }));
    return [new Packr({ useRecords: false }).pack({ type: 'ping', tensors }), Buffer.alloc(100)];
  };
  assert.equal(decode(fromWorker, message(1)).tensors.t0.data.length, 100);
  assert.throws(
    () => decode(fromWorker, message(2)),
    (error) => error instanceof MalformedMessage && /overlaps others/.test(error.message),
  );
});

test('a message of many results and many tensors is sorted out in one pass', () => {
  const parts = Array.from({ length: 20_000 }, (_, i): [number, Tensors] => [
    i,
    { x: nd(new Uint8Array(1)) },
  ]);
  const all = prefixed(parts);
  const begun = performance.now();
  const found = byPrefix(all);
  assert.equal(found.size, parts.length);
  assert.deepEqual(Object.keys(found.get('777')!), ['x']);
  assert.ok(performance.now() - begun < 1000);
});

test('workers without names may come and go for ever; as many as there is room for are kept in mind', () => {
  const { router, registry, sent, hello } = place();
  for (let n = 1; n <= 3000; n++) {
    router.receive(`p${n}`, hello(n), {});
    assert.deepEqual(sent.at(-1)![1].type, 'welcome', `worker ${n}`);
    if (n > 2) router.receive(`p${n}`, { type: 'bye' }, {});
  }
  assert.ok(registry.peers().length <= 1024);
  // Those that stayed are not pushed out.
  assert.ok(isHere(registry, 'p1') && isHere(registry, 'p2'));
});

test('with as many at work, one more is refused for now', () => {
  const { router, sent, hello } = place();
  for (let n = 1; n <= 1025; n++) router.receive(`p${n}`, hello(n), {});
  const reason = 'there are 1024 workers already';
  assert.deepEqual(sent.at(-1), ['p1025', { type: 'refuse', reason, retry: true }]);
  router.receive('p7', { type: 'bye' }, {});
  router.receive('p1025', hello(1025), {});
  assert.equal(sent.at(-1)![1].type, 'welcome');
});

test('who is gone and has done nothing is forgotten before who has', async () => {
  const { router, dispatcher, sent, hello } = place();
  router.receive('p1', hello(1), {});
  const unit = { shard: 0, from: 0, to: 0 };
  dispatcher.publish('net', {});
  const round = dispatcher.round({
    ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], uses: ['net'], units: [unit] },
    ...{ streams: false, expects: () => [{}] },
  });
  const { round: id } = sent.at(-1)![1] as Extract<FromCoordinator, { type: 'round' }>;
  const results = { type: 'results' as const, term: 7, round: id, done: [[unit]], rowsRead: 0, memory: 0 };
  router.receive('p1', { ...results, seconds: {} }, {});
  await round;
  router.receive('p1', { type: 'bye' }, {});
  for (let n = 2; n <= 1500; n++) {
    router.receive(`p${n}`, hello(n), {});
    router.receive(`p${n}`, { type: 'bye' }, {});
  }
  router.receive('again', hello(1), {});
  assert.deepEqual(sent.at(-1)![1], { ...welcomeOf(sent), worker: 'w1' });
});

const welcomeOf = (sent: [string, FromCoordinator][]) =>
  sent.find(([, { type }]) => type === 'welcome')![1] as Extract<FromCoordinator, { type: 'welcome' }>;

test('however often workers come and go, lines in the events are few in the end', () => {
  const { router, counts, events, hello } = place(1);
  // A minute of 16,000 hellos, each of another process on another connection.
  for (let n = 1; n <= 16_000; n++) router.receive(`p${n}`, hello(n), {});
  assert.ok(events.length < 5000, `${events.length} lines`);
  assert.ok(counts.hellosIgnored > 10_000);
});

test('a worker that is here and says the same again is no news; goodbyes taken back are few', () => {
  const { router, events, hello } = place(1);
  for (let n = 1; n <= 100; n++) router.receive(`p${n}`, hello(1), {});
  assert.equal(events.length, 1);
  router.receive('p100', { ...hello(1), why: 'another' } as FromWorker, {});
  assert.equal(events.length, 2);
  for (let n = 1; n <= 10_000; n++) {
    router.receive('p100', { type: 'bye' }, {});
    router.receive('p100', { type: 'ping' }, {});
  }
  assert.ok(events.length < 6000, `${events.length} lines`);
});

test('an identity that comes and goes without a result is not the run’s', async () => {
  const { router, registry, dispatcher, sent, hello } = place();
  const squat = (n: number) => ({ ...hello(n), identity: 'squatter/1' }) as FromWorker;
  router.receive('evil', squat(1), {});
  assert.equal(registry.identity(), 'squatter/1');
  router.receive('evil', { type: 'bye' }, {});
  assert.equal(registry.identity(), null);
  router.receive('good', hello(2), {});
  assert.equal(sent.at(-1)![1].type, 'welcome');
  assert.deepEqual([registry.identity(), registry.backend()?.name], ['wasm/1', 'wasm']);
  // Who comes back is asked again.
  router.receive('evil', { type: 'ping' }, {});
  assert.equal(sent.at(-1)![1].type, 'refuse');
  assert.ok(!isHere(registry, 'evil') && isHere(registry, 'good'));
  router.receive('evil', squat(3), {});
  assert.equal(sent.at(-1)![1].type, 'refuse');
  // From the first result on it stays.
  const unit = { shard: 0, from: 0, to: 0 };
  dispatcher.publish('net', {});
  const round = dispatcher.round({
    ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], uses: ['net'], units: [unit] },
    ...{ streams: false, expects: () => [{}] },
  });
  const results = { type: 'results' as const, term: 7, round: 1, done: [[unit]], rowsRead: 0, memory: 0 };
  router.receive('good', { ...results, seconds: {} }, {});
  await round;
  router.receive('good', { type: 'bye' }, {});
  router.receive('evil', squat(4), {});
  assert.deepEqual([sent.at(-1)![1].type, registry.identity()], ['refuse', 'wasm/1']);
});

test('a worker that does not take what it is sent is gone, until it says hello again', () => {
  const { router, registry, sent, events, hello } = place();
  router.receive('p1', hello(1), {});
  registry.stalled('p1');
  registry.stalled('p1');
  assert.deepEqual(
    events.map(({ type }) => type),
    ['worker', 'worker-gone'],
  );
  assert.ok(!isHere(registry, 'p1'));
  router.receive('p1', { type: 'ping' }, {});
  assert.equal(sent.at(-1)![1].type, 'who');
  router.receive('p1', hello(1), {});
  assert.ok(isHere(registry, 'p1'));
});

test('what a failure says is printable, and does not look like lines of ours', async () => {
  const { router, dispatcher, hello } = place();
  const message = 'Error: x\n\u001b]0;owned\u0007\u001b[2Jdpmesh: all went well\u202e';
  for (const mistake of [true, false]) {
    router.receive('p1', hello(1), {});
    dispatcher.publish('net', {});
    const unit = { shard: 0, from: 0, to: 0 };
    const round = dispatcher.round({
      ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], uses: ['net'], units: [unit] },
      ...{ streams: false, expects: () => [{}] },
    });
    const about = { type: 'failure' as const, term: 7, round: mistake ? 1 : 2, unit };
    router.receive('p1', { ...about, mistake, message }, {});
    await assert.rejects(round, (error: Error) => {
      assert.match(
        error.message,
        /^(worker w1: )?Error: x\n {4}\ufffd\]0;owned\ufffd\ufffd\[2Jdpmesh: all went well\ufffd$/,
      );
      return true;
    });
  }
});

test('nothing that others say moves the cursor of a terminal', () => {
  assert.equal(printable('a\u001b[2Jb\u009bc\rd\te\nf'), 'a\ufffd[2Jb\ufffdc\ufffdd\te\nf');
  assert.equal(
    oneLine('a\u001bb\tc\nd\u202ee\u2066f\u2028g\u200fh é😀'),
    'a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh é😀',
  );
  assert.equal(printable('a\u202eb\u2069c'), 'a\ufffdb\ufffdc');
});
