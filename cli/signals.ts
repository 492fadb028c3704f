/** Exit code after Ctrl-C. */
export const INTERRUPTED = 130;
/** npx passes on a Ctrl-C that its children have got already: a second signal within this is the same one, ms. */
const SAME_SIGNAL_MS = 1000;

/** Ctrl-C and SIGTERM: the first asks for an orderly end, a later one ends at once. */
export function onSignal(stop: () => void): void {
  let first: number | null = null;
  const hear = () => {
    if (first === null) {
      first = performance.now();
      stop();
    } else if (performance.now() - first > SAME_SIGNAL_MS) process.exit(INTERRUPTED);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, hear);
}
