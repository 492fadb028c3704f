import { INTERRUPTED } from '../base/user-error.ts';

/** npx forwards a Ctrl-C that its children have already received, so a second signal within this time is ignored, ms. */
const SAME_SIGNAL_MS = 1000;

/** Signals that request the end of the process. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Calls `stop` at the first Ctrl-C or SIGTERM, for an orderly end, and `end` at a later one. Before that, a Ctrl-C goes to
 * `instead`, as long as this returns true.
 */
export function onSignal(
  stop: (signal: NodeJS.Signals) => void,
  end: () => void = () => process.exit(INTERRUPTED),
  instead: () => boolean = () => false,
): void {
  let isStopping = false;
  let last = { signal: '', time: Number.NEGATIVE_INFINITY };
  const listener = (signal: NodeJS.Signals) => {
    const time = performance.now();
    const isSame = signal === last.signal || isStopping;
    if (isSame && time - last.time < SAME_SIGNAL_MS) return;
    last = { signal, time };
    if (isStopping) return end();
    if (signal === 'SIGINT' && instead()) return;
    isStopping = true;
    stop(signal);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
}

/** Runs `work`. Ctrl-C and SIGTERM abort it, and end the process once it has cleaned up. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let received: NodeJS.Signals | undefined;
  const listener = (name: NodeJS.Signals) => {
    received = name;
    stop.abort();
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  try {
    return await work(stop.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, listener);
    if (received) process.kill(process.pid, received);
  }
}

/** Listens for SIGHUP. Returns a function that sets the handler, which is called at once if a signal has already arrived. */
export function listenForHangups(): (handler: () => void) => void {
  let pending = false;
  let handle = () => {
    pending = true;
  };
  process.on('SIGHUP', () => handle());
  return (handler) => {
    handle = handler;
    if (pending) handler();
  };
}
