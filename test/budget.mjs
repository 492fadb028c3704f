// node test/budget.mjs [--write]: what a file loads by its imports, types too, in lines of TypeScript, says how much one must read to
// change or to trust it. budget.json has the most that it may be, for the files that people start at; --write lowers it to what it
// is now. Part of `npm run check`. To raise a number, write it there by hand, and say why in the commit.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const FILE = new URL('budget.json', import.meta.url);
const NOT_COUNTED = /^(test|bench|examples)\//;
const IMPORT = /(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g;
const COMMENT = /\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*/g;

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path && !NOT_COUNTED.test(path));
const sources = new Map();
for (const path of files)
  try {
    sources.set(path, readFileSync(path, 'utf8'));
  } catch {
    // Removed, but not from the index yet.
  }
const linesIn = (path) => sources.get(path).split('\n').length - 1;
const importsOf = (path) =>
  [...sources.get(path).replace(COMMENT, '').matchAll(IMPORT)]
    .map(([, target]) => normalize(join(dirname(path), target)))
    .filter((target) => sources.has(target));

/** The lines of a file and of all that it imports, directly or not. */
function loaded(path) {
  const seen = new Set([path]);
  for (const file of seen) for (const target of importsOf(file)) seen.add(target);
  return [...seen].reduce((sum, file) => sum + linesIn(file), 0);
}

const budget = JSON.parse(readFileSync(FILE, 'utf8'));
const problems = [];
for (const [path, most] of Object.entries(budget)) {
  if (!sources.has(path)) problems.push(`${path} is gone: name the file in its place in test/budget.json`);
  else {
    const lines = loaded(path);
    if (lines > most)
      problems.push(`${path} loads ${lines} lines, ${lines - most} more than test/budget.json has`);
    else budget[path] = lines;
  }
}
if (process.argv.includes('--write')) writeFileSync(FILE, `${JSON.stringify(budget, null, 2)}\n`);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;
