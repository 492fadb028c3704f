import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FLAGS_PAGE, withTables } from '../../cli/flag-tables.ts';

test('docs/flags.md is up to date', () => {
  const page = readFileSync(FLAGS_PAGE, 'utf8');
  assert.ok(page === withTables(page), 'docs/flags.md is not up to date: npm run docs:flags');
});
