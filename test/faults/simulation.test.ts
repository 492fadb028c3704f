import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type PlantedBugs, schedule, simulate } from './simulation.ts';

async function run(count: number, bugs?: PlantedBugs) {
  const seen: Record<string, number> = {};
  for (let seed = 0; seed < count; seed++)
    for (const [what, times] of Object.entries(await simulate(seed, { ...schedule(seed), bugs })))
      seen[what] = (seen[what] ?? 0) + times;
  return seen;
}

describe('registry, router and dispatcher in a simulated cluster', () => {
  test('every round ends with the correct result, whatever happens', async () => {
    const seen = await run(400);
    // Every kind of fault occurred, and every check was exercised.
    for (const what of [
      'lost down',
      'lost up',
      'cut',
      'frozen',
      'crashed',
      'coordinator killed',
      'resultsLate',
      'resultsOfAnotherTerm',
      'unitsRaced',
      'failed',
      'refused',
      'file withheld',
      'workersSuspected',
    ])
      assert.ok(seen[what] > 0, `${what}: ${JSON.stringify(seen)}`);
  });

  test('a task that fails at every worker ends the run with its error, however many there are', async () => {
    for (let seed = 0; seed < 100; seed++)
      await assert.rejects(
        simulate(seed, { ...schedule(seed), sick: 0, bugs: { failsEverywhere: true } }),
        /^AssertionError.*seed \d+: round 0 failed: Error: worker w\d+: Error: a bug/,
      );
  });

  test('the simulation detects planted bugs', async () => {
    await assert.rejects(run(400, { countsTwice: true }), /seed \d+/);
    await assert.rejects(run(400, { ignoresTerm: true }), /seed \d+/);
  });
});
