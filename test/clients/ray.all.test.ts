// The Python client with Ray: test_ray.py.
import { test } from 'node:test';
import { assertPassed, environment, packagesFor, pythons } from './pythons.ts';

const [[version, path] = ['', '']] = pythons();

test('test_ray.py', { skip: path ? false : 'there is no Python 3.10 to 3.13 with venv' }, async () => {
  await assertPassed(await environment(path, version, packagesFor(version)), 'test_ray.py');
});
