// The Python client, with numpy alone, on the oldest version: fits and predicts. All of its tests: python.all.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environment, NONE, python, pythons } from './pythons.ts';

const versions = pythons();

test('the Python client fits and predicts', { skip: versions ? false : NONE }, async () => {
  const numpy = await environment(versions!.oldest, ['numpy']);
  assert.match(await python(numpy, '-m', 'unittest', 'test_estimator.Fitted'), /^OK$/m);
});
