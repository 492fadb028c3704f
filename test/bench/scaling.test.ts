// The arithmetic of docs/clusters.md: its tables are what bench/scaling.ts prints.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  efficiency,
  encoderBytes,
  exchangeSeconds,
  STEP_SECONDS,
  scalingTable,
  stepsFor,
} from '../../bench/scaling.ts';

const costs = {
  ...{ cards: 4, gbit: 1, stepSeconds: 0.01, bytesPerRound: 12.5e6 },
  ...{ latency: 0.1, coordinatorSecondsPerByte: 2e-9 },
};
const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

describe('scaling of an encoder', () => {
  test('a round is steps, latency, and the bytes of all cards on one link', () => {
    // 4 × .1 s on the link, 4 × .025 s of the coordinator.
    near(exchangeSeconds(costs), 0.6);
    near(efficiency(costs, 100), 1 / 1.6);
    near(efficiency({ ...costs, latency: 0, bytesPerRound: 0 }, 100), 1);
  });

  test('the steps for a share of the time give that share', () => {
    for (const share of [0.5, 0.8, 0.95]) near(efficiency(costs, stepsFor(share, costs)), share);
  });

  test('bytes: weights and two moments, there and back', () => {
    assert.equal(encoderBytes([3, 2, 3]), 24 * (3 * 2 + 2 + 2 * 3 + 3));
  });

  test('what the docs say is what tsx bench/scaling.ts prints', () => {
    const [, cores, speed] = readFileSync('docs/clusters.md', 'utf8').match(
      /(\w+) cores on 10 Gbit\/s are (\d+) × as fast as one/,
    )!;
    assert.equal(cores, 'eight');
    const [, eight] = scalingTable(STEP_SECONDS.core).match(/^\| 8 \| [^|]* \| ([\d.]+) ×/m)!;
    assert.equal(Math.round(Number(eight)), Number(speed));
  });
});
