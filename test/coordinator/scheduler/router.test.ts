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
  const observed: unknown[] = [];
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
    roundListener: {
      results: (label, _, tasks) => void observed.push([label, tasks]),
      roundEnded: (duration) => void observed.push(duration),
    },
  });
  const { router, dispatcher } = scheduler;
  const receive = (header: FromWorker, tensors = {}) => router.receive('p', header, tensors);
  receive(HELLO);
  dispatcher.publish('net', {});
  const start = () =>
    dispatcher.round({
      ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], uses: ['net'], units: [unit] },
      ...{ streams: false, expects: () => [{ n: ['float64', 1] }] },
    });
  return { ...scheduler, sent, fetched, observed, receive, start };
}

const RESULTS = {
  ...{ type: 'results' as const, term: 7, round: 1, done: [[unit]] },
  ...{ seconds: { statistics: 0 }, rowsRead: 50, memory: 1000 },
};
const answer = prefixed([['0/0', { n: nd(Float64Array.of(3)) }]]);

test('a peer that has not said hello is asked for one', () => {
  const { router, sent } = setUp();
  router.receive('stranger', { type: 'ping' }, {});
  assert.deepEqual(sent.at(-1), { type: 'who' });
});

test('a ping gets a pong; requests for rows are passed on', () => {
  const { receive, sent, fetched } = setUp();
  receive({ type: 'ping' });
  assert.deepEqual(sent.at(-1), { type: 'pong' });
  receive({ type: 'fetch', request: 1, blocks: [3, 4] });
  assert.deepEqual(fetched, [[3, 4]]);
});

test('results go to the round, to the usage and to the listener', async () => {
  const { receive, start, usage, registry, observed, counts } = setUp();
  const round = start();
  receive({ ...RESULTS, gpuMemory: { used: 1, limit: 2 } }, answer);
  const [{ tasks }] = await round;
  assert.equal(tasks[0].n.data[0], 3);
  assert.deepEqual(usage.totals(), { rounds: 1, rowsRead: 50, memory: 1000 });
  assert.deepEqual(observed, [0, ['one', [['statistics', 0]]]]);
  const [{ memory, gpuMemory }] = registry.members();
  assert.deepEqual([memory, gpuMemory], [1000, { used: 1, limit: 2 }]);
  receive(RESULTS, answer);
  assert.equal(counts.resultsLate, 1);
  assert.equal(usage.totals().rowsRead, 50);
});

test('rejected results are counted by reason', () => {
  const { receive, start, counts } = setUp();
  void start();
  receive({ ...RESULTS, term: 6 }, answer);
  receive({ ...RESULTS, round: 2 }, answer);
  receive(RESULTS, {});
  const { resultsOfAnotherTerm, resultsNotAskedFor, resultsWrongShape, resultsLate } = counts;
  assert.deepEqual([resultsOfAnotherTerm, resultsNotAskedFor, resultsWrongShape, resultsLate], [1, 1, 1, 0]);
});

test('a failure rejects the current round; one of another term does not', async () => {
  const { receive, start } = setUp();
  const round = start();
  const failure = { type: 'failure' as const, term: 7, round: 1, unit, mistake: true, message: 'too short' };
  receive({ ...failure, term: 6, message: 'of old' });
  receive(failure);
  await assert.rejects(round, new UserError('too short'));
});
