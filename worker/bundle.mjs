// Part of `npm run build`: what `train` starts, in one file. A worker that is killed is replaced by a new process, and half of
// what its start cost was the loading of a hundred small modules (LOG.md). Packages with native code, or as large as
// TensorFlow.js, stay where they are; so do modules that look for files beside them or are programs of their own, and
// classes of errors that both these and the bundle know: there must be one of each.
import { readFileSync, rmSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { build } from 'esbuild';

const PACKAGES = /^(zod|msgpackr|csv-parse|ml-[a-z-]+|is-any-array)(\/|$)/;
const SHARED = /(data\/user-error|backends\/(unable|out-of-memory))\.js$/;
const entry = resolve('dist/worker/process.js');
const outdir = resolve('dist/worker/bundled');

const staysOutside = (file) =>
  file !== entry &&
  (SHARED.test(file.replaceAll('\\', '/')) || readFileSync(file, 'utf8').includes('import.meta.url'));

rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: [entry],
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
        build.onResolve({ filter: /^[^./]/ }, ({ path }) =>
          PACKAGES.test(path) ? null : { path, external: true },
        );
        build.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
          const file = resolve(resolveDir, path);
          if (file.includes('node_modules') || !staysOutside(file)) return null;
          const way = relative(outdir, file).replaceAll('\\', '/');
          return { path: way, external: true };
        });
      },
    },
  ],
});
