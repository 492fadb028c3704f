import { readFileSync } from 'node:fs';

/** The version in package.json. This file runs as base/version.ts or as dist/base/version.js. */
export function dpmeshVersion(): string {
  const up = import.meta.url.endsWith('/dist/base/version.js') ? '../../' : '../';
  return JSON.parse(readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8')).version;
}

/**
 * Node.js arguments for a child that runs a program of ours: those of this process where it runs from source, as they
 * load TypeScript. Compiled, none: a caller's own (`--eval`, `--test`, `--inspect`) would make the child another program.
 */
export const childArguments = (): string[] => (import.meta.url.endsWith('.ts') ? process.execArgv : []);
