// The Python client, with numpy alone: fits and predicts. All of its tests: python.all.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environment, python, pythons } from './pythons.ts';

const [[version, path] = ['', '']] = pythons();

test('the Python client fits and predicts', {
  skip: path ? false : 'there is no Python 3.10 to 3.13 with venv',
}, async () => {
  const numpy = await environment(path, version, ['numpy']);
  assert.match(await python(numpy, '-m', 'unittest', 'test_estimator.Fitted'), /^OK$/m);
});
