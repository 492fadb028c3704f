// Data that another program replaces while a run reads them for the first time.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { dpmesh, easyData, QUICK, scratch, trainArgs } from '../e2e/support.ts';

const folder = scratch();

/** A preload with which the second process that opens `data` does so just after `next` has got its name, as by `mv`. */
function replacing(data: string, next: string): { NODE_OPTIONS: string } {
  const preload = join(folder, 'replacing.mjs');
  const text = JSON.stringify;
  writeFileSync(
    preload,
    `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { openSync, mkdirSync, existsSync, renameSync } = fs;
let isFirst = true;
fs.openSync = (path, ...rest) => {
  if (path === ${text(data)} && isFirst && process.argv[1].includes('worker')) {
    isFirst = false;
    try { mkdirSync(${text(join(folder, 'read-once'))}); }
    catch { if (existsSync(${text(next)})) renameSync(${text(next)}, path); }
  }
  return openSync(path, ...rest);
};
syncBuiltinESMExports();
`,
  );
  return { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` };
}

test('a file that gets the name of the data between the first and the second worker ends the run', async () => {
  const { data } = easyData(folder, 'data', 2000);
  const next = join(folder, 'next.npy');
  copyFileSync(data, next);
  // The first block is the same, so that it is not taken for another file at once.
  const bytes = readFileSync(next);
  for (let at = bytes.length - 1000 * 12; at < bytes.length; at += 4) bytes.writeFloatLE(Math.sin(at), at);
  writeFileSync(next, bytes);
  const run = join(folder, 'run');
  const ended = await dpmesh(trainArgs(data, run, '--workers', 2, ...QUICK), { env: replacing(data, next) });
  assert.ok(!existsSync(next), 'it was replaced');
  assert.equal(ended.code, 2, ended.stderr);
  assert.match(ended.stderr, /^dpmesh: .*data\.npy changed while it was being read: start again .*$/m);
  assert.ok(!existsSync(run));
});
