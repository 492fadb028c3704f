import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunContext, RunState } from '../../../coordinator/fit/run-state.ts';
import { createEarlyFinish, runStages, type Stage } from '../../../coordinator/fit/stage.ts';
import { clusterStage } from '../../../coordinator/fit/stages/cluster.ts';

interface State {
  at: number;
  ends: string[];
}
type Saved = [at: number, now: boolean];

/** Counts to `to`; every third step is a milestone. */
const counting = (to: number, steps: number[] = []): Stage<State, number> => ({
  name: 'cluster',
  ended: ({ at }, isAsked) => (at >= to ? 'done' : isAsked && at > 0 ? 'asked' : null),
  async step(state) {
    steps.push(state.at + 1);
    return { ...state, at: state.at + 1 };
  },
  checkpoint: ({ at }) => at,
  isMilestone: (_, { at }) => at % 3 === 0,
  end: (state, reason) => ({ ...state, ends: [...state.ends, reason] }),
});

function driver(more: { held?: () => Promise<void> | null; finishesAtOnce?: boolean } = {}) {
  const saved: Saved[] = [];
  const earlyFinish = createEarlyFinish();
  return { saved, earlyFinish, offer: (at: number, now: boolean) => void saved.push([at, now]), ...more };
}

test('stages run in turn, are saved after each step, and those that are over are passed over', async () => {
  const own = driver();
  const end = await runStages([counting(2), counting(4), counting(3)], { at: 0, ends: [] }, own);
  assert.deepEqual(end, { at: 4, ends: ['done', 'done'] });
  assert.deepEqual(own.saved, [
    [1, false],
    [2, false],
    [2, true],
    [3, true],
    [4, false],
    [4, true],
  ]);
});

test('a stage that begins is saved at once, and only then can it be asked to end', async () => {
  const own = driver();
  assert.equal(own.earlyFinish.ask(), null);
  const begun = { ...counting(9), begin: async (state: State) => ({ ...state, at: 5 }) };
  const asking = {
    ...begun,
    async step(state: State) {
      assert.match(own.earlyFinish.ask()!, /after this epoch/);
      return begun.step(state);
    },
  };
  assert.deepEqual(await runStages([asking], { at: 0, ends: [] }, own), { at: 6, ends: ['asked'] });
  assert.deepEqual(own.saved[0], [5, true]);
});

test('of a run that only finishes, the first stage that goes on from a checkpoint ends at once', async () => {
  const own = driver({ finishesAtOnce: true });
  const end = await runStages([counting(3), counting(5), counting(7)], { at: 4, ends: [] }, own);
  assert.deepEqual(end, { at: 7, ends: ['asked', 'done'] });
});

test('a paused run waits between two steps, until it goes on or is asked to end', async () => {
  let resume = () => {};
  let held: Promise<void> | null = new Promise((resolve) => {
    resume = resolve;
  });
  const steps: number[] = [];
  const own = driver({ held: () => held });
  const running = runStages([counting(3, steps)], { at: 1, ends: [] }, own);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(steps, []);
  held = null;
  resume();
  assert.equal((await running).at, 3);
  held = new Promise(() => {});
  const ending = runStages([counting(3)], { at: 1, ends: [] }, own);
  await new Promise((resolve) => setTimeout(resolve, 20));
  own.earlyFinish.ask();
  assert.deepEqual((await ending).ends, ['asked']);
});

test('training that has settled or reached its limit when it was saved ends, and says so, in the session that resumes it', async () => {
  const events: unknown[] = [];
  const config = { data: 'x.npy', maxEpochs: 5, clusters: null, earlyStop: false, coarsening: 1 };
  const context = {
    ...{ config, dispatcher: {}, emit: (event: unknown) => events.push(event), spent: () => ({}) },
    server: { identity: () => 'wasm/1' },
    trainer: { resume: async () => {} },
  } as unknown as RunContext;
  const clusters = { epoch: 5, mixture: { k: 3 }, steps: [], sample: { rows: 9 } };
  const run = { config, schedule: {}, d: 2, transform: {} };
  const saved = { run, clusters, layout: { dim: 2 }, ended: null } as unknown as RunState;
  const stage = clusterStage(context);
  assert.equal(stage.ended(saved, false), null);
  const { ended } = await runStages([stage], saved, { earlyFinish: createEarlyFinish(), offer: () => {} });
  assert.equal(ended, 'max-epochs');
  assert.deepEqual(events, [{ type: 'end', epoch: 5, k: 3, reason: 'max-epochs' }]);
});
