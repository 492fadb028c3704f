import { closeSync, openSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';

/** Descriptors of this process: how many it may have, and some in reserve for files that must be written. */

const SPARES = 32;
/** Interval of attempts to fill up the reserve, ms. */
const REFILL_MS = 250;

const spares: number[] = [];
let holders = 0;
let timer: NodeJS.Timeout | undefined;

/**
 * The most descriptors that this process may have open; Infinity where that is not known (Node.js itself raises the limit as
 * far as it may).
 */
export function descriptorLimit(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit ? Number(limit) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

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
