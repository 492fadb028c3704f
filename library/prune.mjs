// The last step of `npm run build`: removes from dist all compiled files that neither the command line nor the library loads.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const DIST = resolve('dist');
const filesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));

/** All files that `roots` refer to, directly or not, by a relative path in quotes: an import, or the path of a program. */
function reachable(roots, ending) {
  const kept = new Set(roots);
  for (const file of kept)
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/['"`](\.\.?\/[^'"`\s]*?)\.[jt]s['"`]/g)) {
      const target = resolve(dirname(file), path + ending);
      if (existsSync(target)) kept.add(target);
    }
  return kept;
}

const code = reachable(
  [join(DIST, 'index.js'), join(DIST, 'cli/main.js'), ...filesIn(join(DIST, 'bundled'))],
  '.js',
);
const types = reachable([join(DIST, 'index.d.ts')], '.d.ts');
for (const file of filesIn(DIST)) {
  const isCode = file.endsWith('.js') && !file.startsWith(join(DIST, 'web'));
  if ((isCode && !code.has(file)) || (file.endsWith('.d.ts') && !types.has(file)) || file.endsWith('.map'))
    rmSync(file);
}
// The compiler keeps the sources' .ts endings in declarations, but the package has no .ts sources.
for (const file of types)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(from '\.[^']*)\.ts'/g, "$1.js'"));
