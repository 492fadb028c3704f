import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { type Assignment, UnitDispatcher } from '../../../coordinator/scheduler/dispatcher.ts';
import type { Result, RoundSpec, Verdict } from '../../../coordinator/scheduler/round.ts';
import { prefixed } from '../../../proto/codec.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import type { Task } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';

type Sent = Assignment & { worker: string; tensors: Tensors };
/** Results of any length. */
const anyValue = (tasks: Task[]): RoundSpec['expects'] => {
  const expected = tasks.map(() => ({ value: ['float64', null] as ['float64', null] }));
  return () => expected;
};

const wholeShards = (count: number): WorkUnit[] =>
  Array.from({ length: count }, (_, shard) => ({ shard, from: 0, to: 0 }));
const task = (name = 'v'): Task => ({
  task: 'cell-sums',
  groups: 'all',
  cells: [0],
  leaves: 1,
  vectors: name,
});
const value = (...numbers: number[]): Tensors => ({ value: nd(Float64Array.from(numbers)) });
/** What a unit gives: a function of the unit and the version of its state alone. */
const resultOf = ({ shard, from }: WorkUnit, version: number): Tensors => value(shard, from, version);
const numbersOf = (results: Result[]) => results.map(({ tasks: [{ value }] }) => [...value.data]);

/** A dispatcher of whose messages nothing is delivered but by the test. */
function setUp(shards = 4) {
  const sent: Sent[] = [];
  const clock = { now: 0 };
  const dispatcher = new UnitDispatcher({
    shards,
    send: (worker, message, tensors) => void sent.push({ ...message, worker, tensors }),
    now: () => clock.now,
  });
  dispatcher.publish('v', value(1));
  const start = (spec: Partial<RoundSpec> = {}) =>
    dispatcher.round({
      tasks: [task()],
      uses: ['v'],
      units: wholeShards(shards),
      streams: false,
      expects: anyValue(spec.tasks ?? [task()]),
      ...spec,
    });
  return { dispatcher, clock, sent, start, take: () => sent.splice(0) };
}

function answer(dispatcher: UnitDispatcher, { round, worker, uses }: Sent, unit: WorkUnit): Verdict {
  const tensors = prefixed([[0, resultOf(unit, uses[0].version)]]);
  return dispatcher.result(worker, { round, units: [unit] }, tensors);
}

function answerAll(dispatcher: UnitDispatcher, messages: Sent[]): void {
  for (const message of messages) for (const unit of message.units) answer(dispatcher, message, unit);
}

const shardsOf = (messages: Sent[], worker: string) =>
  messages
    .filter((message) => message.worker === worker)
    .flatMap(({ units }) => units.map(({ shard }) => shard))
    .sort((a, b) => a - b);
const expected = (units: WorkUnit[], version: number) =>
  units.map(({ shard, from }) => [shard, from, version]);

