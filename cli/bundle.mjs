// Part of `npm run build`: the programs that `dpmesh train` starts, each with its modules in a few files. Half of what their
// start cost was the loading of hundreds of small ones, for every worker that is killed too (LOG.md). Packages with
// native code, or as large as TensorFlow.js, stay where they are; so do modules that look for files beside them or are
// programs of their own, and the errors by whose class they know each other's.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import { build } from 'esbuild';

/** Built together, those share files. A worker is in as few as can be: it is started more than once a run. */
const PROGRAMS = [
  { main: 'cli/main.ts', report: 'coordinator/report/process.ts' },
  { worker: 'worker/process.ts' },
];
const PACKAGES = new RegExp(
  `^(${[
    'zod|msgpackr|csv-parse|ml-[a-z-]+|is-any-array|d3-[a-z]+|internmap|simple-statistics',
    'eventsource-parser|fastest-levenshtein',
    // And what it imports.
    'yargs|yargs-parser|y18n|cliui|escalade|get-caller-file|strip-ansi|wrap-ansi|ansi-regex|ansi-styles',
  ].join('|')})(/|$)`,
);
const SHARED = ['base/user-error.ts', 'base/files.ts', 'base/descriptors.ts'].map((path) => resolve(path));
/** Backends are classes, and some are loaded by programs of their own too. */
const BACKENDS = resolve('worker/compute/backends');
const FUNCTIONS = ['load.ts', 'choose.ts'].map((name) => resolve(BACKENDS, name));
const outdir = resolve('dist/bundled');
const entries = new Set(PROGRAMS.flatMap((together) => Object.values(together)).map((path) => resolve(path)));

const staysOutside = (file) =>
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
        name: 'what stays outside',
        setup(build) {
          build.onResolve({ filter: /^string-width$/ }, () => ({ path: resolve('cli/text-width.ts') }));
          build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            PACKAGES.test(path) || kind === 'entry-point' ? null : { path, external: true },
          );
          build.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
            const file = resolve(resolveDir, path);
            if (file.includes('node_modules') || !staysOutside(file)) return null;
            const compiled = resolve('dist', relative('.', file)).replace(/\.ts$/, '.js');
            return { path: relative(outdir, compiled).replaceAll('\\', '/'), external: true };
          });
        },
      },
    ],
  });
// The command's name stays what it was before there was a bundle.
const main = resolve(`dist/${PROGRAMS[0].main.replace(/\.ts$/, '.js')}`);
writeFileSync(main, `#!/usr/bin/env node\nimport '../bundled/${basename(main)}';\n`);
// npx makes it executable when it sees this checkout for the first time, and never again.
chmodSync(main, 0o755);
