import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import {
  type Assignment,
  createDispatcher,
  type DispatcherOptions,
  type UnitDispatcher,
} from '../../../coordinator/rounds/dispatcher.ts';
import type { Result, ResultVerdict, RoundSpec } from '../../../coordinator/rounds/round.ts';
import { prefixed } from '../../../proto/codec.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { Task } from '../../../tasks/table.ts';
import { rulesOf } from './rules.ts';

type Sent = Assignment & { worker: string; tensors: Tensors };
/** Of tasks that read one state and return one value of any length. */
const rules: DispatcherOptions['tasks'] = {
  statesOf: (task) => [typeof task.vectors === 'string' ? task.vectors : 'v'],
  resultCheck: () => () => null,
};
const layoutOf = (shards: number) => ({ rows: 100, dim: 1, shards, blockRows: 10, seed: '0' });

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
/** The result of a unit: a function of the unit and the version of its state only. */
const resultOf = ({ shard, from }: WorkUnit, version: number): Tensors => value(shard, from, version);
const numbersOf = (results: Result[]) => results.map(({ tasks: [{ value }] }) => [...value.data]);

/** A dispatcher whose messages only the test delivers. */
function setUp(shards = 4, own: typeof rules = rules) {
  const sent: Sent[] = [];
  const clock = { now: 0 };
  const dispatcher = createDispatcher({
    layout: layoutOf(shards),
    tasks: own,
    send: (worker, message, tensors) => void sent.push({ ...message, worker, tensors }),
    now: () => clock.now,
  });
  dispatcher.publish('v', value(1));
  const start = (spec: Partial<RoundSpec> = {}) =>
    dispatcher.round({
      tasks: [task()],
      units: wholeShards(shards),
      ...spec,
    });
  return { dispatcher, clock, sent, start, take: () => sent.splice(0) };
}

