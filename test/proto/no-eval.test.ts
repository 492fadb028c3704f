import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

test('no source file evaluates text as code', () => {
  for (const folder of ['cli', 'coordinator', 'worker', 'model', 'data', 'proto'])
    for (const name of readdirSync(folder, { recursive: true }).map(String)) {
      if (!name.endsWith('.ts')) continue;
      const source = readFileSync(join(folder, name), 'utf8');
      assert.doesNotMatch(source, /\beval\s*\(|\bnew Function\b|\bFunction\s*\(|node:vm\b/, name);
    }
});
