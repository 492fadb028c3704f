// Model checking of the scheduler: tsx test/faults/simulate.ts [--seed N] [--schedules N]

import { setImmediate } from 'node:timers/promises';
import { note } from '../bench/dpmesh.ts';
import { describeCounts, seed as first, numberFlag, report, short } from './campaign.ts';
import { schedule, simulate } from './simulation.ts';

const count = numberFlag('schedules', short ? 2000 : 100_000);
const seen: Record<string, number> = {};
let wrong = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    for (const [what, times] of Object.entries(await simulate(seed, schedule(seed))))
      seen[what] = (seen[what] ?? 0) + times;
  } catch (error) {
    wrong++;
    note(String((error as Error).message).split('\n')[0]);
  }
  // The simulation does not wait in real time: without a pause signals would not be handled.
  if (seed % 100 === 0) await setImmediate();
  if ((seed - first + 1) % 10_000 === 0) note(`${seed - first + 1} schedules, ${wrong} wrong`);
}
/** The first seed that detects a planted bug; -1 if none does. */
async function firstDetection(bugs: Parameters<typeof simulate>[1]['bugs']): Promise<number> {
  for (let seed = 0; seed < 1000; seed++) {
    try {
      await simulate(seed, { ...schedule(seed), bugs });
    } catch {
      return seed;
    }
  }
  return -1;
}
const [twice, term] = [
  await firstDetection({ countsTwice: true }),
  await firstDetection({ ignoresTerm: true }),
];
note(describeCounts(seen));
report({
  name: 'simulate',
  what: 'the real scheduler and up to 50 workers under seeded schedules of loss, delay, duplication, cuts, crashes and restarts',
  target: '100,000 schedules, no hang, no wrong result; planted bugs are detected',
  measured: `${count.toLocaleString('en')} schedules, ${wrong} wrong; planted bugs: repeated results found by seed ${twice}, results of another term by seed ${term}`,
  ok: wrong === 0 && twice >= 0 && term >= 0,
});
