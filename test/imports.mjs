// The sources that are shipped, and which of them each one imports, types too. For budget.mjs and rooms.mjs.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const NOT_SHIPPED = /^test\//;
const IMPORT = /(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g;
const COMMENT = /\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*/g;

/** The text of each source, by its path. */
export const sources = new Map(
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter((path) => path && !NOT_SHIPPED.test(path) && existsSync(path))
    .map((path) => [path, readFileSync(path, 'utf8')]),
);

const specifiers = (path) =>
  [...sources.get(path).replace(COMMENT, '').matchAll(IMPORT)].map(([, target]) => target);
/** The sources that a file imports. */
export const importsOf = (path) =>
  specifiers(path)
    .filter((target) => target.startsWith('.'))
    .map((target) => normalize(join(dirname(path), target)))
    .filter((target) => sources.has(target));
/** The packages that it imports. */
export const packagesOf = (path) => specifiers(path).filter((target) => !target.startsWith('.'));
