import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzCoordinator } from './fuzz-coordinator.ts';
import { fuzzWorker } from './fuzz-worker.ts';

for (const [what, fuzz, outcomes] of [
  [
    'authenticated peer changes anything',
    () => fuzzCoordinator(0, 20_000),
    ['malformed', 'understood', 'resultsNotAskedFor', 'resultsOfAnotherTerm', 'hellosRefused'],
  ],
  [
    'coordinator ends a worker, changes a valid round or leaks tensors',
    () => fuzzWorker(0, 5000),
    ['results', 'failures', 'valid rounds', 'malformed', 'invalid', 'unrequested'],
  ],
] as const)
  test(`no mutated message of a ${what}`, async () => {
    const seen = await fuzz();
    for (const outcome of outcomes) assert.ok(seen[outcome] > 0, `${outcome}: ${JSON.stringify(seen)}`);
  });
