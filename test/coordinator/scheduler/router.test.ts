import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { createScheduler } from '../../../coordinator/scheduler/scheduler.ts';
import { prefixed } from '../../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL } from '../../../proto/messages.ts';
import { nd } from '../../../proto/tensors.ts';

const HELLO: FromWorker = {
  ...{ type: 'hello', protocol: PROTOCOL, identity: 'wasm/1', backend: 'wasm', host: 'h', pid: 1 },
  ...{ name: 'one', session: '0'.repeat(32) },
};
const unit = { shard: 0, from: 0, to: 0 };

/** A scheduler with one worker, at connection `p`. */
function setUp() {
  const sent: FromCoordinator[] = [];
  const fetched: number[][] = [];
  const watched: unknown[] = [];
  const scheduler = createScheduler({
    layout: { rows: 100, dim: 2, shards: 1, blockRows: 16, seed: '0' },
    file: null,
    term: 7,
    heartbeatTimeout: 5000,
    send: (_, message) => void sent.push(message),
    fetch: (_, { blocks }) => void fetched.push(blocks),
    now: () => 0,
    emit: () => {},
    log: () => {},
    watcher: {
      results: (label, _, tasks) => void watched.push([label, tasks]),
      roundEnded: (took) => void watched.push(took),
    },
  });
  const { router, dispatcher } = scheduler;
  const hear = (header: FromWorker, tensors = {}) => router.receive('p', header, tensors);
  hear(HELLO);
  dispatcher.publish('net', {});
  const start = () =>
    dispatcher.round({
      ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], uses: ['net'], units: [unit] },
      ...{ streams: false, expects: () => [{ n: ['float64', 1] }] },
    });
  return { ...scheduler, sent, fetched, watched, hear, start };
}

const RESULTS = {
  ...{ type: 'results' as const, term: 7, round: 1, done: [[unit]] },
  ...{ seconds: { statistics: 0 }, rowsRead: 50, memory: 1000 },
};
const answer = prefixed([['0/0', { n: nd(Float64Array.of(3)) }]]);

test('whoever has not said hello is asked who it is', () => {
  const { router, sent } = setUp();
  router.receive('stranger', { type: 'ping' }, {});
  assert.deepEqual(sent.at(-1), { type: 'who' });
});

test('a ping is answered, and rows are asked for elsewhere', () => {
  const { hear, sent, fetched } = setUp();
  hear({ type: 'ping' });
  assert.deepEqual(sent.at(-1), { type: 'pong' });
  hear({ type: 'fetch', request: 1, blocks: [3, 4] });
  assert.deepEqual(fetched, [[3, 4]]);
});

test('results go to the round, to the usage and to the watcher', async () => {
  const { hear, start, usage, registry, watched, counts } = setUp();
  const round = start();
  hear({ ...RESULTS, gpuMemory: { used: 1, limit: 2 } }, answer);
  const [{ tasks }] = await round;
  assert.equal(tasks[0].n.data[0], 3);
  assert.deepEqual(usage.totals(), { rounds: 1, rowsRead: 50, memory: 1000 });
  assert.deepEqual(watched, [0, ['one', [['statistics', 0]]]]);
  const [{ memory, gpuMemory }] = registry.members();
  assert.deepEqual([memory, gpuMemory], [1000, { used: 1, limit: 2 }]);
  hear(RESULTS, answer);
  assert.equal(counts.resultsLate, 1);
  assert.equal(usage.totals().rowsRead, 50);
});

test('results that do not count are counted by why', () => {
  const { hear, start, counts } = setUp();
  void start();
  hear({ ...RESULTS, term: 6 }, answer);
  hear({ ...RESULTS, round: 2 }, answer);
  hear(RESULTS, {});
  const { resultsOfAnotherTerm, resultsNotAskedFor, resultsWrongShape, resultsLate } = counts;
  assert.deepEqual([resultsOfAnotherTerm, resultsNotAskedFor, resultsWrongShape, resultsLate], [1, 1, 1, 0]);
});

test('a failure rejects the round under way; one of another term does not', async () => {
  const { hear, start } = setUp();
  const round = start();
  const failure = { type: 'failure' as const, term: 7, round: 1, unit, mistake: true, message: 'too short' };
  hear({ ...failure, term: 6, message: 'of old' });
  hear(failure);
  await assert.rejects(round, new UserError('too short'));
});
