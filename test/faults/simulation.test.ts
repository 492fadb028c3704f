import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { schedule } from './schedules.ts';
import { type Bugs, simulate } from './simulation.ts';

async function run(count: number, bugs?: Bugs) {
  const seen: Record<string, number> = {};
  for (let seed = 0; seed < count; seed++)
    for (const [what, times] of Object.entries(await simulate(seed, { ...schedule(seed), bugs })))
      seen[what] = (seen[what] ?? 0) + times;
  return seen;
}

describe('registry, router and dispatcher in a simulated world', () => {
  test('end every round with the right result, whatever happens', async () => {
    const seen = await run(400);
    // All kinds of trouble came, and all checks had something to do.
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
      'workersSuspected',
    ])
      assert.ok(seen[what] > 0, `${what}: ${JSON.stringify(seen)}`);
  });

  test('the simulation finds planted bugs', async () => {
    await assert.rejects(run(400, { countsTwice: true }), /seed \d+/);
    await assert.rejects(run(400, { ignoresTerm: true }), /seed \d+/);
  });
});
