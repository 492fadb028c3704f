import assert from 'node:assert/strict';
import test from 'node:test';
import type { Message, RunInfo } from '../../view/api.ts';
import type { TimedEvent } from '../../view/events.ts';
import { currentK, kAfterEpochs, kChanges } from '../../view/history.ts';
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
} from '../../view/text.ts';
import { laneRows, lanesOf } from '../../web/lanes.ts';
import { logEntries } from '../../web/log.ts';
import { applyMessage, createStore } from '../../web/store.ts';
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

test('history and early messages are combined without loss or duplicates', () => {
  const epochs = noEpochs();
  for (const column of Object.values(epochs)) column.push(1, 2);
  const events = [line('start'), line('step', { epoch: 2 })];
  const work: [string, string, number, number, number, number, number, number][] = [
    ['w1', 'statistics', 1, 1, 0, 3, 0.1, 0.2],
  ];
  const store = createStore(run, { epochs, events: [...events], work: [...work] }, [
    epoch(2),
    { type: 'event', event: { ...events[1] } },
    epoch(3),
    { type: 'event', event: line('step', { epoch: 3 }) },
    { type: 'work', work: [work[0], ['w1', 'statistics', 3, 2, 0, 3, 0.2, 0.3]] },
    { type: 'status', status: 'paused' },
  ]);
  assert.deepEqual(store.epochs.epoch, [1, 2, 3]);
  assert.equal(store.events.length, 3);
  assert.equal(store.work.length, 2);
  assert.equal(store.status, 'paused');
});

test('a repeated epoch replaces those after the checkpoint', () => {
  const store = createStore(run, { epochs: noEpochs(), events: [], work: [] }, []);
  for (let e = 1; e <= 6; e++) applyMessage(store, epoch(e));
  assert.equal(applyMessage(store, epoch(4, 9)), 'epochs');
  assert.deepEqual(store.epochs.epoch, [1, 2, 3, 4]);
  assert.deepEqual(store.epochs.k, [3, 3, 3, 9]);
  assert.equal(applyMessage(store, { type: 'state', epoch: 4, k: 9 }), null);
  assert.equal(applyMessage(store, { type: 'event', event: line('epoch') }), null);
  assert.equal(applyMessage(store, { type: 'event', event: line('warning') }), 'events');
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
  const store = createStore(run, { epochs: noEpochs(), events: [], work: [] }, []);
  const step = (number: number, changed: number, k: number) =>
    applyMessage(store, { type: 'event', event: line('step', { epoch: number, kind: 'split', changed, k }) });
  assert.deepEqual([currentK(store), kAfterEpochs(store)], [undefined, []]);
  for (const [number, k] of [
    [1, 1],
    [2, 1],
  ])
    applyMessage(store, epoch(number, k));
  assert.deepEqual([currentK(store), kAfterEpochs(store)], [1, [1, 1]]);
  step(2, 2, 3);
  assert.deepEqual([currentK(store), kAfterEpochs(store)], [3, [1, 3]]);
  applyMessage(store, epoch(3, 3));
  applyMessage(store, epoch(4, 3));
  assert.deepEqual([currentK(store), kAfterEpochs(store)], [3, [1, 3, 3, 3]]);
  step(4, -1, 2);
  assert.deepEqual([currentK(store), kAfterEpochs(store)], [2, [1, 3, 3, 2]]);
  // The resume discards the epochs after the checkpoint and their step.
  store.epochs = { epoch: [1, 2], time: [1, 2], k: [1, 1], loss: [1, 1], subLoss: [1, 1] };
  applyMessage(store, { type: 'event', event: line('resume', { epoch: 2, k: 3 }) });
  assert.deepEqual([currentK(store), kAfterEpochs(store)], [3, [1, 3]]);
});

test('present workers are those the coordinator knows, updated by joins and departures', () => {
  const event = (type: string, worker: string): Message => ({
    type: 'event',
    event: line(type, { worker }),
  });
  // A killed session did not record that its workers left.
  const old = ['w1', 'w2', 'w3'].map((worker) => line('worker', { worker }));
  const joined = event('worker', 'w2');
  const events = [...old, line('worker', { worker: 'w1' }), line('resume')];
  const store = createStore(run, { epochs: noEpochs(), events, work: [] }, [joined]);
  assert.deepEqual([...store.present], ['w1', 'w2']);
  applyMessage(store, event('worker-gone', 'w1'));
  assert.deepEqual([...store.present], ['w2']);
  applyMessage(store, event('worker', 'w1'));
  assert.equal(store.present.size, 2);
});

test('of too many events, rejected proposals are dropped first', () => {
  const store = createStore(run, { epochs: noEpochs(), events: [], work: [] }, []);
  const tell = (type: string, more = {}) => applyMessage(store, { type: 'event', event: line(type, more) });
  tell('start');
  tell('step', { epoch: 6, kind: 'split', changed: 1, k: 2 });
  for (let i = 0; i < 50_000; i++) tell('split', { epoch: 12 + i, accepted: i === 7 });
  assert.ok(store.events.length <= 20_000);
  assert.deepEqual(
    store.events.slice(0, 3).map((event) => [event.type, 'epoch' in event ? event.epoch : undefined]),
    [
      ['start', undefined],
      ['step', 6],
      ['split', 19],
    ],
  );
  assert.equal((store.events.at(-1) as { epoch?: number }).epoch, 50_011);
});

