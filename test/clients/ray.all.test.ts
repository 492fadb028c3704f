// The Python client with Ray: test_ray.py.
import { test } from 'node:test';
import { ALL, assertPassed, environment, NONE, pythons } from './pythons.ts';

const versions = pythons();

test('test_ray.py', { skip: versions ? false : NONE }, async () => {
  await assertPassed(await environment(versions!.main, ALL), 'test_ray.py');
});
