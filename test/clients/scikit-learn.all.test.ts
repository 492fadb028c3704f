// The Python client with scikit-learn, to the letter of its checks: test_scikit_learn.py.
import { test } from 'node:test';
import { assertPassed, environment, packagesFor, pythons } from './pythons.ts';

const [[version, path] = ['', '']] = pythons();

test('test_scikit_learn.py', {
  skip: path ? false : 'there is no Python 3.10 to 3.13 with venv',
}, async () => {
  await assertPassed(await environment(path, version, packagesFor(version)), 'test_scikit_learn.py');
});
