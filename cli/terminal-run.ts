import type { RunResult } from '../library/result.ts';
import type { Run } from '../library/run.ts';
import { createDisplay } from './progress.ts';
import { INTERRUPTED, listenForHangups, onSignal } from './signals.ts';
import { print } from './summary.ts';

/** The options of a run that connect it to the terminal. */
export interface TerminalOptions {
  signal: AbortSignal;
  log: (line: string) => void;
  status: (text: string) => void;
}

/** Runs with progress on stderr and the result on stdout. Ctrl-C stops the run in an orderly way, SIGHUP reloads the keys. */
export async function runOnTerminal(
  start: (terminal: TerminalOptions) => Run,
  { maxEpochs, json, keys }: { maxEpochs: number; json: boolean; keys?: string },
): Promise<void> {
  const stopping = new AbortController();
  onSignal(() => stopping.abort());
  const onHangup = keys === undefined ? null : listenForHangups();
  const display = createDisplay(maxEpochs);
  const { AbortError } = await import('../library/run.ts');
  const run = start({ signal: stopping.signal, log: display.line, status: display.status });
  onHangup?.(run.rereadKeys);
  let result: RunResult;
  try {
    for await (const event of run)
      if (event.type === 'epoch') {
        const { epoch, k, loss, subLoss } = event;
        display.epoch({ epoch, k, loss, subLoss });
      } else if (event.type !== 'done') {
        // Its notes are printed with the result.
        display.event(event);
      }
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