describe('a round', () => {
  test('gives each shard to one worker, evenly, and the results in the order of the units', async () => {
    const { dispatcher, start, take } = setUp(5);
    dispatcher.join('a');
    dispatcher.join('b');
    const round = start();
    const messages = take();
    assert.deepEqual(messages.map(({ worker }) => worker).sort(), ['a', 'b'], 'one message each');
    assert.deepEqual([...shardsOf(messages, 'a'), ...shardsOf(messages, 'b')].sort(), [0, 1, 2, 3, 4]);
    assert.ok(Math.abs(shardsOf(messages, 'a').length - shardsOf(messages, 'b').length) === 1);
    answerAll(dispatcher, messages.reverse());
    assert.deepEqual(numbersOf(await round), expected(wholeShards(5), 1));
  });

  test('gives the results of each task, by its number', async () => {
    const { dispatcher, start, take } = setUp(1);
    dispatcher.join('a');
    const round = start({ tasks: [task(), task()] });
    const [{ round: id, units }] = take();
    const tensors = prefixed([
      [1, value(11)],
      [0, value(10)],
    ]);
    dispatcher.result('a', { round: id, units }, tensors);
    const [results] = await round;
    assert.deepEqual(
      results.tasks.map(({ value }) => value.data[0]),
      [10, 11],
    );
  });

  test('for sums, takes an aligned stretch of shards at once; larger ones replace smaller, nothing counts twice', async () => {
    const { dispatcher, start, take } = setUp(8);
    dispatcher.join('a');
    const round = start({ sum: true });
    const [{ round: id, units, sum }] = take();
    assert.equal(sum, true);
    const say = (from: number, to: number) =>
      dispatcher.result('a', { round: id, units: units.slice(from, to) }, prefixed([[0, value(from, to)]]));
    assert.equal(say(1, 3), 'not asked for', 'not aligned');
    assert.equal(say(0, 3), 'not asked for', 'not a power of two');
    const astray = [units[2], units[4]];
    assert.equal(
      dispatcher.result('a', { round: id, units: astray }, value(0)),
      'not asked for',
      'not in a row',
    );
    assert.equal(say(2, 3), 'taken');
    assert.equal(say(4, 6), 'taken');
    assert.equal(say(4, 5), 'late', 'is in');
    assert.equal(say(0, 4), 'taken', 'with what is in');
    assert.equal(say(2, 4), 'late');
    assert.equal(say(6, 8), 'taken');
    assert.deepEqual(numbersOf(await round), [
      [0, 4],
      [4, 6],
      [6, 8],
    ]);
  });

  test('a straggler is raced by an idle worker, and gets nothing until it answers', async () => {
    const { dispatcher, clock, start, take } = setUp(4);
    dispatcher.join('a');
    dispatcher.join('b');
    const round = start();
    const [a, b] = take();
    clock.now = 20;
    answerAll(dispatcher, [b]);
    clock.now = 300;
    assert.equal(dispatcher.race(), 0, 'patience');
    clock.now = 301;
    assert.equal(dispatcher.race(), 2);
    assert.equal(dispatcher.race(), 0, 'not again');
    const raced = take();
    assert.deepEqual([raced.length, raced[0].worker, raced[0].units], [1, b.worker, a.units]);
    answer(dispatcher, raced[0], a.units[0]);
    assert.equal(answer(dispatcher, a, a.units[0]), 'late');
    answer(dispatcher, raced[0], a.units[1]);
    assert.deepEqual(numbersOf(await round), expected(wholeShards(4), 1));
    // It was raced to the end, and has not answered for all of it: it lags.
    void start();
    const only = take();
    assert.deepEqual(
      only.map(({ worker, units }) => [worker, units.length]),
      [[b.worker, 4]],
    );
    answerAll(dispatcher, only);
    assert.equal(answer(dispatcher, a, a.units[1]), 'late');
    void start();
    assert.deepEqual(
      shardsOf(take(), a.worker),
      a.units.map(({ shard }) => shard),
      'its own shards again',
    );
  });

  test('nobody is raced who is silent no longer than three times what others were', () => {
    const { dispatcher, clock, start, take } = setUp(8);
    dispatcher.join('a');
    dispatcher.join('b');
    void start();
    const [, b] = take();
    // A long way, then all in one message, then one more: what comes along with it was not waited for.
    clock.now = 500;
    for (const unit of b.units.slice(0, 3)) answer(dispatcher, b, unit);
    clock.now = 800;
    answer(dispatcher, b, b.units[3]);
    clock.now = 1500;
    assert.equal(dispatcher.race(), 0);
    clock.now = 1501;
    assert.equal(dispatcher.race(), 4);
  });

  test('nobody is raced before anything has come, or while others are busy', () => {
    const { dispatcher, clock, start, take } = setUp(4);
    dispatcher.join('a');
    dispatcher.join('b');
    void start();
    const [, b] = take();
    clock.now = 10_000;
    assert.equal(dispatcher.race(), 0);
    answer(dispatcher, b, b.units[0]);
    clock.now = 10_100;
    assert.equal(dispatcher.race(), 0);
  });

  test('refuses what has other names, types or lengths than the task gives', async () => {
    const { dispatcher, start, take } = setUp(1);
    dispatcher.join('a');
    const round = start({
      expects: () => [{ value: ['float64', 2] }],
      isSound: ([{ value }]) => value.data[0] >= 0,
    });
    const [{ round: id, units }] = take();
    const say = (tensors: Tensors) => dispatcher.result('a', { round: id, units }, prefixed([[0, tensors]]));
    for (const wrong of [
      {},
      value(1),
      value(1, 2, 3),
      { value: nd(Float32Array.of(1, 2)) },
      { ...value(1, 2), more: nd(Float64Array.of(1)) },
      { valeu: nd(Float64Array.of(1, 2)) },
      value(-1, 2),
    ])
      assert.equal(say(wrong), 'wrong shape');
    assert.equal(say(value(1, 2)), 'taken');
    assert.equal((await round).length, 1);
  });

  test('without sums, takes single units only', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    void start();
    const [{ round, units }] = take();
    assert.equal(dispatcher.result('a', { round, units }, prefixed([[0, value(1)]])), 'not asked for');
  });

  test('waits for a worker where there is none', async () => {
    const { dispatcher, start, take } = setUp();
    const round = start();
    assert.deepEqual(take(), []);
    dispatcher.join('a');
    assert.deepEqual(shardsOf(take(), 'a'), [0, 1, 2, 3]);
    dispatcher.leave('a');
    assert.deepEqual(take(), [], 'nobody left');
    dispatcher.join('b');
    const messages = take();
    assert.deepEqual(shardsOf(messages, 'b'), [0, 1, 2, 3]);
    answerAll(dispatcher, messages);
    assert.deepEqual(numbersOf(await round), expected(wholeShards(4), 1));
  });

  test('assigns again what a worker that leaves had under way, and no more', async () => {
    const { dispatcher, start, take } = setUp();
    dispatcher.join('a');
    dispatcher.join('b');
    const round = start();
    const first = take();
    const [a, b] = ['a', 'b'].map((name) => first.find(({ worker }) => worker === name)!);
    answer(dispatcher, a, a.units[0]);
    dispatcher.leave('a');
    const again = take();
    assert.deepEqual(shardsOf(again, 'b'), [a.units[1].shard], 'not what is in, not what b has');
    answerAll(dispatcher, [b, ...again]);
    assert.deepEqual(numbersOf(await round), expected(wholeShards(4), 1));
  });

  test('leaves the shards where they are until its end when a worker joins late', async () => {
    const { dispatcher, start, take } = setUp();
    dispatcher.join('a');
    const first = start();
    const messages = take();
    dispatcher.join('late');
    assert.deepEqual(take(), [], 'nothing to do for it yet');
    answerAll(dispatcher, messages);
    await first;
    const second = start();
    const shared = take();
    assert.equal(shardsOf(shared, 'a').length, 2);
    assert.equal(shardsOf(shared, 'late').length, 2);
    answerAll(dispatcher, shared);
    await second;
  });

  test('takes the first of two results, and none of a worker, round or unit that it does not know', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    const old = start();
    const stale = take();
    answerAll(dispatcher, stale);
    await old;
    assert.equal(answer(dispatcher, stale[0], stale[0].units[0]), 'late', 'no round');

    dispatcher.publish('v', value(2));
    const round = start();
    const [message] = take();
    const [one, two] = message.units;
    assert.equal(answer(dispatcher, stale[0], one), 'late', 'an old round');
    assert.equal(answer(dispatcher, message, { shard: 0, from: 3, to: 4 }), 'not asked for', 'no such unit');
    assert.equal(answer(dispatcher, message, one), 'taken');
    const forged = { ...message, uses: [{ name: 'v', version: 99 }] };
    assert.equal(answer(dispatcher, forged, one), 'late', 'a second one');
    assert.equal(answer(dispatcher, { ...message, worker: 'gone' }, two), 'not asked for', 'never got it');
    assert.equal(answer(dispatcher, message, two), 'taken');
    assert.deepEqual(numbersOf(await round), expected(message.units, 2));
  });

  test('takes the result of a worker that was taken for gone', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('slow');
    const round = start();
    const [message] = take();
    dispatcher.leave('slow');
    assert.equal(answer(dispatcher, message, message.units[0]), 'taken');
    dispatcher.join('b');
    const again = take();
    assert.deepEqual(shardsOf(again, 'b'), [message.units[1].shard]);
    answerAll(dispatcher, again);
    await round;
  });

  test('rejects with the failure of a task, and the next one starts afresh', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    const fail = (round: number, mistake: boolean) =>
      dispatcher.failure('a', {
        round,
        mistake,
        message: 'it is short',
      });
    const first = start();
    const [{ round }] = take();
    fail(round, true);
    await assert.rejects(first, (error) => error instanceof UserError && error.message === 'it is short');

    const second = start();
    const [message] = take();
    fail(round, true);
    assert.ok(message.units.length === 2, 'a stale failure is nothing');
    fail(message.round, false);
    await assert.rejects(
      second,
      (error: Error) => !(error instanceof UserError) && /worker a: it is short/.test(error.message),
    );

    const third = start();
    answerAll(dispatcher, take());
    assert.equal((await third).length, 2);
  });

  test('comes one at a time', () => {
    const { start } = setUp();
    void start();
    assert.throws(() => start(), /under way/);
  });

  test('assigns again what a worker had under way that joins anew without having left', () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    void start();
    take();
    dispatcher.join('a');
    assert.deepEqual(shardsOf(take(), 'a'), [0, 1]);
  });
});

