import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

/** What the reporter says of a file of tests. */
function skippedIn(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-skipped-'));
  try {
    const file = join(folder, 'own.test.mjs');
    writeFileSync(file, source);
    const reporter = `--test-reporter=${resolve('test/skipped.mjs')}`;
    // This process is a child of node --test, whose children would report to it.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    return spawnSync(process.execPath, ['--test', reporter, file], { encoding: 'utf8', env }).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('tests that are skipped are told, with their reasons, and those that skips.json does not have are found', () => {
  const found = skippedIn(`import { describe, test } from 'node:test';
test('runs', () => {});
test('is not there', { skip: 'no tool' }, () => {});
describe('more', { skip: true }, () => {});
test('decides late', (context) => context.skip('too busy'));
`);
  assert.deepEqual(found.split('\n').sort(), ['', 'decides late: too busy', 'is not there: no tool', 'more']);
  const allowed = JSON.stringify({ 'is not there': 'for a reason', late: 'not this one' });
  const program = `import { unlistedSkips } from ${JSON.stringify(resolve('test/skipped.mjs'))};
console.log(JSON.stringify(unlistedSkips(${JSON.stringify(found)}, ${allowed})));`;
  const unlisted = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  assert.deepEqual(JSON.parse(unlisted).sort(), ['decides late: too busy', 'more']);
});
