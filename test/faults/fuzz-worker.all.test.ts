import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzWorker } from './fuzz-worker.ts';

test('no mutated message of a coordinator ends a worker, changes a valid round or leaks tensors', async () => {
  const seen = await fuzzWorker(0, 5000);
  for (const what of ['results', 'failures', 'valid rounds', 'malformed', 'invalid', 'unrequested'])
    assert.ok(seen[what] > 0, `${what}: ${JSON.stringify(seen)}`);
});
