import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorOf } from '../../../worker/host/supervisor.ts';

const stack = `/work/dist/worker/process.js:12
    throw new RangeError('too far');
    ^

RangeError: too far
    at serve (/work/dist/worker/process.js:12:11)

Node.js v20.20.2
`;

test('the last error in a worker’s stderr', () => {
  assert.equal(errorOf(stack), 'RangeError: too far');
  assert.equal(
    errorOf('worker: connecting\nworker: error: the coordinator refused this worker: no\n'),
    'the coordinator refused this worker: no',
  );
  assert.equal(errorOf(`Error: the first\n${stack}`), 'RangeError: too far');
  assert.equal(
    errorOf(
      "connecting\nterminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
    ),
    "terminate called after throwing an instance of 'std::bad_alloc'",
  );
  assert.equal(
    errorOf(
      '<--- Last few GCs --->\nFATAL ERROR: Reached heap limit Allocation failed\n----- Native stack trace -----\n',
    ),
    'FATAL ERROR: Reached heap limit Allocation failed',
  );
  assert.equal(errorOf('only this\n'), 'only this');
  // Log lines are not errors: the exit code says more.
  assert.equal(errorOf('worker: connecting to tcp://x:1\nworker: joined as w1\n'), '');
  assert.equal(errorOf(''), '');
});
