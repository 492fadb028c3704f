// What a peer with a valid key could try, besides mutated messages (test/faults/fuzz.all.test.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr } from 'msgpackr';
import { oneLine, printable } from '../../../base/text.ts';
import type { Registry } from '../../../coordinator/rounds/registry.ts';
import { createScheduler, type SchedulerOptions } from '../../../coordinator/rounds/scheduler.ts';
import { decode, MalformedMessage, prefixed } from '../../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, fromWorker } from '../../../proto/messages.ts';
import { nd } from '../../../proto/tensors.ts';
import type { RunEvent } from '../../../run/events.ts';
import { helloOf, rulesOf } from './rules.ts';

const layout = { rows: 100, dim: 2, shards: 4, blockRows: 16, seed: '0' };

/** A scheduler whose clock advances by `step` ms with each reading. */
function setUp(
  step = 100,
  file: SchedulerOptions['file'] = null,
  lengths: Record<string, number> | null = null,
) {
  const lines: string[] = [];
  const sent: [string, FromCoordinator][] = [];
  const events: RunEvent[] = [];
  let clock = 0;
  const scheduler = createScheduler({
    tasks: rulesOf(['net'], lengths),
    layout,
    file,
    term: 7,
    heartbeatTimeout: 1e9,
    send: (peer, message) => void sent.push([peer, message]),
    now: () => (clock += step),
    emit: (event) => void events.push(event),
    log: (line) => void lines.push(line),
  });
  return { ...scheduler, sent, events, lines, hello: (n: number): FromWorker => helloOf(n) };
}

const isPresent = (registry: Registry, peer: string) => registry.memberAt(peer)?.state === 'up';

test('overlapping tensors are rejected before any is copied', () => {
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

test('unnamed workers may come and go forever; a bounded number of them is remembered', () => {
  const { receive, registry, sent, hello } = setUp();
  for (let n = 1; n <= 3000; n++) {
    receive(`p${n}`, hello(n), {});
    assert.deepEqual(sent.at(-1)![1].type, 'welcome', `worker ${n}`);
    if (n > 2) receive(`p${n}`, { type: 'bye' }, {});
  }
  assert.ok(registry.peers().length <= 1024);
  // Workers that stayed are not evicted.
  assert.ok(isPresent(registry, 'p1') && isPresent(registry, 'p2'));
});

test('at the maximum number of workers, one more is refused for now', () => {
  const { receive, sent, hello } = setUp();
  for (let n = 1; n <= 1025; n++) receive(`p${n}`, hello(n), {});
  const reason = 'there are 1024 workers already';
  assert.deepEqual(sent.at(-1), ['p1025', { type: 'refuse', reason, retry: true }]);
  receive('p7', { type: 'bye' }, {});
  receive('p1025', hello(1025), {});
  assert.equal(sent.at(-1)![1].type, 'welcome');
});

test('however often workers come and go, the number of events stays limited', () => {
  const { receive, counts, events, hello } = setUp(1);
  // 16,000 hellos, each from another process on another connection.
  for (let n = 1; n <= 16_000; n++) receive(`p${n}`, hello(n), {});
  assert.ok(events.length < 5000, `${events.length} lines`);
  assert.ok(counts.hellosIgnored > 10_000);
});

test('a repeated hello of a present worker is no event; rejoining after goodbye is rate-limited', () => {
  const { receive, events, hello } = setUp(1);
  for (let n = 1; n <= 100; n++) receive(`p${n}`, hello(1), {});
  assert.equal(events.length, 1);
  receive('p100', { ...hello(1), why: 'another' } as FromWorker, {});
  assert.equal(events.length, 2);
  for (let n = 1; n <= 10_000; n++) {
    receive('p100', { type: 'bye' }, {});
    receive('p100', { type: 'ping' }, {});
  }
  assert.ok(events.length < 6000, `${events.length} lines`);
});

test('the identity of a worker that left without a result does not become the run’s', async () => {
  const { receive, registry, dispatcher, sent, hello } = setUp();
  const squat = (n: number) => ({ ...hello(n), identity: 'squatter/1' }) as FromWorker;
  receive('evil', squat(1), {});
  assert.equal(registry.identity(), 'squatter/1');
  receive('evil', { type: 'bye' }, {});
  assert.equal(registry.identity(), null);
  receive('good', hello(2), {});
  assert.equal(sent.at(-1)![1].type, 'welcome');
  assert.deepEqual([registry.identity(), registry.backend()?.name], ['wasm/1', 'wasm']);
  // A returning worker is checked again.
  receive('evil', { type: 'ping' }, {});
  assert.equal(sent.at(-1)![1].type, 'refuse');
  assert.ok(!isPresent(registry, 'evil') && isPresent(registry, 'good'));
  receive('evil', squat(3), {});
  assert.equal(sent.at(-1)![1].type, 'refuse');
  // The first result fixes the identity.
  const unit = { shard: 0, from: 0, to: 0 };
  dispatcher.publish('net', {});
  const round = dispatcher.round({
    ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], units: [unit] },
  });
  const results = { type: 'results' as const, term: 7, round: 1, done: [[unit]], rowsRead: 0, memory: 0 };
  receive('good', { ...results, seconds: {} }, {});
  await round;
  receive('good', { type: 'bye' }, {});
  receive('evil', squat(4), {});
  assert.deepEqual([sent.at(-1)![1].type, registry.identity()], ['refuse', 'wasm/1']);
});

