import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergeStep } from '../../../../coordinator/fit/gaussian/merge.ts';
import { logEvidence, logSplitRatio } from '../../../../model/gaussian/hastings.ts';
import { pointEstimate } from '../../../../model/gaussian/niw.ts';
import type { Mixture } from '../../../../model/mixture.ts';
import { addStatistics, type Covariance } from '../../../../model/statistics.ts';
import type { RunEvent } from '../../../../run/events.ts';
import {
  assertClose,
  assertUnit,
  blobs,
  ofLabel,
  pairs,
  randomNumbers,
  scene,
  statisticsOf,
  where,
} from '../support.ts';

type Proposal = Extract<RunEvent, { type: 'split' | 'merge' }>;
const merges = (events: RunEvent[]) => events.filter((event): event is Proposal => event.type === 'merge');

/** Pairs in which one mean is among the other's three nearest, by the other's Mahalanobis distance. */
function pairsOf({ means, covariances }: Mixture): string[] {
  const pairs = new Set<string>();
  means.forEach((mean, a) => {
    const [xx, xy, , yy] = covariances[a];
    const distance = (b: number) => {
      const [x, y] = [means[b][0] - mean[0], means[b][1] - mean[1]];
      return (yy * x * x - 2 * xy * x * y + xx * y * y) / (xx * yy - xy * xy);
    };
    const others = [...means.keys()].filter((b) => b !== a);
    others.sort((p, q) => distance(p) - distance(q) || p - q);
    for (const b of others.slice(0, 3)) pairs.add(`${Math.min(a, b)}-${Math.max(a, b)}`);
  });
  return [...pairs].sort();
}

