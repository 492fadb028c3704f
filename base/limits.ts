import { closeSync, openSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';
import { UserError } from './user-error.ts';

/** Limits of this process (`ulimit`), looked at before they end it, or a library in it, without a word about them. */

const GIB = 2 ** 30;

/** Files and sockets of a coordinator (45 were seen, with page and report) or a relay, beside those of its workers. */
export const COORDINATOR_FILES = 64;

/** Bytes of the paths of a run's images together: fewer than a string can have. */
export const MOST_LIST_BYTES = 2 ** 28;

/** Throws a UserError if the process may have fewer files and sockets open than `what` needs. */
export function assertOpenFiles(needed: number, what: string): void {
  const limit = descriptorLimit();
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

/** Descriptors of this process: how many it may have, and some in reserve for files that must be written. */

const SPARES = 32;
/** Interval of attempts to fill up the reserve, ms. */
const REFILL_MS = 250;

const spares: number[] = [];
let holders = 0;
let timer: NodeJS.Timeout | undefined;

/** The most descriptors that this process may have open (Node.js itself raises the limit as far as it may). */
export const descriptorLimit = (): number => limitNamed('Max open files');

/**
 * Keeps some descriptors in reserve until the returned function is called. Whoever can reach a port can take all others, by
 * opening connections and leaving them idle.
 */
export function keepSpareDescriptors(): () => void {
  if (holders++ === 0) {
    refillSpareDescriptors();
    timer = setInterval(refillSpareDescriptors, REFILL_MS).unref();
  }
  let isKept = true;
  return () => {
    if (!isKept) return;
    isKept = false;
    if (--holders > 0) return;
    clearInterval(timer);
    for (const fd of spares.splice(0)) closeSync(fd);
  };
}

/** To be called when a file has been closed, before a connection can take its descriptor. */
export function refillSpareDescriptors(): void {
  try {
    while (holders > 0 && spares.length < SPARES) spares.push(openSync(devNull, 'r'));
  } catch {
    // Tried again soon.
  }
}

/**
 * Opens files; if the process has too many open, in place of spare descriptors. All of them are released for a moment, as
 * libzmq's thread is waiting for any that is free: it takes much longer than we to use one.
 */
export function openWithSpares<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMFILE' || !spares.length) throw error;
    for (const fd of spares.splice(0)) closeSync(fd);
    try {
      return open();
    } finally {
      refillSpareDescriptors();
    }
  }
}
