/**
 * Node.js arguments for a child that runs a program of ours: those of this process where it runs from source, as they
 * load TypeScript. Compiled, none: a caller's own (`--eval`, `--test`, `--inspect`) would make the child another program.
 */
export const childArguments = (): string[] => (import.meta.url.endsWith('.ts') ? process.execArgv : []);