describe('mergeStep', () => {
  for (const covariance of ['full', 'diag'] as Covariance[]) {
    test(`merges two clusters of one blob, and leaves the others unchanged (${covariance})`, async () => {
      const { rows, blob } = blobs(1, pairs(0, 0, 300, 0, 0, 300), 60);
      // Clusters 0 and 2 share the first blob, a third to two thirds.
      const z = blob.map((b, i) => (b === 0 ? (i % 3 ? 2 : 0) : b === 1 ? 1 : 3));
      const before = scene({ rows, z, covariance });
      const { state, run } = before;
      const after = await mergeStep(run, { ...state, loss: 0.4, lossSinceChange: 0.4 });
      assert.equal(after.mixture.k, 3);
      const own = statisticsOf(ofLabel(rows, blob, 0), covariance);
      const fit = pointEstimate(run.prior, own);
      assertClose(after.mixture.means[0], fit.mean, 1e-9);
      assertClose(after.mixture.covariances[0], fit.covariance, 1e-9);
      assertClose(after.mixture.weights, [1 / 3, 1 / 3, 1 / 3], 1e-12);
      assertClose(
        after.parts[0][0].map((value, p) => value + after.parts[0][1][p]),
        own,
        1e-9,
      );
      assert.ok(
        after.parts[0].every((T) => T[0] > 10),
        'halved by PCA',
      );
      assertUnit(state, after, 0, 2, true);
      for (const [c, from] of pairs(1, 1, 2, 3)) {
        assert.equal(after.mixture.means[c], state.mixture.means[from]);
        assert.equal(after.mixture.covariances[c], state.mixture.covariances[from]);
        assert.equal(after.parts[c], state.parts[from]);
        assertUnit(state, after, c, from, false);
      }
      assert.equal(after.frozen, 2);
      assert.deepEqual(after.steps, [{ kind: 'merge', changed: 1, k: 3, progress: null }]);
      assert.deepEqual([after.untilStep, after.patience], [6, 24]);
      assert.deepEqual([after.loss, after.lossSinceChange], [0.4, null], 'of other clusters');
      const accepted = merges(before.events).filter((event) => event.accepted);
      assert.deepEqual(
        accepted.map(({ clusters, points }) => [clusters, points]),
        [pairs(0, 2, 20, 40)],
      );
    });
  }

  test('does not merge separate blobs; proposes by the tempered ratio of each pair, best first', async () => {
    const { rows, blob } = blobs(2, pairs(0, 0, 30, 0, 0, 45, 70, 70), 50);
    const before = scene({ rows, z: blob }, { zeta: 0.6 });
    const after = await mergeStep(before.run, before.state);
    assert.equal(after.mixture, before.state.mixture);
    assert.equal(after.net, before.state.net);
    assert.equal(after.parts, before.state.parts);
    assert.equal(after.frozen, 0);
    assert.deepEqual(after.steps, [{ kind: 'merge', changed: 0, k: 4, progress: null }]);
    assert.equal(after.untilStep, 6);
    const T = [0, 1, 2, 3].map((b) => statisticsOf(ofLabel(rows, blob, b)));
    const events = merges(before.events);
    assert.equal(events.length, 6);
    for (const {
      clusters: [a, b],
      logRatio,
      accepted,
    } of events) {
      assertClose([logRatio!], [-logSplitRatio(before.run.prior, [T[a], T[b]], 10, 0.6)], 1e-10);
      assert.equal(accepted, false);
    }
    const ratios = events.map(({ logRatio }) => logRatio!);
    assert.deepEqual(
      ratios,
      [...ratios].sort((a, b) => b - a),
    );
  });

  test('tries each cluster with its three nearest neighbours, each pair once', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { uniform, below } = randomNumbers(seed);
      const centres = Array.from({ length: 5 + below(6) }, () => [1000 * uniform() ** 2, 1000 * uniform()]);
      const { rows, blob } = blobs(seed, centres, 12);
      const { run, state, events } = scene({ rows, z: blob });
      await mergeStep(run, state);
      const pairs = merges(events).map(({ clusters: [a, b] }) => `${Math.min(a, b)}-${Math.max(a, b)}`);
      assert.deepEqual(pairs.sort(), pairsOf(state.mixture));
    }
  });

  test('merges a cluster at most once per step, in its best pair', async () => {
    const { rows, blob } = blobs(3, pairs(0, 0, 900, 900), 90);
    // Five clusters of one blob.
    const { below } = randomNumbers(3);
    const z = blob.map((b) => (b === 0 ? below(5) : 5));
    const before = scene({ rows, z });
    const after = await mergeStep(before.run, before.state);
    const events = merges(before.events);
    const accepted = events.filter((event) => event.accepted);
    assert.equal(accepted.length, 2);
    assert.equal(after.mixture.k, 4);
    assert.equal(new Set(accepted.flatMap(({ clusters }) => clusters)).size, 4);
    const used = new Set<number>();
    for (const { clusters, logRatio, accepted, reason } of events) {
      const free = clusters.every((k) => !used.has(k));
      assert.equal(reason, free ? undefined : 'one of them has merged');
      assert.equal(accepted, free && logRatio! > 0);
      if (accepted) for (const k of clusters) used.add(k);
    }
    assertClose([after.mixture.weights.reduce((a, b) => a + b)], [1], 1e-12);
  });

  test('accepts with probability H below 1, by a draw of (seed, epoch, pair)', async () => {
    const { rows, blob } = blobs(4, pairs(0, 0, 6, 0), 30);
    const trials = 200;
    let accepted = 0;
    let ratio = 0;
    for (let epoch = 1; epoch <= trials; epoch++) {
      const { run, state, events } = scene({ rows, z: blob }, { zeta: 0.4, epoch });
      await mergeStep(run, state);
      ratio = merges(events)[0].logRatio!;
      if (merges(events)[0].accepted) accepted++;
    }
    const p = Math.exp(ratio);
    assert.ok(p > 0.02 && p < 0.98, `log H is ${ratio}`);
    const noise = Math.sqrt((p * (1 - p)) / trials);
    assert.ok(Math.abs(accepted / trials - p) < 4 * noise, `${accepted} of ${trials} at ${p}`);
  });

  test('drops several empty clusters and merges others in one step', async () => {
    const { rows, blob } = blobs(6, pairs(0, 0, 500, 0, 0, 500), 60);
    const z = blob.map((b, i) => (b === 0 ? i % 2 : b + 1));
    const before = scene({ rows, z }, { k: 6 });
    const { mixture } = before.state;
    const at: Record<number, Float64Array> = { 4: Float64Array.of(510, 0), 5: Float64Array.of(10, 510) };
    const means = mixture.means.map((mean, c) => at[c] ?? mean);
    const state = { ...before.state, mixture: { ...mixture, means } };
    const after = await mergeStep(before.run, state);
    assert.equal(after.mixture.k, 3);
    const T = [0, 1].map((k) => statisticsOf(ofLabel(rows, z, k)));
    assertClose(
      after.mixture.means[0],
      pointEstimate(before.run.prior, addStatistics(T[0], T[1])).mean,
      1e-9,
    );
    assert.deepEqual(after.mixture.means.slice(1), mixture.means.slice(2, 4));
    assert.deepEqual(
      after.parts.map((pair) => pair[0][0] + pair[1][0]),
      [60, 60, 60],
    );
  });

  test('its progress is that of the evidence since the merge step before, under the prior of now', async () => {
    const { rows, blob } = blobs(8, pairs(0, 0, 40, 0, 0, 60), 50);
    // Clusters 0 and 1 share the first blob.
    const z = blob.map((b, i) => (b === 0 ? i % 2 : b + 1));
    const before = scene({ rows, z }, { zeta: 0.7 });
    const of = (wanted: (i: number) => boolean) => statisticsOf(where(rows, wanted));
    const first = await mergeStep(before.run, before.state);
    assert.equal(first.steps.at(-1)!.progress, null, 'there is none before');
    const byBlob = [0, 1, 2].map((b) => of((i) => blob[i] === b));
    for (const [c, T] of byBlob.entries()) assertClose(first.merged[c], T, 1e-12);
    assert.equal(first.merged.length, 3);

    const old = [of((i) => blob[i] < 2), of((i) => blob[i] === 2)];
    const later = await mergeStep(before.run, { ...before.state, merged: old });
    const evidence = (T: Float64Array[]) => logEvidence(before.run.prior, T, 10, 0.7);
    const { progress } = later.steps.at(-1)!;
    assertClose([progress!], [evidence(byBlob) - evidence(old)], 1e-9);
    assert.ok(progress! > 0, 'three blobs in three clusters, not in two');
    assertClose(
      [(await mergeStep(before.run, { ...before.state, merged: byBlob })).steps.at(-1)!.progress!],
      [0],
      1e-9,
    );
  });

  test('judges pairs under the state’s prior, which may have been learned since the run began', async () => {
    const { rows, blob } = blobs(9, pairs(0, 0, 5, 0), 40);
    const { run, state, events } = scene({ rows, z: blob });
    const prior = scene({ rows, z: blob }, { learned: true }).run.prior;
    await mergeStep(run, { ...state, prior });
    const T = [0, 1].map((b) => statisticsOf(ofLabel(rows, blob, b)));
    assertClose([merges(events)[0].logRatio!], [-logSplitRatio(prior, T, 10, 1)], 1e-10);
  });

  test('with a single cluster only keeps its statistics, for the progress of the next', async () => {
    const { rows, blob } = blobs(7, [[0, 0]], 30);
    const { run, state, events, rounds } = scene({ rows, z: blob });
    const after = await mergeStep(run, state);
    assertClose(after.merged[0], statisticsOf(rows), 1e-12);
    assert.deepEqual(after, {
      ...state,
      merged: after.merged,
      untilStep: 6,
      steps: [{ kind: 'merge', changed: 0, k: 1, progress: null }],
    });
    assert.deepEqual([events.length, rounds.calls.cellStatistics], [0, 0]);
    assert.equal(after.merged.length, 1);
    const again = await mergeStep(run, after);
    assert.deepEqual(again.steps.at(-1), { kind: 'merge', changed: 0, k: 1, progress: 0 });
  });
});
