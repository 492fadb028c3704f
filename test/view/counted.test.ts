import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted } from '../../view/counted.ts';

test('one is singular, all else plural, with grouped digits', () => {
  assert.deepEqual(
    [0, 1, 2, 1234].map((count) => counted(count, 'cluster')),
    ['0 clusters', '1 cluster', '2 clusters', '1,234 clusters'],
  );
});
