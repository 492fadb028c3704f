import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../base/user-error.ts';
import { childArguments } from '../../base/version.ts';
import { OUT_OF_DEVICE_MEMORY, USER_ERROR } from '../exit-codes.ts';
import type { Coordinator, ProcessOptions } from '../process.ts';

/** A worker to keep alive. */
export interface WorkerSpec {
  name: string;
  /** Pinned to a CUDA device by its environment. */
  pinned?: boolean;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Options in which it differs from the others. */
  options?: Partial<ProcessOptions>;
}

/**
 * What the end of a worker's process means. `done`: it is not restarted. `sound`: it is restarted at once. `killed`: it is
 * restarted with a growing delay. `failed`: the same, but it is given up after several failures in a row.
 */
export type ExitKind = 'done' | 'sound' | 'killed' | 'failed';

export interface Hooks {
  ended(pid: number, code: number | null, signal: NodeJS.Signals | null, how: string): ExitKind;
  /** Receives the worker's stderr, which by default goes to that of this process. */
  stderr?(name: string, text: Buffer): void;
  /** A worker that failed is restarted after `delay` ms. */
  restarts?(name: string, reason: string, delay: number): void;
  /** The worker of this name is not restarted any more. The others continue. */
  gaveUp?(name: string, error: Error): void;
}

/** A worker's running process. */
interface WorkerProcess {
  /** When it got the coordinator's address; before that, when it was started. */
  startedAt: number;
  /** The end of its stderr. */
  stderr: string;
  /** Failures in a row before it. */
  failures: number;
}

/** Failures in a row after which a worker is given up. */
const MOST_FAILURES = 5;
/** After this long a process counts as healthy: earlier failures are forgotten. */
const HEALTHY_MS = 10_000;
/** Delay before the third start in a row, doubled with each failure; partly random, lest workers restart in step. */
const BACKOFF_MS = 400;
const LONGEST_BACKOFF_MS = 10_000;
/** The longest delay for a worker that others kill. It may be about to do something, and a start takes half a second. */
const LONGEST_AFTER_KILL_MS = 1000;
/** Characters of stderr that are kept to find the reason for an exit. */
const KEPT_STDERR = 2000;
/**
 * A worker runs a short program beside others that compete for the cores, and its mathematics is compiled ahead of time. V8's
 * optimizing compiler, which took a quarter of all CPU time, pays only for the hottest loops. Results are short-lived arrays:
 * with a larger nursery most are collected before they are promoted (LOG.md).
 */
const V8_FLAGS = [
  // For workers that train an encoder.
  '--expose-gc',
  '--v8-pool-size=1',
  '--max-inlined-bytecode-size-cumulative=60',
  // Later versions of V8 have no such flag, and Node.js would not start.
  ...(Number.parseInt(process.versions.node, 10) < 22 ? ['--interrupt-budget=1000000'] : []),
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
];

/** Runs a worker's process, and restarts it when it ends, until the worker is done, given up or asked to end. */
export class SupervisedWorker {
  /** Resolves when its process has ended and will not be restarted. */
  readonly over: Promise<void>;
  readonly #spec: WorkerSpec;
  readonly #coordinator: Coordinator | Promise<Coordinator>;
  readonly #options: object;
  readonly #hooks: Hooks;
  #retire!: () => void;
  #isEnding = false;
  #child: ChildProcess | null = null;
  #restart: NodeJS.Timeout | null = null;

  /** Starts the process at once; it loads its backend while the coordinator starts, and gets its address when that is known. */
  constructor(
    spec: WorkerSpec,
    coordinator: Coordinator | Promise<Coordinator>,
    shared: Omit<ProcessOptions, 'name' | keyof Coordinator>,
    hooks: Hooks,
  ) {
    this.#spec = spec;
    this.#coordinator = coordinator;
    this.#options = { ...shared, ...spec.options, name: spec.name };
    this.#hooks = hooks;
    this.over = new Promise((resolve) => {
      this.#retire = resolve;
    });
    this.#start(0);
  }

  /** Asks it to finish its current unit and leave. */
  leave(): void {
    this.#startNoMore();
    this.#child?.stdin?.write('leave\n');
  }

