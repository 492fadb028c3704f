import { readFileSync } from 'node:fs';

/** The version in package.json. This file runs as base/version.ts or as dist/base/version.js. */
export function dpmeshVersion(): string {
  const up = import.meta.url.endsWith('/dist/base/version.js') ? '../../' : '../';
  return JSON.parse(readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8')).version;
}
