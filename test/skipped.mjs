// A reporter of node:test that writes the names of the skipped tests, a line each: which of them skips.json allows in CI is for run.mjs.
import { readFileSync } from 'node:fs';

export default async function* skippedTests(source) {
  for await (const { type, data } of source)
    if ((type === 'test:pass' || type === 'test:fail') && data.skip !== undefined)
      yield `${data.name}${data.skip === true ? '' : `: ${data.skip}`}\n`;
}

/** Names of tests that CI may skip, with the reason of each. */
const ALLOWED = new URL('skips.json', import.meta.url);

/** The lines whose test is not among those that may be skipped. */
export function unlistedSkips(lines, allowed = JSON.parse(readFileSync(ALLOWED, 'utf8'))) {
  const names = Object.keys(allowed);
  return lines
    .split('\n')
    .filter(Boolean)
    .filter((line) => !names.some((name) => line === name || line.startsWith(`${name}: `)));
}
