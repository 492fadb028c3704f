// node test/budget.mjs [--write]: what a file loads by its imports, types too, in lines of TypeScript, says how much one must read to
// change or to trust it. budget.json has the most that it may be, for the files that people start at; --write lowers it to what it
// is now. Part of `npm run check`. To raise a number, write it there by hand, and say why in the commit.
import { readFileSync, writeFileSync } from 'node:fs';
import { importsOf, sources } from './imports.mjs';

const FILE = new URL('budget.json', import.meta.url);
const linesIn = (path) => sources.get(path).split('\n').length - 1;
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
      problems.push(
        `${path} loads ${lines} lines, ${lines - most} more than test/budget.json has: import less there, or raise the number, and say why in the commit`,
      );
    else budget[path] = lines;
  }
}
if (process.argv.includes('--write')) writeFileSync(FILE, `${JSON.stringify(budget, null, 2)}\n`);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;
