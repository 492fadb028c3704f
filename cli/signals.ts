/** Exit code after Ctrl-C. */
export const INTERRUPTED = 130;
/** npx passes on a Ctrl-C that its children have got already: a second signal within this is the same one, ms. */
const SAME_SIGNAL_MS = 1000;

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
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, hear);
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
