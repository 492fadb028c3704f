import { readFileSync } from 'node:fs';
import { UserError } from './user-error.ts';

/** Limits of this process (`ulimit`), looked at before they end it, or a library in it, without a word about them. */

const GIB = 2 ** 30;

/** Throws a UserError if the process may have fewer files and sockets open than `what` needs. */
export function assertOpenFiles(needed: number, what: string): void {
  const limit = limitNamed('Max open files');
  if (limit < needed)
    throw new UserError(
      `${what} needs up to ${needed} open files, and this process may have ${limit}: raise the limit, as with ulimit -n 1024`,
    );
}

/**
 * Throws a UserError if the process may not have the address space that V8 reserves for memories of WebAssembly, 10 GiB each,
 * of which next to nothing is used.
 */
export function assertAddressSpace(memories: number): void {
  // The switch of Node.js with which it reserves none.
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (options.includes('--disable-wasm-trap-handler')) return;
  const needed = (10 * memories + 4) * GIB;
  const limit = limitNamed('Max address space');
  if (limit < needed)
    throw new UserError(
      `WebAssembly reserves ${needed / GIB} GiB of address space (it uses little), and this process may have ${(limit / GIB).toFixed(1)} GiB: lift the limit with ulimit -v unlimited`,
    );
}

/** Infinity where there is no limit, or no such file: not on Linux. */
function limitNamed(name: string): number {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return Number.POSITIVE_INFINITY;
  }
  const soft = new RegExp(`^${name} +(\\d+)`, 'm').exec(limits)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
