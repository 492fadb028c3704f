// node test/run.mjs [--fast] [parts…]: runs every *.test.ts under test/, or those whose path contains one of the parts, with
// node:test through tsx. --fast: only those that are quick and need nothing built but the kernels, to run while one works.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Folders whose tests start the built tool, a browser, or programs of others, or load every backend that is set up. */
const SLOW = ['cli', 'dashboards', 'deploy', 'e2e', 'faults', 'web', 'worker/compute'].map((folder) =>
  join('test', folder, '/'),
);
const KERNELS = 'worker/compute/kernels';

const args = process.argv.slice(2);
const fast = args.includes('--fast');
const parts = args.filter((arg) => arg !== '--fast');
const files = readdirSync('test', { recursive: true })
  .map((name) => join('test', String(name)))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => !fast || !SLOW.some((folder) => name.startsWith(folder)))
  .filter((name) => !parts.length || parts.some((part) => name.includes(part)))
  .sort();
if (!files.length) {
  console.error(`no ${fast ? 'fast ' : ''}test matches ${parts.join(' ')}`);
  process.exit(1);
}

/** When a file was written; 0: it is not there. */
const written = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (fast) {
  const source = readdirSync(`${KERNELS}/assembly`).map((name) => written(`${KERNELS}/assembly/${name}`));
  const isStale = written(`dist/${KERNELS}/kernel.wasm`) < Math.max(...source);
  if (isStale && spawnSync(process.execPath, [`${KERNELS}/build.mjs`], { stdio: 'inherit' }).status !== 0)
    process.exit(1);
}
const run = spawnSync(
  process.execPath,
  [
    ...['--import', 'tsx', '--import', './test/seed.mjs'],
    ...['--test', '--test-concurrency=2', '--test-reporter=spec'],
    ...files,
  ],
  { stdio: 'inherit' },
);
process.exit(run.status ?? 1);
