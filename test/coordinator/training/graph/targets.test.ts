import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runWithLies } from '../../../faults/lies.ts';

test('with the graph likelihood, the net learns memberships, whatever it would learn of a mixture', async () => {
  const options = { likelihood: 'graph' };
  const { labels, k } = await runWithLies({ options });
  assert.ok(k > 1);
  for (const clusterLoss of ['isotropic', 'diag'])
    assert.deepEqual((await runWithLies({ options: { ...options, clusterLoss } })).labels, labels);
});
