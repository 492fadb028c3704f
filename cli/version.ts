import { readFileSync } from 'node:fs';

/** The package's version. This file runs as cli/version.ts or as dist/cli/version.js. */
export function dpmeshVersion(): string {
  const up = import.meta.url.endsWith('/dist/cli/version.js') ? '../../' : '../';
  return JSON.parse(readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8')).version;
}
