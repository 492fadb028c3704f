// What a recorder keeps of a run: its history from the log and events, and its state by the clusters' final numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrainingRun } from '../../../coordinator/fit/run-context.ts';
import type { State } from '../../../model/state.ts';
import type { Message } from '../../../page/drawing/api.ts';
import { createRecorder, type Recorder } from '../../../page/live/recorder.ts';

test('history before a resume is read from the event log, without epochs whose work was lost', () => {
  const line = (seconds: number, event: object) =>
    `${JSON.stringify({ time: new Date(1e12 + 1000 * seconds).toISOString(), ...event })}\n`;
  const rest = { width: 1, loss: null, subLoss: null, seconds: {}, workers: {} };
  const epoch = (n: number) => ({ type: 'epoch', epoch: n, k: n, ...rest });
  const recorder = createRecorder(
    (
      line(0, { type: 'start', rows: 1, dim: 1, sample: 1, shards: 1 }) +
      line(1, epoch(1)) +
      line(2, epoch(2)) +
      line(3, epoch(3)) +
      '{"time":"half a li\n' +
      line(1000, { type: 'resume', epoch: 2, k: 2, from: null }) +
      line(1001, epoch(3)) +
      line(1002, epoch(4))
    ).split('\n'),
    () => 0,
  );
  recorder.event({ type: 'resume', epoch: 3, k: 3, from: null });
  const { epochs, events } = recorder.history();
  assert.deepEqual(
    [epochs.epoch, epochs.time],
    [
      [1, 2, 3],
      [1, 2, 4],
    ],
  );
  assert.deepEqual(
    events.map(({ type }) => type),
    ['start', 'resume', 'resume'],
  );
  recorder.epoch(stateOf(4, 1), { loss: null, subLoss: null });
  assert.equal(recorder.history().epochs.time.at(-1), 5);
});

test('of a long run epochs are thinned out, and rejected proposals are dropped before changes of K', () => {
  const long = createRecorder();
  for (let epoch = 1; epoch <= 50_001; epoch++) long.epoch(stateOf(epoch, 1), { loss: null, subLoss: null });
  const { epochs } = long.history();
  assert.ok(epochs.epoch.length <= 20_000 && epochs.epoch.length >= 10_000, String(epochs.epoch.length));
  assert.deepEqual([epochs.epoch.at(-1), epochs.k.length], [50_001, epochs.epoch.length]);
  const typesOf = (recorder: Recorder) => recorder.history().events.map(({ type }) => type);
  const change = { type: 'step', epoch: 6, kind: 'split', changed: 1, k: 2 } as const;
  const about = { epoch: 12, clusters: [0], points: [1, 2], logRatio: -3, accepted: false };
  const refused = { type: 'split' as const, ...about };
  const recorder = createRecorder();
  recorder.event({ type: 'start', rows: 6, dim: 2, sample: 6, shards: 2 });
  recorder.event(change);
  for (let i = 0; i < 35_000; i++) recorder.event({ ...refused, clusters: [i] });
  const { events } = recorder.history();
  assert.equal(events.length, 10_000);
  assert.deepEqual(typesOf(recorder).slice(0, 3), ['start', 'step', 'split']);
  assert.deepEqual((events.at(-1) as typeof refused).clusters, [34_999]);
  // The same if read from the event log of earlier sessions.
  const lines = [change, ...Array<typeof refused>(35_000).fill(refused)];
  const time = '2026-11-25T00:00:00.000Z';
  const again = createRecorder(lines.map((event) => JSON.stringify({ time, ...event })));
  assert.deepEqual([typesOf(again).length, typesOf(again)[0]], [10_000, 'step']);
});

const stateOf = (epoch: number, ...weights: number[]) =>
  ({
    ...{ epoch, sample: { rows: 9 } },
    mixture: { k: weights.length, weights: Float64Array.from(weights) },
  }) as unknown as State;

test('once all rows are labelled, state, counts and split ratios have the clusters’ final numbers', () => {
  const recorder = createRecorder();
  recorder.prepared({} as TrainingRun, 9);
  recorder.state(stateOf(3, 0.2, 0.5, 0.3));
  for (const [cluster, logRatio] of [-1, -2, -3].entries())
    recorder.event({
      type: 'split',
      epoch: 3,
      clusters: [cluster],
      points: [1, 2],
      logRatio,
      accepted: false,
    });
  recorder.event({ type: 'step', epoch: 3, kind: 'split', changed: 0, k: 3 });
  const before = recorder.version('snapshot');
  const final = stateOf(3, 0.5, 0.3, 0.2);
  recorder.labelled([50, 30, 20], { state: final, order: [1, 2, 0] }, null);
  const { state, counts, splitRatio } = recorder.snapshot()!;
  assert.equal(state, final);
  assert.deepEqual(
    [counts, splitRatio],
    [
      [50, 30, 20],
      [-2, -3, -1],
    ],
  );
  assert.notEqual(recorder.version('snapshot'), before);
});

test('clusters of several components: their ratios are not known, and K is that of clusters', () => {
  const recorder = createRecorder();
  recorder.prepared({} as TrainingRun, 9);
  recorder.state(stateOf(3, 0.2, 0.5, 0.3));
  for (const [cluster, logRatio] of [-1, -2, -3].entries())
    recorder.event({
      ...{ type: 'split', epoch: 3, clusters: [cluster], points: [1, 2], logRatio, accepted: false },
    });
  recorder.event({ type: 'step', epoch: 3, kind: 'split', changed: 0, k: 3 });
  const said: Message[] = [];
  recorder.listen((message) => void said.push(message));
  const final = { ...stateOf(3, 0.5, 0.2, 0.3), groups: Int32Array.of(0, 0, 1) };
  recorder.labelled([70, 30], { state: final, order: [1, 0, 2] }, null);
  const { counts, splitRatio } = recorder.snapshot()!;
  assert.deepEqual(
    [counts, splitRatio],
    [
      [70, 30],
      [null, -3],
    ],
  );
  assert.deepEqual(said, [{ type: 'state', epoch: 3, k: 2 }]);
});

test('ratios that are not known stay so', () => {
  const recorder = createRecorder();
  recorder.prepared({} as TrainingRun, 9);
  recorder.state(stateOf(0, 0.4, 0.6));
  recorder.labelled([6, 4], { state: stateOf(0, 0.6, 0.4), order: [1, 0] }, null);
  assert.deepEqual(recorder.snapshot()!.splitRatio, [null, null]);
});