function answer(dispatcher: UnitDispatcher, { round, worker, uses }: Sent, unit: WorkUnit): ResultVerdict {
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
  test('assigns each shard to one worker, evenly, and returns the results in the order of the units', async () => {
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

  test('shares out the shards of the round, of which a relay has some of all, neighbours together', async () => {
    const { dispatcher, start, take } = setUp(16);
    dispatcher.join('a');
    dispatcher.join('b');
    const round = start({ units: wholeShards(16).slice(8, 12) });
    const messages = take();
    assert.deepEqual(shardsOf(messages, 'a'), [8, 9]);
    assert.deepEqual(shardsOf(messages, 'b'), [10, 11]);
    assert.ok(dispatcher.extend(wholeShards(16).slice(12)));
    const further = take();
    assert.equal(shardsOf(further, 'a').length, 2);
    answerAll(dispatcher, [...messages, ...further]);
    assert.deepEqual(numbersOf(await round), expected(wholeShards(16).slice(8), 1));
    void start();
    const next = take();
    const kept = [...shardsOf(messages, 'a'), ...shardsOf(further, 'a')];
    assert.deepEqual(
      shardsOf(next, 'a').filter((shard) => shard >= 8),
      kept.sort((a, b) => a - b),
      'where their rows are in memory',
    );
  });

  test('workers that join before any shard is in memory get neighbours', async () => {
    const { dispatcher, start, take } = setUp(8);
    for (const worker of ['a', 'b']) {
      dispatcher.join(worker);
      const reading = start({ streams: true });
      for (let sent = take(); sent.length; sent = take()) answerAll(dispatcher, sent);
      await reading;
    }
    for (const worker of ['c', 'd']) dispatcher.join(worker);
    void start();
    const messages = take();
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((worker) => shardsOf(messages, worker)),
      [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
      ],
    );
  });

  test('for sums, accepts a result for an aligned range of shards; larger ranges replace smaller ones, nothing counts twice', async () => {
    const { dispatcher, start, take } = setUp(8);
    dispatcher.join('a');
    const round = start({ sum: true });
    const [{ round: id, units, sum }] = take();
    assert.equal(sum, true);
    const report = (from: number, to: number) =>
      dispatcher.result('a', { round: id, units: units.slice(from, to) }, prefixed([[0, value(from, to)]]));
    assert.equal(report(1, 3), 'not asked for', 'not aligned');
    assert.equal(report(0, 3), 'not asked for', 'not a power of two');
    const scattered = [units[2], units[4]];
    assert.equal(
      dispatcher.result('a', { round: id, units: scattered }, value(0)),
      'not asked for',
      'not contiguous',
    );
    assert.equal(report(2, 3), 'accepted');
    assert.equal(report(4, 6), 'accepted');
    assert.equal(report(4, 5), 'late', 'covered already');
    assert.equal(report(0, 4), 'accepted', 'includes a smaller range');
    assert.equal(report(2, 4), 'late');
    assert.equal(report(6, 8), 'accepted');
    const [{ from, to, tasks }, ...others] = await round;
    assert.deepEqual([from, to, others], [0, 8, []]);
    assert.deepEqual([...tasks[0].value.data], [0 + 4 + 6, 4 + 6 + 8]);
  });

  test('is extended by units that it does not have yet', async () => {
    const { dispatcher, start, take } = setUp(4);
    dispatcher.join('a');
    assert.equal(dispatcher.extend(wholeShards(4)), false, 'no round');
    const [first, second] = [wholeShards(4).slice(0, 2), wholeShards(4).slice(2)];
    const round = start({ units: first, sum: true });
    const messages = take();
    assert.equal(dispatcher.extend(first.slice(1)), false, 'known');
    assert.equal(dispatcher.extend(second), true);
    const more = take();
    assert.deepEqual(
      more.map(({ units }) => units),
      [second],
    );
    answerAll(dispatcher, [...messages, ...more]);
    const [{ from, to, tasks }, ...others] = await round;
    assert.deepEqual([from, to, others], [0, 4, []]);
    assert.equal(tasks[0].value.data[0], 0 + 1 + 2 + 3);
  });

  test('of some shards is summed by their numbers', async () => {
    const { dispatcher, start, take } = setUp(8);
    dispatcher.join('a');
    const round = start({ units: wholeShards(8).slice(3, 7), sum: true });
    answerAll(dispatcher, take());
    assert.deepEqual(
      (await round).map(({ from, to }) => [from, to]),
      [
        [3, 4],
        [4, 6],
        [6, 7],
      ],
    );
  });

  test('an idle worker races a straggler, which gets no more units until it returns a result', async () => {
    const { dispatcher, clock, start, take } = setUp(4);
    dispatcher.join('a');
    dispatcher.join('b');
    const round = start();
    const [a, b] = take();
    clock.now = 20;
    answerAll(dispatcher, [b]);
    clock.now = 300;
    assert.equal(dispatcher.race(), 0, 'not a straggler yet');
    clock.now = 301;
    dispatcher.ready(a.worker, true);
    assert.equal(dispatcher.race(), 0, 'its results wait to be asked for');
    dispatcher.ready(a.worker, false);
    assert.equal(dispatcher.race(), 2);
    assert.equal(dispatcher.race(), 0, 'not again');
    const raced = take();
    assert.deepEqual([raced.length, raced[0].worker, raced[0].units], [1, b.worker, a.units]);
    answer(dispatcher, raced[0], a.units[0]);
    assert.equal(answer(dispatcher, a, a.units[0]), 'late');
    answer(dispatcher, raced[0], a.units[1]);
    assert.deepEqual(numbersOf(await round), expected(wholeShards(4), 1));
    // The round ended before it returned all its results: it is lagging.
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

  test('a worker is not raced before it has been silent for three times as long as others were', () => {
    const { dispatcher, clock, start, take } = setUp(8);
    dispatcher.join('a');
    dispatcher.join('b');
    void start();
    const [, b] = take();
    // Several results in one message count as one silence.
    clock.now = 500;
    for (const unit of b.units.slice(0, 3)) answer(dispatcher, b, unit);
    clock.now = 800;
    answer(dispatcher, b, b.units[3]);
    clock.now = 1500;
    assert.equal(dispatcher.race(), 0);
    clock.now = 1501;
    // As many as it can compute, at its 200 ms for each, in half of the time in which it was idle.
    assert.equal(dispatcher.race(), 3);
  });

  test('a worker that joins a round gets half of what the other has not answered after two seconds', async () => {
    const { dispatcher, clock, start, take } = setUp(4);
    dispatcher.join('slow');
    const round = start();
    const [slow] = take();
    clock.now = 1000;
    dispatcher.join('new');
    clock.now = 2900;
    answer(dispatcher, slow, slow.units[0]);
    clock.now = 3000;
    assert.equal(dispatcher.race(), 0);
    clock.now = 3001;
    assert.equal(dispatcher.race(), 2);
    const [handed] = take();
    assert.deepEqual([handed.worker, handed.units], ['new', slow.units.slice(2)]);
    // Now it is known how long they take: 50 ms.
    clock.now = 3051;
    answerAll(dispatcher, [handed]);
    clock.now = 3351;
    assert.equal(dispatcher.race(), 0);
    clock.now = 3352;
    assert.equal(dispatcher.race(), 1, 'the last one');
    answerAll(dispatcher, take());
    assert.deepEqual(numbersOf(await round), expected(wholeShards(4), 1));
  });

  test('a worker that joins a round gets everything that a silent one holds after two seconds', () => {
    const { dispatcher, clock, start, take } = setUp(4);
    dispatcher.join('hung');
    void start();
    const [hung] = take();
    clock.now = 5000;
    dispatcher.join('new');
    clock.now = 7001;
    assert.equal(dispatcher.race(), 4);
    assert.deepEqual(take()[0].units, hung.units);
  });

  test('what a slow worker took does not excuse it: an idle one goes by its own past', async () => {
    const { dispatcher, clock, start, take } = setUp(2);
    dispatcher.join('a');
    dispatcher.join('b');
    const round = start();
    const [a, b] = take();
    clock.now = 200;
    answerAll(dispatcher, [b]);
    clock.now = 250;
    answerAll(dispatcher, [a]);
    await round;
    void start({ units: Array.from({ length: 4 }, (_, i) => ({ shard: 0, from: i, to: i + 1 })) });
    const [slow] = take();
    assert.equal(slow.worker, a.worker);
    clock.now = 5000;
    answer(dispatcher, slow, slow.units[0]);
    // It has been idle since the round began, for longer than three times 200 ms.
    clock.now = 5001;
    assert.equal(dispatcher.race(), 2);
    assert.deepEqual(take()[0].units, slow.units.slice(2));
  });

  test('a worker that has finished does not take over units of one that needs less than twice its time', () => {
    const { dispatcher, clock, start, take } = setUp(8);
    dispatcher.join('a');
    dispatcher.join('b');
    void start();
    const [a, b] = take();
    for (const [i, unit] of b.units.entries()) {
      clock.now = 250 * (i + 1);
      answer(dispatcher, b, unit);
      if (i % 2) answer(dispatcher, a, a.units[i >> 1]);
    }
    for (clock.now = 1000; clock.now < 1700; clock.now += 100) assert.equal(dispatcher.race(), 0);
    answer(dispatcher, a, a.units[2]);
    for (; clock.now <= 2000; clock.now += 100) assert.equal(dispatcher.race(), 0);
    assert.equal(dispatcher.race(), 1, 'then it does');
  });

  test('says for whom a round waits', () => {
    const { dispatcher, clock, start, take } = setUp(2);
    dispatcher.join('a');
    assert.deepEqual(dispatcher.awaited(100), [], 'no round');
    void start();
    const [a] = take();
    clock.now = 100;
    assert.deepEqual(dispatcher.awaited(100), []);
    clock.now = 101;
    assert.deepEqual(dispatcher.awaited(100), [{ worker: 'a', silence: 101, tasks: ['cell-sums'] }]);
    answer(dispatcher, a, a.units[0]);
    clock.now = 400;
    assert.deepEqual(dispatcher.awaited(100), [], 'not longer than usual');
    clock.now = 405;
    assert.equal(dispatcher.awaited(100).length, 1);
  });

  test('rejects results with other names, types or lengths than the task returns', async () => {
    const { dispatcher, start, take } = setUp(1, rulesOf(['v'], { value: 2 }));
    dispatcher.join('a');
    const round = start();
    const [{ round: id, units }] = take();
    const report = (tensors: Tensors) =>
      dispatcher.result('a', { round: id, units }, prefixed([[0, tensors]]));
    for (const wrong of [
      {},
      value(1),
      value(1, 2, 3),
      { value: nd(Float32Array.of(1, 2)) },
      { ...value(1, 2), more: nd(Float64Array.of(1)) },
      { valeu: nd(Float64Array.of(1, 2)) },
      value(-1, 2),
    ])
      assert.equal(report(wrong), 'wrong shape');
    assert.equal(report(value(1, 2)), 'accepted');
    assert.equal((await round).length, 1);
  });

  test('reassigns the unfinished units of a worker that leaves, and no others', async () => {
    const { dispatcher, start, take } = setUp();
    dispatcher.join('a');
    dispatcher.join('b');
    const round = start();
    const first = take();
    const [a, b] = ['a', 'b'].map((name) => first.find(({ worker }) => worker === name)!);
    answer(dispatcher, a, a.units[0]);
    dispatcher.leave('a');
    const again = take();
    assert.deepEqual(shardsOf(again, 'b'), [a.units[1].shard], 'neither finished units nor those of b');
    answerAll(dispatcher, [b, ...again]);
    assert.deepEqual(numbersOf(await round), expected(wholeShards(4), 1));
  });

  test('does not move shards when a worker joins during the round', async () => {
    const { dispatcher, start, take } = setUp();
    dispatcher.join('a');
    const first = start();
    const messages = take();
    dispatcher.join('late');
    assert.deepEqual(take(), [], 'no units for it yet');
    answerAll(dispatcher, messages);
    await first;
    const second = start();
    const secondMessages = take();
    assert.equal(shardsOf(secondMessages, 'a').length, 2);
    assert.equal(shardsOf(secondMessages, 'late').length, 2);
    answerAll(dispatcher, secondMessages);
    await second;
  });

  test('accepts the first of two results, and none from an unknown worker, round or unit', async () => {
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
    assert.equal(answer(dispatcher, stale[0], one), 'late', 'an earlier round');
    assert.equal(answer(dispatcher, message, { shard: 0, from: 3, to: 4 }), 'not asked for', 'no such unit');
    assert.equal(answer(dispatcher, message, one), 'accepted');
    const forged = { ...message, uses: [{ name: 'v', version: 99 }] };
    assert.equal(answer(dispatcher, forged, one), 'late', 'a duplicate');
    assert.equal(
      answer(dispatcher, { ...message, worker: 'gone' }, two),
      'not asked for',
      'was never assigned it',
    );
    assert.equal(answer(dispatcher, message, two), 'accepted');
    assert.deepEqual(numbersOf(await round), expected(message.units, 2));
  });

  test('rejects when it is aborted; the next round is unaffected', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    const first = start();
    const [{ round, units }] = take();
    dispatcher.abort(new UserError('it is short'));
    await assert.rejects(first, (error) => error instanceof UserError && error.message === 'it is short');

    const second = start();
    const [message] = take();
    assert.equal(dispatcher.isAwaited('a', { round, unit: units[0] }), false, 'a stale failure is ignored');
    assert.equal(dispatcher.isAwaited('a', { round: message.round, unit: units[0] }), true);
    assert.equal(dispatcher.isAwaited('b', { round: message.round, unit: units[0] }), false, 'not its own');
    answerAll(dispatcher, [message]);
    assert.equal((await second).length, 2);
  });

  test('a unit that failed at a worker goes to one where it has not, however often that one returns', async () => {
    const { dispatcher, start, take } = setUp(2);
    for (const name of ['a', 'b']) dispatcher.join(name);
    const round = start();
    const [a, b] = take();
    const [unit] = a.units;
    const failure = { round: a.round, unit };
    assert.equal(dispatcher.failed('a', failure, 'local'), false);
    dispatcher.leave('a');
    dispatcher.join('a');
    const [again] = take();
    assert.deepEqual([again.worker, again.units], ['b', [unit]]);
    // It also fails there: with a third worker, another attempt makes sense.
    dispatcher.join('c');
    assert.equal(dispatcher.failed('b', failure, 'local'), false);
    dispatcher.leave('b');
    const [third, ...rest] = take().filter(({ units }) => units.some(({ shard }) => shard === unit.shard));
    assert.deepEqual([third.worker, rest], ['c', []]);
    answerAll(dispatcher, [b, third]);
    assert.equal((await round).length, 2);
  });

  test('a unit that failed at every worker present, at two in all or twice at one, is hopeless', () => {
    const { dispatcher, start, take } = setUp(1);
    for (const name of ['a', 'b']) dispatcher.join(name);
    void start();
    const [{ round, units, worker }] = take();
    const other = worker === 'a' ? 'b' : 'a';
    const fail = (name: string, cause: 'task' | 'local') => {
      const isHopeless = dispatcher.failed(name, { round, unit: units[0] }, cause);
      dispatcher.leave(name);
      return isHopeless;
    };
    assert.equal(fail(worker, 'task'), false);
    dispatcher.leave(other);
    dispatcher.join(worker);
    assert.equal(fail(worker, 'task'), true, 'twice at the only one');
    dispatcher.join(other);
    assert.equal(fail(other, 'local'), true, 'at every one');
  });

  test('reassigns the units of a worker that joins again without having left', () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    void start();
    take();
    dispatcher.join('a');
    assert.deepEqual(shardsOf(take(), 'a'), [0, 1]);
  });
});

