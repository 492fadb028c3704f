import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { createScheduler, type SchedulerOptions } from '../../../coordinator/rounds/scheduler.ts';
import { prefixed } from '../../../proto/codec.ts';
import type { FromCoordinator, FromWorker } from '../../../proto/messages.ts';
import { nd } from '../../../proto/tensors.ts';
import type { RunEvent } from '../../../run/events.ts';
import { helloOf, rulesOf } from './rules.ts';

const unit = { shard: 0, from: 0, to: 0 };

/** A scheduler with one worker, at connection `p`. */
function setUp(options: Partial<SchedulerOptions> = {}) {
  const sent: FromCoordinator[] = [];
  const fetched: number[][] = [];
  const observed: unknown[] = [];
  const scheduler = createScheduler({
    tasks: rulesOf(['net'], { n: 1 }),
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
    ...options,
  });
  const { receive: receiveFrom, dispatcher } = scheduler;
  const receive = (header: FromWorker, tensors = {}) => receiveFrom('p', header, tensors);
  receive(helloOf(1, { name: 'one' }));
  dispatcher.publish('net', {});
  const start = () =>
    dispatcher.round({
      ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], units: [unit] },
    });
  return { ...scheduler, receiveFrom, sent, fetched, observed, receive, start };
}

const RESULTS = {
  ...{ type: 'results' as const, term: 7, round: 1, done: [[unit]] },
  ...{ seconds: { statistics: 0 }, rowsRead: 50, memory: 1000 },
};
const answer = prefixed([['0/0', { n: nd(Float64Array.of(3)) }]]);

test('a peer that has not said hello is asked for one', () => {
  const { receiveFrom, sent } = setUp();
  receiveFrom('stranger', { type: 'ping' }, {});
  assert.deepEqual(sent.at(-1), { type: 'who' });
});

test('a ping gets a pong; requests for rows are passed on', () => {
  const { receive, sent, fetched } = setUp();
  receive({ type: 'ping' });
  assert.deepEqual(sent.at(-1), { type: 'pong' });
  receive({ type: 'fetch', request: 1, blocks: [3, 4] });
  assert.deepEqual(fetched, [[3, 4]]);
});

