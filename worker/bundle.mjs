// Part of `npm run build`: what `train` starts, in one file. A worker that is killed is replaced by a new process, and a third
// of what that cost was the loading of a hundred small modules (LOG.md). Packages with native code, or as large as
// TensorFlow.js, stay where they are.
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

const INSIDE = /^(zod|msgpackr|csv-parse|ml-[a-z-]+|is-any-array)(\/|$)/;
const outdir = 'dist/worker/bundled';

rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: ['dist/worker/process.js'],
  outdir,
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'warning',
  plugins: [
    {
      name: 'packages stay outside',
      setup(build) {
        build.onResolve({ filter: /^[^./]/ }, ({ path }) =>
          INSIDE.test(path) ? null : { path, external: true },
        );
      },
    },
  ],
});