test('without sums, results are accepted for single units only', () => {
  const { dispatcher, start, take } = setUp(2);
  dispatcher.join('a');
  void start();
  const [{ round, units }] = take();
  assert.equal(dispatcher.result('a', { round, units }, prefixed([[0, value(1)]])), 'not asked for');
});

describe('states', () => {
  test('are sent to each worker once per version, and again to a new one', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.publish('w', value(5));
    dispatcher.join('a');
    const step = async (uses: string[]) => {
      const round = start({ tasks: uses.map(task) });
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
});

describe('a streaming round', () => {
  const streams = true;

  test('sends units to a late worker at once', () => {
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
  const units = Array.from({ length: 8 }, (_, i) => ({ shard: i >> 2, from: i & 3, to: (i & 3) + 1 }));

  test('keeps two units in flight at each worker, those of its own shards first', () => {
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

  test('gives units to a worker that still owed a result of the round before, once that comes', async () => {
    const { dispatcher, start, take } = setUp(2);
    dispatcher.join('a');
    dispatcher.join('b');
    const before = start({ units: units.slice(0, 3), streams });
    const first = take();
    const owed = first.find(({ worker }) => worker === 'b')!;
    dispatcher.abort(new Error('enough'));
    await assert.rejects(before, /enough/);
    answerAll(
      dispatcher,
      first.filter(({ worker }) => worker === 'a'),
    );
    void start({ units, streams });
    assert.deepEqual([...new Set(take().map(({ worker }) => worker))], ['a']);
    answerAll(dispatcher, [owed]);
    assert.deepEqual([...new Set(take().map(({ worker }) => worker))], ['b']);
  });

  test('gives a fast worker the units that wait for a slow one, but not those in flight there', async () => {
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

  test('passes each result to `each` once, as it arrives', async () => {
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
