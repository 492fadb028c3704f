import assert from 'node:assert/strict';
import test from 'node:test';
import { applyMessage, createStore } from '../../../page/browser/feed.ts';
import { laneRows, lanesOf } from '../../../page/browser/lanes.ts';
import { logEntries } from '../../../page/browser/log.ts';
import type { History, Message, RunInfo, WorkSpan } from '../../../page/drawing/api.ts';
import {
  columnTexts,
  compactCount,
  count,
  duration,
  logRatioText,
  percent,
  splitCamelCase,
  stopwatch,
  threeDigits,
  timeOfDay,
} from '../../../page/drawing/text.ts';
import type { TimedEvent } from '../../../run/events.ts';
import { currentK, kAfterEpochs, kChanges } from '../../../run/history.ts';
import { noEpochs } from './world.ts';

const run = { name: 'x', status: 'running', workers: ['w1'] } as RunInfo;
const epoch = (number: number, k = 3): Message => ({
  type: 'epoch',
  epoch: number,
  time: number,
  k,
  loss: 1 / number,
  subLoss: null,
});
const line = (type: string, more: Record<string, unknown> = {}): TimedEvent =>
  ({ type, time: '2026-11-24T14:03:07.000Z', ...more }) as TimedEvent;

/** A store of nothing, or of this history. */
const storeOf = (history: Partial<History> = {}, early: Message[] = []) =>
  createStore(run, { epochs: noEpochs(), events: [], work: [], ...history }, early);
const event = (type: string, more = {}): Message => ({ type: 'event', event: line(type, more) });

test('history and early messages are combined without loss or duplicates', () => {
  const epochs = noEpochs();
  for (const column of Object.values(epochs)) column.push(1, 2);
  const events = [line('start'), line('step', { epoch: 2 })];
  const work: WorkSpan[] = [['w1', 'statistics', 1, 1, 0, 3, 0.1, 0.2]];
  const store = storeOf({ epochs, events, work: [...work] }, [
    epoch(2),
    { type: 'event', event: { ...events[1] } },
    epoch(3),
    event('step', { epoch: 3 }),
    { type: 'work', work: [work[0], ['w1', 'statistics', 3, 2, 0, 3, 0.2, 0.3]] },
    { type: 'status', status: 'paused' },
  ]);
  assert.deepEqual(store.epochs.epoch, [1, 2, 3]);
  assert.deepEqual([store.events.length, store.work.length, store.status], [3, 2, 'paused']);
});

test('a repeated epoch replaces those after the checkpoint', () => {
  const store = storeOf();
  for (let e = 1; e <= 6; e++) applyMessage(store, epoch(e));
  assert.equal(applyMessage(store, epoch(4, 9)), 'epochs');
  assert.deepEqual(store.epochs.epoch, [1, 2, 3, 4]);
  assert.deepEqual(store.epochs.k, [3, 3, 3, 9]);
  assert.equal(applyMessage(store, { type: 'state', epoch: 4, k: 9 }), null);
  assert.equal(applyMessage(store, event('epoch')), null);
  assert.equal(applyMessage(store, event('warning')), 'events');
  assert.equal(applyMessage(store, { type: 'nonsense' } as unknown as Message), null);
});

test('changes of K: steps without a change and steps that a resume discarded do not count', () => {
  const changes = kChanges([
    line('step', { epoch: 6, kind: 'split', changed: 1, k: 2 }),
    line('step', { epoch: 12, kind: 'merge', changed: 0, k: 2 }),
    line('step', { epoch: 18, kind: 'split', changed: 2, k: 4 }),
    line('resume', { epoch: 12, k: 2 }),
    line('step', { epoch: 18, kind: 'split', changed: 1, k: 3 }),
  ]);
  assert.deepEqual(
    changes.map(({ epoch: e, k }) => [e, k]),
    [
      [6, 2],
      [18, 3],
    ],
  );
});

test('K now and after each epoch: from the newest of epoch, step and resume', () => {
  const store = storeOf();
  const after = (...messages: Message[]) => {
    for (const message of messages) applyMessage(store, message);
    return [currentK(store), kAfterEpochs(store)];
  };
  const step = (number: number, changed: number, k: number) =>
    event('step', { epoch: number, kind: 'split', changed, k });
  assert.deepEqual(after(), [undefined, []]);
  assert.deepEqual(after(epoch(1, 1), epoch(2, 1)), [1, [1, 1]]);
  assert.deepEqual(after(step(2, 2, 3)), [3, [1, 3]]);
  assert.deepEqual(after(epoch(3, 3), epoch(4, 3)), [3, [1, 3, 3, 3]]);
  assert.deepEqual(after(step(4, -1, 2)), [2, [1, 3, 3, 2]]);
  // The resume discards the epochs after the checkpoint and their step.
  assert.deepEqual(after(event('resume', { epoch: 2, k: 3 })), [3, [1, 3]]);
});