describe('states', () => {
  test('go to each worker once a version, and again to a new one', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.publish('w', value(5));
    dispatcher.join('a');
    const step = async (uses: string[]) => {
      const round = start({ uses });
      const messages = take();
      answerAll(dispatcher, messages);
      await round;
      return messages.map(({ worker, states, uses, tensors }) => ({
        worker,
        states: states.map(({ name, version }) => `${name}@${version}`),
        uses: uses.map(({ name, version }) => `${name}@${version}`),
        tensors: Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, [...data]])),
      }));
    };
    assert.deepEqual(await step(['v']), [
      { worker: 'a', states: ['v@1'], uses: ['v@1'], tensors: { 'v/value': [1] } },
    ]);
    assert.deepEqual(await step(['v', 'w']), [
      { worker: 'a', states: ['w@2'], uses: ['v@1', 'w@2'], tensors: { 'w/value': [5] } },
    ]);
    dispatcher.publish('v', value(7));
    assert.deepEqual(await step(['w']), [{ worker: 'a', states: [], uses: ['w@2'], tensors: {} }]);
    dispatcher.join('b');
    assert.deepEqual(await step(['v']), [
      { worker: 'a', states: ['v@3'], uses: ['v@3'], tensors: { 'v/value': [7] } },
      { worker: 'b', states: ['v@3'], uses: ['v@3'], tensors: { 'v/value': [7] } },
    ]);
    dispatcher.leave('b');
    dispatcher.join('b');
    const [, b] = await step(['v']);
    assert.deepEqual(b, { worker: 'b', states: ['v@3'], uses: ['v@3'], tensors: { 'v/value': [7] } });
  });

  test('are not sent twice within a round', async () => {
    const { dispatcher, start, take } = setUp(1);
    dispatcher.join('a');
    const units = [0, 1, 2].map((from) => ({ shard: 0, from, to: from + 1 }));
    const round = start({ units, streams: true });
    const messages: Sent[] = [];
    for (let next = take(); next.length; next = take()) {
      messages.push(...next);
      answerAll(dispatcher, next);
    }
    assert.deepEqual(
      messages.map(({ states }) => states.length),
      [1, ...Array(messages.length - 1).fill(0)],
    );
    await round;
  });
});

