import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labellingState } from '../../../coordinator/fit/epoch.ts';
import type { TrainingRun } from '../../../coordinator/fit/run-context.ts';
import { mStep } from '../../../model/gaussian/mstep.ts';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { clusteringNet } from '../../../model/nets/net.ts';
import { MOST_LABELLED_BY_MIXTURE, type State } from '../../../model/state.ts';
import { normals, statisticsOf } from '../../model/support.ts';

const D = 2;
const next = normals(3);
const T = [0, 9].map((centre) =>
  statisticsOf(
    Array.from({ length: 200 }, () => centre + next()),
    D,
    'full',
  ),
);
const prior = niwPrior({
  ...{ mean: new Float64Array(D), kappa: 1e-4, nu: 2 * D + 1, covariance: 'full', estimate: 'mean' },
  psi: Float64Array.of(D, 0, 0, D),
});
const state = {
  ...{ prior, overlaps: false, frozen: 0, net: clusteringNet(1n, D, [5], 2) },
  mixture: mStep(prior, T.toReversed(), 0),
} as unknown as State;

/** The state that labels rows, and the states that were published. */
async function labelling(change: object = {}, rest: object = {}) {
  const published: string[] = [];
  const run = {
    ...{ config: { schedule: 'fast' }, byMixture: false, ...rest },
    dispatcher: { publish: (name: string) => published.push(name) },
    rounds: { cellStatistics: async () => [T] },
  } as unknown as TrainingRun;
  return { after: await labellingState(run, { ...state, ...change } as State), published };
}

test('where the net has assigned rows in training, the mixture that labels them is that of its labels', async () => {
  const { after, published } = await labelling();
  assert.deepEqual(after, { ...state, mixture: mStep(prior, T, 0) });
  assert.deepEqual(published, ['net', 'net-moments']);
});

test('else it is that of training: of clusters that overlap, are new, in few columns; or the net labels rows', async () => {
  for (const [change, rest] of [
    [{ overlaps: true }, {}],
    [{ frozen: 1 }, {}],
    [{}, { byMixture: true }],
    [{}, { config: { schedule: 'paper' } }],
    [{ graph: {} }, {}],
    [{ mixture: { ...state.mixture, d: MOST_LABELLED_BY_MIXTURE + 1 } }, {}],
  ]) {
    const { after, published } = await labelling(change, rest);
    assert.deepEqual([after, published], [{ ...state, ...change }, []]);
  }
});
