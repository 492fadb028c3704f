// Bundles the pages into dist/web: index.html with app.js, of which report.html is made too, and analysis.js, its Web Worker; runs.html
// with runs.js; app.css, icon.svg.
import { copyFileSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = fileURLToPath(new URL('../../dist/web/', import.meta.url));

/** Modules do nothing when they are loaded: what a bundle does not use of them it need not have. */
const pureModules: Plugin = {
  name: 'pure-modules',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) =>
      resolveDir.includes('node_modules') ? null : { path: resolve(resolveDir, path), sideEffects: false },
    ),
};

mkdirSync(out, { recursive: true });
await build({
  entryPoints: { app: `${here}page.ts`, analysis: `${here}analysis.ts`, runs: `${here}runs.ts` },
  plugins: [pureModules],
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  charset: 'utf8',
  logLevel: 'warning',
  legalComments: 'eof',
});
await build({
  entryPoints: [`${here}app.css`],
  outdir: out,
  bundle: true,
  minify: true,
  logLevel: 'warning',
});
for (const name of ['index.html', 'runs.html', 'icon.svg']) copyFileSync(here + name, out + name);