test('present workers are those the coordinator knows, updated by joins and departures', () => {
  // A killed session did not record that its workers left.
  const old = ['w1', 'w2', 'w3'].map((worker) => line('worker', { worker }));
  const joined = event('worker', { worker: 'w2' });
  const events = [...old, line('worker', { worker: 'w1' }), line('resume')];
  const store = storeOf({ events }, [joined]);
  assert.deepEqual([...store.present], ['w1', 'w2']);
  applyMessage(store, event('worker-gone', { worker: 'w1' }));
  assert.deepEqual([...store.present], ['w2']);
  applyMessage(store, event('worker', { worker: 'w1' }));
  assert.equal(store.present.size, 2);
});

test('of too many events, rejected proposals are dropped first', () => {
  const store = storeOf();
  applyMessage(store, event('start'));
  applyMessage(store, event('step', { epoch: 6, kind: 'split', changed: 1, k: 2 }));
  for (let i = 0; i < 50_000; i++) applyMessage(store, event('split', { epoch: 12 + i, accepted: i === 7 }));
  assert.ok(store.events.length <= 20_000);
  const kept = store.events.map((event) => `${event.type} ${'epoch' in event ? event.epoch : ''}`);
  assert.deepEqual(kept.slice(0, 3), ['start ', 'step 6', 'split 19']);
  assert.equal(kept.at(-1), 'split 50011');
});

const textsOf = (...events: TimedEvent[]) => logEntries(events).map(({ text }) => text);

test('the log: how the rows of an update differ, and what became of its clusters', () => {
  const deviates = { likelihoodZ: 4, unlikeZ: 1, movedZ: 0 };
  assert.deepEqual(
    textsOf(
      line('drift', {
        update: 2,
        rows: 7000,
        nats: 0.25,
        unlike: 0.014,
        moved: 0.02,
        ...deviates,
        alarms: [],
      }),
      line('lineage', { what: 'split', id: 5, from: [1, 3] }),
      line('lineage', { what: 'merged', id: 3, into: [0] }),
      line('lineage', { what: 'gone', id: 4 }),
    ),
    [
      'Update 2: 7,000 new rows compared: 0.250 nats less likely, 1.4 % unlikely, 2.0 % moved',
      'Cluster 5 is new, split from 1 and 3',
      'Cluster 3 was merged into 0',
      'Cluster 4 is gone',
    ],
  );
});

test('the log: all checkpoints share one entry, at the newest, that has them all', () => {
  const checkpoint = (epoch: number) => line('checkpoint', { epoch, bytes: 2e6, seconds: 0.02 });
  const step = line('step', { epoch: 6, kind: 'split', changed: 1, k: 5 });
  const events = [checkpoint(1), step, checkpoint(7), checkpoint(8), line('warning', { message: 'x' })];
  const all = '3 checkpoints, the newest of 2.0 MB in 20 ms';
  assert.deepEqual(textsOf(...events), ['Split step: K 4 → 5', all, 'x']);
  const { within } = logEntries(events)[1];
  assert.deepEqual(
    within?.map(({ epoch }) => epoch),
    [1, 7, 8],
  );
  assert.equal(textsOf(checkpoint(1), step)[0], 'Checkpoint: 2.0 MB in 20 ms');
});

