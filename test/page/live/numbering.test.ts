import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrainingRun } from '../../../coordinator/fit/run-context.ts';
import type { State } from '../../../model/state.ts';
import { createRecorder } from '../../../page/live/recorder.ts';

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

test('ratios that are not known stay so', () => {
  const recorder = createRecorder();
  recorder.prepared({} as TrainingRun, 9);
  recorder.state(stateOf(0, 0.4, 0.6));
  recorder.labelled([6, 4], { state: stateOf(0, 0.6, 0.4), order: [1, 0] }, null);
  assert.deepEqual(recorder.snapshot()!.splitRatio, [null, null]);
});
