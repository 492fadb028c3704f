import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { closestProposal, evidenceForK } from '../../../model/gaussian/evidence-for-k.ts';
import type { Proposal, Step } from '../../../model/schedule.ts';
import { evidenceText } from '../../../run/summary.ts';

const proposal = (logRatio: number | null, rest: Partial<Proposal> = {}): Proposal => ({
  ...{ clusters: [0], points: [30, 20], logRatio, accepted: false },
  ...rest,
});
const step = (kind: Step['kind'], changed: number, closest?: Proposal): Step => ({
  ...{ kind, changed, k: 3, progress: null, closest },
});

describe('the evidence for K', () => {
  test('the closest proposal is the refused one nearest to what it needs, or the accepted one nearest to that', () => {
    const far = proposal(40, { needed: 90, reason: 'no valley' });
    const near = proposal(-4);
    assert.equal(closestProposal([far, near, proposal(null)]), near);
    const sure = proposal(9, { accepted: true });
    const hardly = proposal(12, { accepted: true, needed: 10 });
    assert.equal(closestProposal([near, sure, hardly]), hardly);
    assert.equal(closestProposal([proposal(null)]), undefined);
  });

  test('counts only what was refused since K last changed, by the numbers in the results', () => {
    const steps = [
      step('split', 0, proposal(-0.1)),
      step('split', 1, proposal(30, { accepted: true })),
      step('merge', 1, proposal(0.5, { clusters: [0, 3], accepted: true })),
      step('split', 0, proposal(-7, { clusters: [1] })),
      step('merge', 0, proposal(-9, { clusters: [1, 2] })),
      step('split', 0, proposal(4, { clusters: [2], needed: 9.25, reason: 'no valley' })),
      step('merge', 0),
    ];
    const evidence = evidenceForK(steps, [2, 0, 1]);
    const sizes = [30, 20];
    assert.deepEqual(evidence, {
      split: {
        refused: { clusters: [1], sizes, nats: 4, needed: 9.25, reason: 'no valley' },
        accepted: { sizes, nats: 30, needed: 0 },
      },
      merge: {
        refused: { clusters: [0, 1], sizes, nats: -9, needed: 0 },
        accepted: { sizes, nats: 0.5, needed: 0 },
      },
    });
    assert.equal(
      evidenceText(evidence),
      'split of cluster 1: 5.3 nats short (no valley); merge of clusters 0 and 1: 9.0 nats short; last split: 30.0 nats to spare; last merge: 0.5 nats to spare',
    );
    // Its clusters are no more.
    assert.equal(evidenceForK(steps.slice(0, 3), [2, 0, 1])!.split.refused, null);
  });

  test('is none where --clusters has decided, or nothing has', () => {
    assert.equal(evidenceForK([], []), null);
    assert.equal(evidenceForK([{ ...step('merge', 2), joined: true }], [0]), null);
  });
});