test('a worker that does not read its messages is gone until it says hello again', () => {
  const { receive, registry, sent, events, hello } = setUp();
  receive('p1', hello(1), {});
  registry.stalled('p1');
  registry.stalled('p1');
  assert.deepEqual(
    events.map(({ type }) => type),
    ['worker', 'worker-gone'],
  );
  assert.ok(!isPresent(registry, 'p1'));
  receive('p1', { type: 'ping' }, {});
  assert.equal(sent.at(-1)![1].type, 'who');
  receive('p1', hello(1), {});
  assert.ok(isPresent(registry, 'p1'));
});

test('a worker whose result is wrong is sent away; alone, it leaves the run waiting for another', async () => {
  const { receive, registry, dispatcher, counts, sent, events, hello } = setUp(100, null, { n: 1 });
  receive('evil', hello(1), {});
  const unit = { shard: 0, from: 0, to: 0 };
  dispatcher.publish('net', {});
  let ended = false;
  const round = dispatcher.round({
    ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], units: [unit] },
  });
  void round.then(() => (ended = true));
  const results = { type: 'results' as const, term: 7, round: 1, done: [[unit]], rowsRead: 0, memory: 0 };
  const answer = (peer: string, n: number) =>
    receive(peer, { ...results, seconds: {} }, prefixed([['0/0', { n: nd(Float64Array.of(n)) }]]));
  answer('evil', -1);
  const { reason } = sent.at(-1)![1] as Extract<FromCoordinator, { type: 'refuse' }>;
  assert.match(reason, /results cannot be right/);
  const gone = events.at(-1) as Extract<RunEvent, { type: 'worker-gone' }>;
  assert.deepEqual([gone.type, gone.how, gone.tasks], ['worker-gone', 'refused', ['statistics']]);
  assert.equal(counts.resultsWrongShape, 1);
  // Neither on this connection nor on another one.
  answer('evil', 1);
  receive('again', hello(1), {});
  assert.deepEqual(sent.at(-1), ['again', { type: 'refuse', reason }]);
  assert.ok(!isPresent(registry, 'evil') && registry.memberAt('again') === undefined);
  await null;
  assert.equal(ended, false);
  receive('good', hello(2), {});
  answer('good', 1);
  assert.equal((await round)[0].tasks[0].n.data[0], 1);
});

test('a worker that misread the data gets other rows once; then it is sent away and named', () => {
  const { receive, registry, misread, sent, lines, hello } = setUp(100, {
    path: '/x',
    firstBlock: '',
  });
  receive('p1', hello(1), {});
  misread('w1', 'block 3 differs');
  const { type, file } = sent.at(-1)![1] as Extract<FromCoordinator, { type: 'welcome' }>;
  assert.deepEqual([type, file], ['welcome', null]);
  assert.ok(isPresent(registry, 'p1'));
  misread('w1', 'block 3 differs');
  assert.equal(sent.at(-1)![1].type, 'refuse');
  assert.ok(lines.includes('worker w1 on h is sent away: block 3 differs'), lines.join('\n'));
  receive('p2', hello(1), {});
  assert.equal(sent.at(-1)![1].type, 'refuse');
});

test('the text of a failure is printable and cannot imitate the coordinator’s own lines', async () => {
  const { receive, dispatcher, hello } = setUp();
  const message = 'Error: x\n\u001b]0;owned\u0007\u001b[2Jdpmesh: all went well\u202e';
  for (const local of [true, false]) {
    receive('p1', hello(1), {});
    dispatcher.publish('net', {});
    const unit = { shard: 0, from: 0, to: 0 };
    const round = dispatcher.round({
      ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], units: [unit] },
    });
    const about = { type: 'failure' as const, term: 7, round: local ? 1 : 2, unit, mistake: false, local };
    receive('p1', { ...about, message }, {});
    receive('p2', hello(2), {});
    receive('p2', { ...about, message }, {});
    await assert.rejects(round, (error: Error) => {
      assert.match(
        error.message,
        /^(no worker can go on: worker w2 on h: |worker w2: )Error: x\n {4}\ufffd\]0;owned\ufffd\ufffd\[2Jdpmesh: all went well\ufffd$/,
      );
      return true;
    });
  }
});

test('text from others cannot move the cursor of a terminal', () => {
  assert.equal(printable('a\u001b[2Jb\u009bc\rd\te\nf'), 'a\ufffd[2Jb\ufffdc\ufffdd\te\nf');
  assert.equal(
    oneLine('a\u001bb\tc\nd\u202ee\u2066f\u2028g\u200fh é😀'),
    'a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh é😀',
  );
  assert.equal(printable('a\u202eb\u2069c'), 'a\ufffdb\ufffdc');
});