describe('a streaming round', () => {
  const streams = true;
  const units = Array.from({ length: 8 }, (_, i) => ({ shard: i >> 2, from: i & 3, to: (i & 3) + 1 }));

  test('keeps two units under way at each worker, its own first', () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    dispatcher.join('b');
    void start({ units, streams });
    const first = take();
    assert.deepEqual(shardsOf(first, 'a').length, 2);
    assert.deepEqual(shardsOf(first, 'b').length, 2);
    const [own] = new Set(shardsOf(first, 'a'));
    assert.deepEqual(shardsOf(first, 'a'), [own, own]);
    assert.deepEqual(shardsOf(first, 'b'), [1 - own, 1 - own]);
    answer(dispatcher, first[0], first[0].units[0]);
    const next = take();
    assert.deepEqual(
      next.map(({ worker, units }) => [worker, units.length]),
      [[first[0].worker, 1]],
    );
  });

  test('lets a fast worker take what waits for a slow one, but not what that has begun', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('fast');
    dispatcher.join('slow');
    const round = start({ units, streams });
    const first = take();
    const slow = first.find(({ worker }) => worker === 'slow')!;
    let next = first.filter(({ worker }) => worker === 'fast');
    let done = 0;
    while (next.length) {
      assert.ok(next.every(({ worker }) => worker === 'fast'));
      done += next.flatMap((message) => message.units).length;
      answerAll(dispatcher, next);
      next = take();
    }
    assert.equal(done, 6);
    answerAll(dispatcher, [slow]);
    assert.deepEqual(numbersOf(await round), expected(units, 1));
  });

  test('gives a late worker its share at once', () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    void start({ units, streams });
    take();
    dispatcher.join('late');
    assert.deepEqual(
      take().map(({ worker, units }) => [worker, units.length]),
      [['late', 2]],
    );
  });

  test('hands each result to `each` once, as it comes', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    const seen: number[][] = [];
    const round = start({
      units,
      streams,
      each: (unit, [{ value }]) => seen.push([unit.shard, unit.from, ...value.data]),
    });
    for (let next = take(); next.length; next = take()) {
      answerAll(dispatcher, next);
      answerAll(dispatcher, next);
    }
    await round;
    assert.deepEqual(
      seen.sort((p, q) => p[0] - q[0] || p[1] - q[1]),
      units.map(({ shard, from }) => [shard, from, shard, from, 1]),
    );
  });
});
