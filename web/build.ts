// Bundles the pages into dist/web: index.html with app.js (page and Web Worker in one), runs.html with runs.js, app.css, icon.svg; and
// report.js, the script of report.html.
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = fileURLToPath(new URL('../dist/web/', import.meta.url));

mkdirSync(out, { recursive: true });
await build({
  entryPoints: { app: `${here}main.ts`, runs: `${here}runs.ts` },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  logLevel: 'warning',
  legalComments: 'eof',
});
await build({
  entryPoints: { report: `${here}report/main.ts` },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  charset: 'utf8',
  logLevel: 'warning',
});
await build({
  entryPoints: [`${here}app.css`],
  outdir: out,
  bundle: true,
  minify: true,
  logLevel: 'warning',
});
for (const name of ['index.html', 'runs.html', 'icon.svg']) copyFileSync(here + name, out + name);