test('the log: all checkpoints share one entry, at the newest, that has them all', () => {
  const checkpoint = (epoch: number) => line('checkpoint', { epoch, bytes: 2e6, seconds: 0.02 });
  const step = line('step', { epoch: 6, kind: 'split', changed: 1, k: 5 });
  const entries = logEntries([
    checkpoint(1),
    step,
    checkpoint(7),
    checkpoint(8),
    line('warning', { message: 'x' }),
  ]);
  assert.deepEqual(
    entries.map(({ text }) => text),
    ['Split step: K 4 → 5', '3 checkpoints, the newest of 2.0 MB in 20 ms', 'x'],
  );
  assert.deepEqual(
    entries[1].within?.map(({ epoch }) => epoch),
    [1, 7, 8],
  );
  assert.equal(logEntries([checkpoint(1), step])[0].text, 'Checkpoint: 2.0 MB in 20 ms');
});

test('the log: rejected proposals of one step share an entry, and every other event has one', () => {
  const split = (c: number, logRatio: number | null, accepted = false) =>
    line('split', { epoch: 6, clusters: [c], points: [10, 20], logRatio, accepted });
  const entries = logEntries([
    split(0, -20),
    split(1, -3.25),
    split(2, 400, true),
    split(3, null),
    line('step', { epoch: 6, kind: 'split', changed: 1, k: 5 }),
  ]);
  assert.deepEqual(
    entries.map(({ text }) => text),
    [
      '3 splits rejected, best log-ratio −3.3',
      'Cluster 2 split: 10 + 20 rows, log-ratio 400.0',
      'Split step: K 4 → 5',
    ],
  );
  const refused = { epoch: 6, clusters: [0], points: [5, 9], accepted: false };
  const further = logEntries([
    split(0, -20),
    line('split', { ...refused, logRatio: 70, reason: 'no valley' }),
    line('split', { ...refused, logRatio: null, reason: 'too few points' }),
  ]);
  assert.deepEqual(
    further.map(({ text }) => text),
    ['3 splits rejected, best log-ratio 70.0 (no valley)'],
  );
  const graph = [
    line('likelihood', { likelihood: 'graph', why: 'asked for' }),
    split(0, -20),
    split(2, 4, true),
  ];
  assert.deepEqual(
    logEntries(graph)
      .slice(1)
      .map(({ text }) => text),
    ['1 split rejected, best gain −20.0', 'Cluster 2 split: 10 + 20 rows, gain 4.0'],
  );
  const one = (type: string, more = {}) => logEntries([line(type, more)])[0]?.text;
  assert.equal(
    one('merge', { clusters: [1, 4], points: [5, 6], logRatio: null, accepted: true }),
    'Clusters 1 and 4 merged: 5 + 6 rows',
  );
  assert.equal(one('step', { kind: 'merge', changed: -1, k: 4 }), 'Merge step: K 5 → 4');
  assert.equal(
    one('worker-gone', { worker: 'w2', reason: 'killed by SIGKILL' }),
    'Worker w2 left: killed by SIGKILL',
  );
  assert.equal(one('checkpoint', { bytes: 183_000, seconds: 0.004 }), 'Checkpoint: 183 kB in 4 ms');
  for (const type of [
    'start',
    'worker',
    'warning',
    'resume',
    'checkpoint-failed',
    'end',
    'done',
    'something-new',
  ])
    assert.ok(one(type, { message: 'a worker is slow', rows: 5, dim: 2, sample: 5, shards: 1 }), type);
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
  assert.deepEqual(
    [
      threeDigits(0.22412),
      threeDigits(12.345),
      threeDigits(-1234.5),
      threeDigits(0.00002),
      threeDigits(null),
      threeDigits(Infinity),
      threeDigits(0),
    ],
    ['0.224', '12.3', '−1,235', '2.0e−5', '–', '∞', '0'],
  );
  assert.deepEqual(
    [
      count(70_000),
      count(null),
      logRatioText(-12.34),
      logRatioText(9876.5),
      percent(0.118),
      percent(undefined),
    ],
    ['70,000', '–', '−12.3', '9,877', '11.8 %', '–'],
  );
  assert.deepEqual(
    [duration(0.008), duration(4.23), duration(59.97), duration(185), duration(7620)],
    ['8 ms', '4.2 s', '1 min 00 s', '3 min 05 s', '2 h 07 min'],
  );
  assert.deepEqual(columnTexts([1.19, 0.988, 12.3]), ['1.2', '1.0', '12.3']);
  assert.deepEqual(
    [compactCount(70_000), compactCount(1_250_000), compactCount(2.1e9), compactCount(null)],
    ['70,000', '1.25 M', '2.10 G', '–'],
  );
  assert.deepEqual([stopwatch(4.2), stopwatch(79.3), stopwatch(7620)], ['4.2 s', '1:19', '2:07:00']);
  assert.deepEqual(columnTexts([0, 0]), ['0.00', '0.00']);
  assert.equal(splitCamelCase('splitMergeEvery'), 'split merge every');
  assert.match(timeOfDay('2026-11-24T14:03:07.000Z'), /^\d\d:\d\d:07$/);
  assert.equal(timeOfDay('no date'), '');
});
