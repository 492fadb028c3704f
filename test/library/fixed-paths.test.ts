import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { fixedPaths } from '../../library/inputs.ts';

test('paths are absolute, and in messages what was given', async () => {
  const { fix, asGiven, naming } = fixedPaths();
  const data = fix('x.npy');
  const out = fix('./runs/x/');
  assert.deepEqual([data, out], [resolve('x.npy'), resolve('runs/x')]);
  assert.deepEqual([fix(undefined), fix(null), fix('/a/b')], [undefined, null, '/a/b']);
  assert.equal(
    asGiven(`${data} is not ${out}; see ${join(out, 'run.json')} (${out})`),
    'x.npy is not ./runs/x; see ./runs/x/run.json (./runs/x)',
  );
  assert.equal(asGiven(`/b${data} and ${data}`), `/b${data} and x.npy`, 'not inside another path');
  const failing = (error: Error) => naming(() => Promise.reject(error));
  await assert.rejects(failing(new UserError(`${data}: no`)), new UserError('x.npy: no'));
  const other = new Error(`${data}: a bug`);
  await assert.rejects(failing(other), (error) => error === other);
});
