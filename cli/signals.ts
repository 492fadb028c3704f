/** Exit code after Ctrl-C. */
export const INTERRUPTED = 130;
/** npx passes on a Ctrl-C that its children have got already: a second signal within this is the same one, ms. */
const SAME_SIGNAL_MS = 1000;

/** What asks a process to end. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Ctrl-C and SIGTERM: the first asks for an orderly end, a later one ends at once. */
export function onSignal(
  stop: (signal: NodeJS.Signals) => void,
  end: () => void = () => process.exit(INTERRUPTED),
): void {
  let first: number | null = null;
  const hear = (signal: NodeJS.Signals) => {
    if (first === null) {
      first = performance.now();
      stop(signal);
    } else if (performance.now() - first > SAME_SIGNAL_MS) end();
  };
  for (const signal of SIGNALS) process.on(signal, hear);
}

/** Runs `work`; Ctrl-C and SIGTERM let it clean up before they end the process. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let received: NodeJS.Signals | undefined;
  const hear = (name: NodeJS.Signals) => {
    received = name;
    stop.abort();
  };
  for (const signal of SIGNALS) process.on(signal, hear);
  try {
    return await work(stop.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, hear);
    if (received) process.kill(process.pid, received);
  }
}

/** Listens for SIGHUP; one that comes before somebody has said what is to happen then is not lost. */
export function hangups(): (act: () => void) => void {
  let waits = false;
  let hear = () => {
    waits = true;
  };
  process.on('SIGHUP', () => hear());
  return (act) => {
    hear = act;
    if (waits) act();
  };
}