  /** Ends it at once: the process exits when its stdin closes, unless it is frozen or in a long task. */
  end(): void {
    this.#startNoMore();
    this.#child?.stdin?.end();
  }

  kill(): void {
    this.#startNoMore();
    this.#child?.kill('SIGKILL');
  }

  #startNoMore(): void {
    this.#isEnding = true;
    if (!this.#restart) return;
    clearTimeout(this.#restart);
    this.#restart = null;
    this.#retire();
  }

  #start(failures: number): void {
    const { name, env } = this.#spec;
    const args = [...V8_FLAGS, ...childArguments(), workerProgram(), JSON.stringify(this.#options)];
    const child = spawn(process.execPath, args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
      windowsHide: true,
    });
    const running: WorkerProcess = { startedAt: performance.now(), stderr: '', failures };
    // The process could not be started (too many processes or files, too little memory): no `exit` follows.
    child.once('error', (error) => {
      if (child.pid === undefined) this.#afterExit('failed', error.message, null, running);
    });
    if (child.pid === undefined) return;
    child.stderr!.on('data', (text: Buffer) => {
      running.stderr = (running.stderr + text).slice(-KEPT_STDERR);
      if (this.#hooks.stderr) this.#hooks.stderr(name, text);
      else process.stderr.write(text);
    });
    child.stdin!.on('error', () => {});
    void Promise.resolve(this.#coordinator).then((coordinator) => {
      running.startedAt = performance.now();
      child.stdin!.write(`${JSON.stringify(coordinator)}\n`);
    });
    this.#child = child;
    child.once('exit', (code, signal) => {
      this.#child = null;
      const how =
        code === OUT_OF_DEVICE_MEMORY
          ? 'out of device memory'
          : signal
            ? `killed by ${signal}`
            : `exited with ${code}`;
      const kind = this.#isEnding ? 'done' : this.#hooks.ended(child.pid!, code, signal, how);
      // The end of its stderr may still have to be read.
      if (kind === 'failed') child.once('close', () => this.#afterExit(kind, how, code, running));
      else this.#afterExit(kind, how, code, running);
    });
  }

  /** Restarts the worker after a delay, or not. */
  #afterExit(
    kind: ExitKind,
    how: string,
    code: number | null,
    { startedAt, stderr, failures }: WorkerProcess,
  ): void {
    if (this.#isEnding || kind === 'done') {
      this.#retire();
      return;
    }
    const { name } = this.#spec;
    const wasHealthy = kind === 'sound' || performance.now() - startedAt > HEALTHY_MS;
    const failuresNow = wasHealthy ? 0 : failures + 1;
    const isHopeless = code === USER_ERROR || code === OUT_OF_DEVICE_MEMORY;
    if (isHopeless || (failuresNow > MOST_FAILURES && kind === 'failed')) {
      const error = errorOf(stderr) || how;
      const why = isHopeless ? error : `worker ${name} failed ${failuresNow} times in a row: ${error}`;
      this.#hooks.gaveUp?.(name, new UserError(why));
      this.#retire();
      return;
    }
    const longest = kind === 'killed' ? LONGEST_AFTER_KILL_MS : LONGEST_BACKOFF_MS;
    const backoff = Math.min(longest, BACKOFF_MS * 2 ** (failuresNow - 2));
    const delay = failuresNow <= 1 ? 0 : jitter(backoff);
    this.#hooks.restarts?.(name, how, delay);
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.#start(failuresNow);
    }, delay);
  }
}

/** The worker's program: the source under tsx, else the bundle, which starts in half the time. */
function workerProgram(): string {
  const path = import.meta.url.endsWith('.ts') ? '../process.ts' : '../../bundled/worker.js';
  return fileURLToPath(new URL(path, import.meta.url));
}

const jitter = (delay: number) => Math.round(delay * (0.5 + Math.random() / 2));

/** The error in a worker's stderr: the last line that looks like one, else the last one that is not a log line. */
export function errorOf(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean);
  const error = lines.findLast((line) =>
    /^(worker: error: |([A-Z]\w*)?Error\b|.*\b(terminate called|FATAL|fatal error)\b)/.test(line),
  );
  const last = lines.findLast((line) => !line.startsWith('worker: '));
  return (error ?? last ?? '').replace(/^worker: error: /, '');
}
