// Part of `npm run build`: bundles the command line, the report process and the worker process into a few files each. Loading
// hundreds of small modules took half of the start-up time, also of every worker that is restarted (LOG.md). Not bundled:
// packages with native code or as large as TensorFlow.js; modules that locate files next to themselves or are separate
// programs; and modules whose classes must exist only once, such as errors that are compared by `instanceof`.
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import { build } from 'esbuild';
import { hashOfSources } from '../dist/proto/build-id.js';

/** Programs that are built together share files. The worker has few files of its own, because each run starts several. */
const PROGRAMS = [
  {
    main: 'cli/main.ts',
    program: 'cli/program.ts',
    report: 'page/report/process.ts',
    trainer: 'coordinator/fit/trainer-thread.ts',
    relay: 'coordinator/relay/process.ts',
  },
  { worker: 'worker/main.ts' },
];
const PACKAGES = new RegExp(
  `^(${[
    'zod|msgpackr|csv-parse|ml-[a-z-]+|is-any-array|d3-[a-z-]+|internmap|simple-statistics',
    'birpc|fastest-levenshtein',
    // yargs and its dependencies.
    'yargs|yargs-parser|y18n|cliui|escalade|get-caller-file|strip-ansi|wrap-ansi|ansi-regex|ansi-styles',
  ].join('|')})(/|$)`,
);
const SHARED = ['base/user-error.ts', 'base/files.ts', 'base/limits.ts'].map((path) => resolve(path));
/** Backends are classes that separate programs load as well. */
const BACKENDS = resolve('worker/compute/backends');
const FUNCTIONS = ['load.ts'].map((name) => resolve(BACKENDS, name));
const outdir = resolve('dist/bundled');
const entries = new Set(
  PROGRAMS.flatMap((entryPoints) => Object.values(entryPoints)).map((path) => resolve(path)),
);

const isExternal = (file) =>
  !entries.has(file) &&
  (SHARED.includes(file) ||
    (file.startsWith(BACKENDS) && !FUNCTIONS.includes(file)) ||
    readFileSync(file, 'utf8').includes('import.meta.url'));

rmSync(outdir, { recursive: true, force: true });
for (const entryPoints of PROGRAMS)
  await build({
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
    plugins: [
      {
        name: 'externals',
        setup(build) {
          build.onResolve({ filter: /^string-width$/ }, () => ({ path: resolve('cli/text-width.ts') }));
          build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            PACKAGES.test(path) || kind === 'entry-point' ? null : { path, external: true },
          );
          build.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
            const file = resolve(resolveDir, path);
            if (file.includes('node_modules') || !isExternal(file)) return null;
            const compiled = resolve('dist', relative('.', file)).replace(/\.ts$/, '.js');
            return { path: relative(outdir, compiled).replaceAll('\\', '/'), external: true };
          });
        },
      },
    ],
  });
cpSync('worker/host/setup/locks', 'dist/worker/host/setup/locks', { recursive: true });
writeFileSync('dist/build-id', `${hashOfSources(new URL('../', import.meta.url))}\n`);
// The package's `bin` is dist/cli/main.js, so that file loads the bundle.
const main = resolve(`dist/${PROGRAMS[0].main.replace(/\.ts$/, '.js')}`);
// Node.js opens all modules of a program at once: if that fails, no code in them could report it.
writeFileSync(
  main,
  `#!/usr/bin/env node
try {
  await import('../bundled/${basename(main)}');
} catch (error) {
  if (error?.code !== 'EMFILE') throw error;
  console.error('dpmesh: too many open files: raise the limit, as with ulimit -n 1024');
  process.exit(2);
}
`,
);
// npx makes it executable only when it first sees this checkout.
chmodSync(main, 0o755);
