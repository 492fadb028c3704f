import { INTERRUPTED } from '../base/user-error.ts';
import type { RunResult } from '../library/result.ts';
import type { Run } from '../library/run.ts';
import { createDisplay } from './progress.ts';
import { reportProblem } from './report-problem.ts';
import { listenForHangups, onSignal } from './signals.ts';
import { print } from './summary.ts';

/** The options of a run that connect it to the terminal. */
export interface TerminalOptions {
  signal: AbortSignal;
  log: (line: string) => void;
  status: (text: string) => void;
}

/**
 * Runs with progress on stderr, or with `events` as JSON lines on stdout, and the result on stdout. SIGTERM and SIGINT stop the run in an
 * orderly way, SIGHUP reloads the keys. On a terminal, where somebody reads what that does, a first Ctrl-C ends it early with results
 * instead. The lines of a coordinator (`bind`) have times where they go to a file; scripts, and programs that read the events, rely on an end within seconds.
 */
export async function runOnTerminal(
  start: (terminal: TerminalOptions) => Run,
  {
    maxEpochs,
    json,
    events,
    keys,
    bind,
  }: { maxEpochs: number; json: boolean; events: boolean; keys?: string; bind?: string },
): Promise<void> {
  const stopping = new AbortController();
  let run: Run | null = null;
  let isFinishing = false;
  const finish = (): boolean => {
    const isOffered = process.stderr.isTTY && !events && !isFinishing;
    const what = isOffered ? (run?.finish() ?? null) : null;
    if (what === null) return false;
    isFinishing = true;
    display.line(`${what}; Ctrl-C again aborts the run, without results`);
    return true;
  };
  onSignal(() => stopping.abort(), undefined, finish);
  // A program that reads the events and is killed must not leave a run behind that nobody waits for.
  if (events) process.stdout.on('error', () => stopping.abort());
  const onHangup = keys === undefined ? null : listenForHangups();
  const display = createDisplay(maxEpochs, process.stderr, bind !== undefined);
  const { AbortError } = await import('../library/run.ts');
  const log = (message: string) => printEvent({ type: 'log', message });
  const shown = events ? { log, status() {} } : { log: display.line, status: display.status };
  run = start({ signal: stopping.signal, ...shown });
  onHangup?.(run.rereadKeys);
  let result: RunResult;
  try {
    for await (const event of run)
      if (events) printEvent(event);
      else if (event.type === 'epoch') {
        const { epoch, k, loss, subLoss } = event;
        display.epoch({ epoch, k, loss, subLoss });
      } else if (event.type !== 'done') {
        // Its notes are printed with the result.
        display.event(event);
      }
    result = await run;
  } catch (error) {
    display.end();
    if (!(error instanceof AbortError)) {
      // Page and metrics may linger for minutes.
      const isReported = reportProblem(error);
      await run.closed;
      if (!isReported) throw error;
      return;
    }
    display.line(error.message);
    process.exitCode = INTERRUPTED;
    return;
  }
  display.end();
  print(result, json || events);
  await run.closed;
}

const printEvent = (event: object) => console.log(JSON.stringify(event));
