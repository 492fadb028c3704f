import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { finalHalves } from '../../../../coordinator/training/gaussian/shapes.ts';
import { evidenceHalves, nextSplits } from '../../../../model/hierarchy/next-split.ts';
import { type Covariance, scaleStatistics } from '../../../../model/statistics.ts';
import { blobs, randomNumbers, type Scene, scene, statisticsOf } from '../../support.ts';

/** Cluster 0 is two blobs of 300 and 100 rows, cluster 1 a single one of 400, cluster 2 is empty; sub-nets halve them at random. */
function sceneOf(covariance: Covariance, schedule: Parameters<typeof scene>[1] = {}) {
  const far = 60;
  const centres = [[0, 0], [0, 0], [0, 0], [7, 0], ...Array.from({ length: 4 }, () => [far, far])];
  const { rows, blob } = blobs(5, centres, 100);
  const { below } = randomNumbers(9);
  const z = blob.map((b) => Number(b >= 4));
  const own = scene({ rows, z, side: rows.map(() => below(2)), covariance }, { k: 3, ...schedule });
  const T = [0, 1, 2].map((k) =>
    statisticsOf(
      rows.filter((_, i) => z[i] === k),
      covariance,
      2,
    ),
  );
  return { ...own, T };
}

const splitsOf = async ({ run, state, T }: Scene & { T: Float64Array[] }) => {
  // As if ten times as many rows had been labelled as are in the sample.
  const all = T.map((t) => scaleStatistics(t, 10));
  const proposals = await finalHalves(run, state, all);
  assert.equal(proposals.length, 3);
  const halves = evidenceHalves(state.prior, all.slice(0, 2), proposals, run.config.alpha);
  return nextSplits([4000, 4000], halves, 'falling');
};

describe('halves at the end of a run', () => {
  for (const covariance of ['full', 'diag'] as const)
    test(`find that a cluster is two, whatever its sub-net says (${covariance})`, async () => {
      const own = sceneOf(covariance);
      const [first, second] = await splitsOf(own);
      assert.deepEqual([first.cluster, first.sizes], [0, [3000, 1000]]);
      assert.ok(first.height > 0 && !(second?.height > 0));
      assert.ok(own.published.includes('net'));
    });

  test('are the sub-clusters alone where the schedule proposes no others', async () => {
    const own = sceneOf('full', { schedule: { furtherProposals: false } });
    const proposals = await finalHalves(own.run, own.state, own.T);
    assert.deepEqual(
      proposals,
      own.state.parts.map((pair) => [pair]),
    );
    assert.deepEqual([own.published, Object.values(own.rounds.calls)], [[], [0, 0, 0, 0]]);
    const [first] = await splitsOf(own);
    assert.ok(first.height < 0);
  });

  test('are the sub-clusters alone where clusters are too flat for others', async () => {
    const own = sceneOf('full');
    const flat = { ...own.state, prior: { ...own.state.prior, psi: Float64Array.of(0, 0, 0, 0) } };
    const T = own.T.map(([n]) => Float64Array.of(n, n, 0, n, 0, 0));
    assert.deepEqual(
      await finalHalves(own.run, flat, T),
      own.state.parts.map((pair) => [pair]),
    );
  });
});
