import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzCoordinator } from './fuzz-coordinator.ts';

test('no mutated message of an authenticated peer changes anything', async () => {
  const seen = await fuzzCoordinator(0, 20_000);
  for (const what of [
    'malformed',
    'understood',
    'resultsNotAskedFor',
    'resultsOfAnotherTerm',
    'hellosRefused',
  ])
    assert.ok(seen[what] > 0, `${what}: ${JSON.stringify(seen)}`);
});