test('the log: rejected proposals of one step share an entry, and every other event has one', () => {
  const split = (c: number, logRatio: number | null, more = {}) =>
    line('split', { epoch: 6, clusters: [c], points: [10, 20], logRatio, accepted: false, ...more });
  const accepted = { accepted: true };
  const step = line('step', { epoch: 6, kind: 'split', changed: 1, k: 5 });
  assert.deepEqual(textsOf(split(0, -20), split(1, -3.25), split(2, 400, accepted), split(3, null), step), [
    '3 splits rejected, best log-ratio −3.3',
    'Cluster 2 split: 10 + 20 rows, log-ratio 400.0',
    'Split step: K 4 → 5',
  ]);
  const refused = [split(0, -20), split(0, 70, { reason: 'no valley' }), split(0, null, { reason: 'few' })];
  assert.deepEqual(textsOf(...refused), ['3 splits rejected, best log-ratio 70.0 (no valley)']);
  const graph = line('likelihood', { likelihood: 'graph', why: 'asked for' });
  assert.deepEqual(textsOf(graph, split(0, -20), split(2, 4, accepted)).slice(1), [
    '1 split rejected, best gain −20.0',
    'Cluster 2 split: 10 + 20 rows, gain 4.0',
  ]);
  const one = (type: string, more = {}) => textsOf(line(type, more))[0];
  const merge = { clusters: [1, 4], points: [5, 6], logRatio: null, accepted: true };
  assert.equal(one('merge', merge), 'Clusters 1 and 4 merged: 5 + 6 rows');
  assert.equal(one('step', { kind: 'merge', changed: -1, k: 4 }), 'Merge step: K 5 → 4');
  const killed = { worker: 'w2', reason: 'killed by SIGKILL' };
  assert.equal(one('worker-gone', killed), 'Worker w2 left: killed by SIGKILL');
  assert.equal(one('checkpoint', { bytes: 183_000, seconds: 0.004 }), 'Checkpoint: 183 kB in 4 ms');
  const fields = { message: 'a worker is slow', rows: 5, dim: 2, sample: 5, shards: 1 };
  for (const type of 'start worker warning resume checkpoint-failed end done something-new'.split(' '))
    assert.ok(one(type, fields), type);
  assert.equal(one('epoch'), undefined);
});

test('lanes: the last rounds, one lane per worker, one strip per shard', () => {
  const lanes = lanesOf(
    [
      ['w10', 'a', 1, 1, 0, 0, 0, 1],
      ['w2', 'b', 1, 2, 1, 2, 1, 3],
      ['w10', 'b', 1, 2, 3, 3, 1, 2],
      ['w10', 'b', 1, 3, 0, 0, 1.5, 4],
    ],
    2,
  );
  assert.deepEqual(lanes.workers, ['w2', 'w10']);
  assert.deepEqual([lanes.from, lanes.to], [1, 4]);
  assert.deepEqual(lanes.busy, [2 / 3, 1]);
  const rows = laneRows(lanes);
  assert.match(rows, /<rect data-block="0" x="0.0" y="25.0" width="666.7" height="50.0"/);
  assert.match(rows, /<th [^>]*><div><span class="head-of">w10<\/span>/);
  assert.deepEqual(lanesOf([], 5).workers, []);
  const many = lanesOf(
    Array.from({ length: 1000 }, (_, w) => [`w${w}`, 'a', 1, 1, w, w, 0, 1]),
    5,
  );
  assert.equal(many.workers.length + many.more, 1000);
  assert.ok(many.workers.length <= 64);
});

test('numbers as text', () => {
  const is = <T>(of: (value: T) => string, ...cases: [T, string][]) => {
    for (const [value, text] of cases) assert.equal(of(value), text);
  };
  is(threeDigits, [0.22412, '0.224'], [12.345, '12.3'], [-1234.5, '−1,235'], [0.00002, '2.0e−5']);
  is(threeDigits, [null, '–'], [Infinity, '∞'], [0, '0']);
  is(count, [70_000, '70,000'], [null, '–']);
  is(logRatioText, [-12.34, '−12.3'], [9876.5, '9,877']);
  is((share: number | undefined) => percent(share), [0.118, '11.8 %'], [undefined, '–']);
  is(duration, [0.008, '8 ms'], [4.23, '4.2 s'], [59.97, '1 min 00 s'], [185, '3 min 05 s']);
  is(duration, [7620, '2 h 07 min']);
  is(compactCount, [70_000, '70,000'], [1_250_000, '1.25 M'], [2.1e9, '2.10 G'], [null, '–']);
  is(stopwatch, [4.2, '4.2 s'], [79.3, '1:19'], [7620, '2:07:00']);
  assert.deepEqual(columnTexts([1.19, 0.988, 12.3]), ['1.2', '1.0', '12.3']);
  assert.deepEqual(columnTexts([0, 0]), ['0.00', '0.00']);
  assert.equal(splitCamelCase('splitMergeEvery'), 'split merge every');
  assert.match(timeOfDay('2026-11-24T14:03:07.000Z'), /^\d\d:\d\d:07$/);
  assert.equal(timeOfDay('no date'), '');
});