test('large results are asked for, one after the other, and those of a worker that leaves no more', () => {
  const { receive, receiveFrom, sent } = setUp();
  receiveFrom('q', helloOf(2, { name: 'two' }), {});
  const ready = { type: 'ready' as const, term: 7, bytes: 2 ** 26, first: 0 };
  const sends = () => sent.filter(({ type }) => type === 'send').length;
  receive(ready);
  receiveFrom('q', ready, {});
  assert.equal(sends(), 1);
  receive({ type: 'bye' });
  assert.equal(sends(), 2);
  // Of an earlier round, and small: it is not what was asked for.
  receiveFrom('q', { ...RESULTS, round: 0 }, answer);
  receiveFrom('q', ready, {});
  assert.equal(sends(), 2);
  receiveFrom('q', { ...RESULTS, round: 0 }, { '0/0/n': nd(new Float64Array(2 ** 17)) });
  assert.equal(sends(), 3);
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

test('the log names those for whom a round waits after five seconds, once in thirty', () => {
  let clock = 0;
  const lines: string[] = [];
  const { receive, start, tick } = setUp({
    now: () => clock,
    heartbeatTimeout: 1e9,
    log: (line) => void lines.push(line),
  });
  void start();
  for (; clock <= 5000; clock += 100) tick();
  assert.deepEqual(lines, []);
  for (; clock < 35_000; clock += 100) {
    receive({ type: 'ping' });
    tick();
  }
  assert.deepEqual(lines, ['waiting for w1 on h: no result of statistics for 5 s']);
  for (; clock < 36_000; clock += 100) tick();
  assert.equal(lines.length, 2);
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

describe('a failure', () => {
  const failure = { type: 'failure' as const, term: 7, round: 1, unit, mistake: true, message: 'too short' };
  const file = { path: '/rows.npy', firstBlock: '' };
  /** Everything that was sent after the first round message. */
  const since = (sent: FromCoordinator[]) =>
    sent.slice(1 + sent.findIndex(({ type }) => type === 'round')).map(({ type }) => type);
  const nextTurn = () => new Promise(setImmediate);
  const second: FromWorker = { ...helloOf(1, { name: 'one' }), pid: 2, name: 'two', session: '1'.repeat(32) };

  test('that the coordinator can see for itself ends the round; one of another term does not', async () => {
    const { receive, start } = setUp({ verify: async () => new UserError('too short, it is true') });
    const round = start();
    receive({ ...failure, term: 6, message: 'of old' });
    receive(failure);
    await assert.rejects(round, new UserError('too short, it is true'));
  });

  test('that several workers report, again and again, has the coordinator read one unit at a time', async () => {
    let [reads, atOnce, most] = [0, 0, 0];
    const verify = async () => {
      reads++;
      most = Math.max(most, ++atOnce);
      await nextTurn();
      atOnce--;
      return null;
    };
    const { receiveFrom, receive, dispatcher } = setUp({
      file,
      verify,
      layout: { rows: 100, dim: 2, shards: 2, blockRows: 16, seed: '0' },
    });
    receiveFrom('q', second, {});
    const units = [unit, { ...unit, shard: 1 }];
    void dispatcher.round({
      ...{ tasks: [{ task: 'statistics', diagonal: true, block: 16 }], units },
    });
    for (let i = 0; i < 100; i++)
      for (const one of units) {
        receive({ ...failure, unit: one });
        receiveFrom('q', { ...failure, unit: one }, {});
      }
    for (let i = 0; i < 20; i++) await nextTurn();
    assert.deepEqual([reads, most], [2, 1]);
  });

  test('about a file that is whole at the coordinator: the worker gets its rows from there', async () => {
    const events: RunEvent[] = [];
    const lines: string[] = [];
    const { receive, start, sent } = setUp({
      file,
      emit: (event) => void events.push(event),
      log: (line) => void lines.push(line),
    });
    const round = start();
    assert.ok(sent[0].type === 'welcome' && sent[0].file?.path === '/rows.npy');
    receive(failure);
    await nextTurn();
    const [welcome, again] = sent.slice(2);
    assert.ok(welcome.type === 'welcome' && welcome.file === null && again.type === 'round');
    const gone = events.find((event) => event.type === 'worker-gone');
    assert.deepEqual([gone?.how, gone?.reason], ['cut', 'too short']);
    assert.deepEqual(lines, [
      'worker w1 on h gets its rows from the coordinator, as its own file is of no use: too short',
    ]);
    receive(RESULTS, answer);
    assert.equal((await round).length, 1);
    // On its next connection too.
    receive(helloOf(1, { name: 'one' }));
    const last = sent.at(-1)!;
    assert.ok(last.type === 'welcome' && last.file === null);
  });

  test('about rows that it got from the coordinator, where they are whole: it leaves', async () => {
    const { receive, start, sent, registry } = setUp();
    void start();
    receive(failure);
    await nextTurn();
    assert.deepEqual(since(sent), ['refuse']);
    assert.equal(registry.members()[0].state, 'gone');
  });

  test('of a worker’s machine: it leaves with its reason, and another gets the unit', async () => {
    const events: RunEvent[] = [];
    const lines: string[] = [];
    const { receive, receiveFrom, start, sent } = setUp({
      emit: (event) => void events.push(event),
      log: (line) => void lines.push(line),
    });
    const round = start();
    receive({ ...failure, mistake: false, local: true, message: 'out of memory\n  at x' });
    assert.deepEqual(since(sent), ['refuse']);
    const gone = events.find((event) => event.type === 'worker-gone');
    assert.deepEqual([gone?.how, gone?.reason, gone?.tasks], ['exited', 'out of memory', ['statistics']]);
    assert.deepEqual(lines, ['no workers left: waiting for one to join']);
    // Its process has ended: what still arrives changes nothing.
    receive({ type: 'ping' });
    assert.equal(events.length, 2);
    receiveFrom('q', second, {});
    receiveFrom('q', RESULTS, answer);
    assert.equal((await round).length, 1);
  });

  test('of one unit at every worker ends the round', async () => {
    for (const local of [true, false]) {
      const { receive, receiveFrom, start } = setUp();
      receiveFrom('q', second, {});
      const round = start();
      const own = { ...failure, mistake: false, local, message: 'Error: no luck' };
      receive(own);
      receiveFrom('q', own, {});
      await assert.rejects(round, (error: Error) => {
        assert.equal(error instanceof UserError, local);
        assert.match(
          error.message,
          local ? /worker w2 on h: Error: no luck$/ : /^worker w2: Error: no luck$/,
        );
        return true;
      });
    }
  });

  test('of a task in a second process of the only worker ends the round; of its machine, not before the sixth', async () => {
    for (const [local, most] of [
      [false, 2],
      [true, 6],
    ] as const) {
      const { receiveFrom, start } = setUp();
      const ended: unknown[] = [];
      start().catch((error) => void ended.push(error));
      const fail = (peer: string) =>
        receiveFrom(peer, { ...failure, mistake: false, local, message: 'again' }, {});
      fail('p');
      for (let n = 2; n <= most; n++) {
        await nextTurn();
        assert.deepEqual(ended, [], `before failure ${n}`);
        // A replacement has the name of its predecessor, whose number it takes.
        receiveFrom(
          `p${n}`,
          { ...helloOf(1, { name: 'one' }), pid: n, session: n.toString(16).padStart(32, 'a') },
          {},
        );
        fail(`p${n}`);
      }
      await nextTurn();
      assert.equal(ended.length, 1);
    }
  });
});
