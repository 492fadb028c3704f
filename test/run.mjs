// node test/run.mjs [--fast | --rest] [parts…]: runs tests under test/ with node:test through tsx. Without parts those of `npm test`,
// with --rest the others (*.all.test.ts: longer ones, and those that need other programs), with parts all whose path contains one
// of them. --fast: builds what the quick tests need and runs only those.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { unlistedSkips } from './skipped.mjs';

const isRest = (name) => name.endsWith('.all.test.ts');
/** Folders whose tests start the built tool, a browser or other programs, or take long to compute on every backend. */
const SLOW = [
  ...['cli', 'clients', 'dashboards', 'deploy', 'e2e', 'faults', 'recipes', 'page/browser'],
  'worker/compute',
].map((folder) => join('test', folder, '/'));
const isSlow = (name) => SLOW.some((folder) => name.startsWith(folder));
/** The longest, which begin first: one that began last would have the machine to itself. */
const LONGEST = [
  'recipes/recipes.all',
  'clients/python.all',
  'clients/ray.all',
  'e2e/many-columns.all',
  'coordinator/relay/relay.all',
  'model/gaussian/combining',
  'model/gaussian/placebo',
  'faults/stop.all',
  'clients/wheel.all',
  'worker/compute/webgpu.all',
].map((name) => join('test', `${name}.test.ts`));
/** Tests that need a process of their own: they count what their process holds, or fill it, or see what others hide in its environment. */
const ALONE = ['page/live/http', 'e2e/backends.all'].map((name) => join('test', `${name}.test.ts`));
/**
 * Where most tests train or run commands in their process: so many files of a folder share one, as the first training costs as much as
 * the next four.
 */
const SHARED = ['e2e', 'page/browser', 'cli'].map((folder) => join('test', folder));
const SHARING = 12;
const placeOf = (name) =>
  LONGEST.includes(name) ? LONGEST.indexOf(name) : LONGEST.length + (SHARED.includes(dirname(name)) ? 0 : 1);
/** The build outputs that the quick tests need: output, source folder, build script. */
const BUILD_OUTPUTS = [
  [
    'dist/worker/compute/kernels/kernel.wasm',
    'worker/compute/kernels/assembly',
    'worker/compute/kernels/build.mjs',
  ],
  ['dist/web/app.js', 'page/browser', 'page/browser/build.ts'],
];

const args = process.argv.slice(2);
const fast = args.includes('--fast');
const rest = args.includes('--rest');
const parts = args.filter((arg) => !arg.startsWith('--'));
const files = readdirSync('test', { recursive: true })
  .map((name) => join('test', String(name)))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => !fast || !(isSlow(name) || isRest(name)))
  .filter((name) => (parts.length ? parts.some((part) => name.includes(part)) : isRest(name) === rest))
  .sort()
  .sort((a, b) => placeOf(a) - placeOf(b));
if (!files.length) {
  console.error(`no ${fast ? 'fast ' : ''}test matches ${parts.join(' ')}`);
  process.exit(1);
}

/** The modification time of a file; 0 if it does not exist. */
const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const node = (...args) =>
  spawnSync(process.execPath, ['--import', import.meta.resolve('tsx'), ...args], { stdio: 'inherit' })
    .status ?? 1;
if (fast)
  for (const [output, sources, script] of BUILD_OUTPUTS) {
    const newest = Math.max(...readdirSync(sources).map((name) => modified(join(sources, name))));
    if (modified(output) < newest && node(script) !== 0) process.exit(1);
  }

/** Slow files have a process each, or with a few others; the quick ones of a folder share one, whose start would take longer than most of them. */
const folder = mkdtempSync(join(tmpdir(), 'dpmesh-test-'));
// Where test/fitted.ts keeps the runs that test files share.
process.env.DPMESH_FITTED = join(folder, 'fitted');
function processes() {
  return [...new Set(files.map(keyOf))].map((key) => {
    if (key.endsWith('.ts')) return key;
    const path = join(folder, `${key.replaceAll('/', '-')}.mjs`);
    const list = JSON.stringify(files.filter((file) => keyOf(file) === key).map((file) => resolve(file)));
    const { href } = pathToFileURL(resolve('test/together.mjs'));
    writeFileSync(path, `import { together } from '${href}';\nawait together(${list});\n`);
    return path;
  });
}
const isAlone = (file) => ALONE.includes(file) || LONGEST.includes(file);
const sharing = SHARED.map((folder) => files.filter((file) => dirname(file) === folder && !isAlone(file)));
function keyOf(file) {
  const shared = sharing.find((list) => list.includes(file));
  if (shared) return join(dirname(file), `share-${Math.floor(shared.indexOf(file) / SHARING)}`);
  return isSlow(file) || isRest(file) || isAlone(file) ? file : dirname(file);
}

/** As in cli/main.ts: most of what a test runs is run once. By 4 to 13 % less processor time on a quiet machine. */
const flags = Number.parseInt(process.versions.node, 10) < 22 ? ['--interrupt-budget=1000000'] : [];
/** What was skipped, a line each. */
const skipped = join(folder, 'skipped.txt');
const code = node(
  ...flags,
  '--import',
  // Wherever a test is when it starts a process with the same options.
  pathToFileURL(resolve('test/seed.mjs')).href,
  '--test',
  // On two cores: tests wait for sockets, timers, disks and other programs.
  '--test-concurrency=4',
  ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
  ...['--test-reporter=./test/skipped.mjs', `--test-reporter-destination=${skipped}`],
  ...processes(),
);
const unlisted = unlistedSkips(readFileSync(skipped, 'utf8'));
rmSync(folder, { recursive: true });
// Said, not an error yet: the machine of CI may lack other tools than this one.
if (unlisted.length)
  console.error(
    `Tests that were skipped for other reasons than those in test/skips.json:\n${unlisted.join('\n')}`,
  );
process.exit(code);
