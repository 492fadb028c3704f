import type { RunResult } from '../library/result.ts';
import type { Run } from '../library/run.ts';
import { createDisplay } from './progress.ts';
import { hangups, INTERRUPTED, onSignal } from './signals.ts';
import { print } from './summary.ts';

/** What a run on a terminal is given by it. */
export interface Terminal {
  signal: AbortSignal;
  log: (line: string) => void;
}

/** A run on this terminal: progress on stderr, the result on stdout, Ctrl-C for an orderly end, SIGHUP for new keys. */
export async function runOnTerminal(
  start: (terminal: Terminal) => Run,
  { maxEpochs, json, keys }: { maxEpochs: number; json: boolean; keys?: string },
): Promise<void> {
  const stopping = new AbortController();
  onSignal(() => stopping.abort());
  const hungUp = keys === undefined ? null : hangups();
  const display = createDisplay(maxEpochs);
  const { AbortError } = await import('../library/run.ts');
  const run = start({ signal: stopping.signal, log: display.line });
  hungUp?.(run.rereadKeys);
  let result: RunResult;
  try {
    for await (const event of run)
      if (event.type === 'epoch') {
        const { epoch, k, loss, subLoss } = event;
        display.epoch({ epoch, k, loss, subLoss });
      } else display.event(event);
    result = await run;
  } catch (error) {
    display.end();
    if (!(error instanceof AbortError)) throw error;
    display.line(error.message);
    process.exitCode = INTERRUPTED;
    return;
  }
  display.end();
  print(result, json);
  await run.closed;
}
