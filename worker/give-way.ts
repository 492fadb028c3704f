/** Long enough that this thread really leaves its core, ms. */
const MOMENT_MS = 0.06;
const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Sleeps for a moment. A worker that goes to work at once may hold the core on which ZeroMQ's threads wait that carry
 * the same round to the next worker: the scheduler leaves them there for milliseconds, even beside an idle core (LOG.md).
 */
export function giveWay(): void {
  Atomics.wait(cell, 0, 0, MOMENT_MS);
}
