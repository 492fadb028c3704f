// Well-formed messages with wild values, from a worker with a valid key: runs in this process, with real tasks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { anyLie, falseClaim, RUNS, runWithLies, wildLie } from './lies.ts';

for (const options of [RUNS[0], RUNS[6], RUNS[8]])
  test(`values that no honest result has are refused, and change nothing: ${JSON.stringify(options)}`, async () => {
    const { labels, counts } = await runWithLies({ options });
    assert.deepEqual(counts, {});
    const disturbed = await runWithLies({ options, lie: wildLie(8) });
    assert.deepEqual(disturbed.labels, labels);
    assert.ok(disturbed.refused >= 5, `sent away ${disturbed.refused} times`);
    // One message may hold several wrong results: on a busy machine a worker collects more.
    assert.ok(disturbed.counts.resultsWrongShape >= disturbed.refused);
  });

test('claims about the data that the file refutes end no run, and change nothing', async () => {
  const options = RUNS[4];
  const { labels } = await runWithLies({ options });
  for (const claim of ['hashes', 'bad rows', 'sample', 'sums', 'silhouette'] as const) {
    const disturbed = await runWithLies({ options, lie: falseClaim(claim) });
    assert.deepEqual(disturbed.labels, labels, claim);
    assert.ok(disturbed.refused > 0, claim);
    assert.ok(disturbed.counts.resultsWrongShape >= disturbed.refused, claim);
  }
});

test('the moments of honest workers are those that the coordinator finds itself', async () => {
  for (const options of RUNS) await runWithLies({ options });
});

test('whatever a worker claims, the run ends, or says why it cannot go on', async () => {
  for (const [seed, options] of RUNS.entries())
    await runWithLies({ seed, options, lie: anyLie([1, 3, 10, 40][seed % 4]) }).catch((error) => {
      assert.ok(error instanceof UserError, `seed ${seed}: ${error.stack}`);
    });
});

for (const honest of [1, 2])
  test(`training that diverges ends with its message, and nobody is sent away (workers: ${honest})`, async () => {
    for (const options of [{ lr: 1e30, initK: 3 }, { lr: 1e30, initK: 3, localSteps: 1 }, { subLr: 1e30 }])
      await assert.rejects(
        runWithLies({ options, honest }),
        (error) =>
          error instanceof UserError && /training diverged in epoch \d+: --(sub-)?lr/.test(error.message),
      );
  });
