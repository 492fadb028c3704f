import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';

const BUNDLED = 'dist/bundled';
const importsOf = (file: string) =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?['"](\.[^'"]+)['"]/g)].map(([, path]) =>
    resolve(dirname(file), path),
  );

/** Compiled modules outside the bundle that it loads, directly or indirectly. */
function outside(): Set<string> {
  const files = new Set<string>();
  const waiting = readdirSync(BUNDLED).flatMap((name) => importsOf(join(BUNDLED, name)));
  for (const file of waiting) {
    if (files.has(file) || dirname(file) === resolve(BUNDLED)) continue;
    files.add(file);
    waiting.push(...importsOf(file));
  }
  return files;
}

test('no class is both in the bundle and outside it, where instanceof would fail', () => {
  const files = outside();
  assert.ok(files.has(resolve('dist/base/user-error.js')), 'the bundle has nothing outside');
  const bundle = readdirSync(BUNDLED)
    .map((name) => readFileSync(join(BUNDLED, name), 'utf8'))
    .join('\n');
  for (const file of files)
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/export class (\w+)/g))
      assert.ok(!new RegExp(`\\b${name} = class|\\bclass ${name}\\b`).test(bundle), `${name} of ${file}`);
});
