import type { Socket } from 'node:net';
import { fileProblem, ioError } from '../base/files.ts';
import { indentContinuation } from '../base/text.ts';
import { INTERRUPTED } from '../base/user-error.ts';

/** What commands have of their process: signals, output that may be lost, standard input. */

/** The options of a run that connect it to the terminal. */
export interface TerminalOptions {
  signal: AbortSignal;
  log: (line: string) => void;
  status: (text: string) => void;
}

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

/** Set by a program for a command that is to end with it, however that comes about: it holds the other end of standard input. */
const HELD = 'DPMESH_ENDS_WITH_STDIN';

/** Ends this process, but not those that it starts, once standard input closes, if that was asked for. */
export function endWithStdin(): void {
  if (!process.env[HELD]) return;
  delete process.env[HELD];
  process.stdin.on('close', () => process.exit(INTERRUPTED)).resume();
  // An open pipe does not keep the process alive.
  (process.stdin as unknown as Socket).unref();
}

/**
 * Keeps a command running if its output cannot be written, as to a closed terminal or pipe: text on stderr is lost. If stdout
 * is a file that cannot be written, prints an error and sets exit code 2.
 */
export function tolerateLostOutput(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has closed the pipe, as `head` does.
    if (error.code === 'EPIPE') return;
    process.exitCode = 2;
    console.error(`dpmesh: ${(ioError('the output on stdout', 'written', error) as Error).message}`);
  });
}

/** Prints why a command ends, and sets its exit code. False for an error that is a fault of ours. */
export function reportProblem(error: unknown): boolean {
  const problem = fileProblem(error);
  if (!problem) return false;
  console.error(indentContinuation(`dpmesh: ${problem.message}`));
  process.exitCode = problem.exitCode;
  return true;
}

/** The path of `--data`; `-` is standard input, which is copied to a file first. */
export async function dataPathOf(data: string): Promise<string> {
  if (data !== '-') return data;
  const { spoolStdin } = await import('../data/remote/local-copy.ts');
  return spoolStdin({ log: (line) => console.error(indentContinuation(line)) });
}
