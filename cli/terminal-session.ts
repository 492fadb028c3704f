import type { RunConfig } from '../coordinator/config.ts';
import type { SessionOptions } from '../coordinator/session.ts';
import { createDisplay } from './progress.ts';
import { INTERRUPTED, onSignal } from './signals.ts';
import { print } from './summary.ts';

/** What a session needs besides a terminal to show itself on, and signals that stop it. */
export type TerminalSession = Omit<SessionOptions, 'display' | 'signal'> & { json: boolean };

/** A session of a run on this terminal: progress on stderr, the result on stdout, Ctrl-C for an orderly end. */
export async function terminalSession(
  config: RunConfig,
  { json, ...options }: TerminalSession,
): Promise<void> {
  const stopping = new AbortController();
  onSignal(() => stopping.abort());
  const display = createDisplay(config.maxEpochs);
  const { session } = await import('../coordinator/session.ts');
  const end = await session(config, {
    ...options,
    signal: stopping.signal,
    display: {
      ...display,
      epoch: ({ epoch, mixture: { k }, loss, subLoss }) => display.epoch({ epoch, k, loss, subLoss }),
      result: (summary, report) => print(summary, json, report ?? undefined),
    },
  });
  if (end === 'interrupted') process.exitCode = INTERRUPTED;
}
