// node test/run.mjs [--fast] [parts…]: runs every *.test.ts under test/, or those whose path contains one of the parts, with
// node:test through tsx. --fast: builds what the quick tests need and runs only those.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Folders whose tests start the built tool, a browser or other programs, or take long to compute on every backend. */
const SLOW = [
  ...['cli', 'clients', 'dashboards', 'deploy', 'e2e', 'faults', 'web'],
  ...['worker/compute', 'worker/tasks'],
].map((folder) => join('test', folder, '/'));
/** The build outputs that the quick tests need: output, source folder, build script. */
const BUILD_OUTPUTS = [
  [
    'dist/worker/compute/kernels/kernel.wasm',
    'worker/compute/kernels/assembly',
    'worker/compute/kernels/build.mjs',
  ],
  ['dist/web/app.js', 'web', 'web/build.ts'],
];

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

/** The modification time of a file; 0 if it does not exist. */
const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const node = (...args) =>
  spawnSync(process.execPath, ['--import', 'tsx', ...args], { stdio: 'inherit' }).status ?? 1;
if (fast)
  for (const [output, sources, script] of BUILD_OUTPUTS) {
    const newest = Math.max(...readdirSync(sources).map((name) => modified(join(sources, name))));
    if (modified(output) < newest && node(script) !== 0) process.exit(1);
  }
// Quick tests spend much of their time waiting for sockets.
process.exit(
  node(
    '--import',
    './test/seed.mjs',
    '--test',
    `--test-concurrency=${fast ? 4 : 2}`,
    '--test-reporter=spec',
    ...files,
  ),
);
