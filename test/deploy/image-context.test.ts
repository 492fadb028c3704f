import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

test('the image is built from everything that is compiled', () => {
  const ignored = readFileSync('deploy/Containerfile.dockerignore', 'utf8').split('\n');
  const { include } = JSON.parse(readFileSync('tsconfig.build.json', 'utf8'));
  const needed = [...include, 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  const missing = needed.filter((path: string) => !ignored.includes(`!${path}`));
  assert.deepEqual([ignored[0], missing], ['*', []]);
});
