import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { childArguments } from '../../base/package.ts';
import { UserError } from '../../base/user-error.ts';
import { OUT_OF_DEVICE_MEMORY, USER_ERROR } from '../exit-codes.ts';
import type { Coordinator, ProcessOptions } from '../process.ts';

/** Keeps processes alive: starts them again, with growing delays, until they are done or given up. What they compute it does not know. */

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

/** How long a process waits for its coordinator. */
export type RestartPatience = Pick<ProcessOptions, 'reconnectFor' | 'giveUpAfter'>;

/**
 * What the end of a worker's process means. `done`: it is not restarted. `sound`: it is restarted at once. `killed`: it is
 * restarted with a growing delay. `failed`: the same, but it is given up after several failures in a row.
 */
export type ExitKind = 'done' | 'sound' | 'killed' | 'failed';

/** What becomes of workers, by their names. */
export interface Hooks {
  ended(pid: number, code: number | null, signal: NodeJS.Signals | null, how: string): ExitKind;
  /** A line of a worker's stderr. */
  said(name: string, line: string): void;
  /** A worker that failed is restarted after `delay` ms. */
  restarts(name: string, reason: string, delay: number): void;
  /** A worker is not restarted any more. The others continue. */
  gaveUp(name: string, error: Error): void;
}

/** What a child process may run: its source, under tsx, else its bundle, which starts in half the time. */
type Program = keyof typeof PROGRAMS;

/** Time for workers to end before they are killed: their current work is not needed, so a frozen or busy one is not awaited. */
const KILL_AFTER_MS = 500;
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

const PROGRAMS = {
  worker: { source: '../main.ts', bundle: '../../bundled/worker.js', flags: V8_FLAGS },
  relay: { source: '../../coordinator/relay/process.ts', bundle: '../../bundled/relay.js', flags: [] },
};

/**
 * Keeps workers alive: restarts a process that ends, until its worker is done, given up or asked to end. Processes start at once; they
 * load their backend while the coordinator starts, and get its address when that is known. The same for a relay.
 */
export function supervise(
  specs: WorkerSpec[],
  coordinator: Coordinator | Promise<Coordinator>,
  shared: Omit<ProcessOptions, 'name' | keyof Coordinator> | RestartPatience,
  hooks: Hooks,
  program: Program = 'worker',
) {
  let givenUp = 0;
  let error: Error | null = null;
  const gaveUp: Hooks['gaveUp'] = (name, reason) => {
    givenUp++;
    error = reason;
    hooks.gaveUp(name, reason);
  };
  const workers = specs.map((spec) =>
    superviseOne(spec, coordinator, shared, { ...hooks, gaveUp }, PROGRAMS[program]),
  );
  const kill = () => {
    for (const worker of workers) worker.kill();
  };
  /** Resolves when no worker runs or will be restarted: the number that were given up, and the error of the last one. */
  const over = Promise.all(workers.map((worker) => worker.over)).then(() => ({ givenUp, error }));
  return {
    over,
    /** Asks all workers to finish their current unit and leave. No worker is restarted. */
    leave() {
      for (const worker of workers) worker.leave();
    },
    kill,
    /** Ends all workers. Resolves when none is left. */
    async stop(): Promise<void> {
      for (const worker of workers) worker.end();
      const late = setTimeout(kill, KILL_AFTER_MS);
      await over;
      clearTimeout(late);
    },
  };
}

function superviseOne(
  { name, env, options }: WorkerSpec,
  coordinator: Coordinator | Promise<Coordinator>,
  shared: object,
  hooks: Hooks,
  { source, bundle, flags }: (typeof PROGRAMS)[Program],
) {
  const path = import.meta.url.endsWith('.ts') ? source : bundle;
  const args = [
    ...flags,
    ...childArguments(),
    fileURLToPath(new URL(path, import.meta.url)),
    JSON.stringify({ ...shared, ...options, name }),
  ];
  let isEnding = false;
  let child: ChildProcess | null = null;
  let restart: NodeJS.Timeout | null = null;
  let retire: () => void;
  /** Resolves when its process has ended and will not be restarted. */
  const over = new Promise<void>((resolve) => {
    retire = resolve;
  });

  /** `failures`: in a row before this start. */
  function start(failures: number): void {
    const own = spawn(process.execPath, args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
      windowsHide: true,
    });
    // When it got the coordinator's address; before that, when it was started.
    let startedAt = performance.now();
    let stderr = '';
    const over = (kind: ExitKind, how: string, code: number | null) => {
      if (isEnding || kind === 'done') return retire();
      const wasHealthy = kind === 'sound' || performance.now() - startedAt > HEALTHY_MS;
      afterFailure(kind, code, how, wasHealthy ? 0 : failures + 1, errorOf(stderr) || how);
    };
    // The process could not be started (too many processes or files, too little memory): no `exit` follows.
    own.once('error', (error) => {
      if (own.pid === undefined) over('failed', error.message, null);
    });
    if (own.pid === undefined) return;
    createInterface(own.stderr).on('line', (line) => {
      stderr = `${stderr}${line}\n`.slice(-KEPT_STDERR);
      hooks.said(name, line);
    });
    own.stdin.on('error', () => {});
    void Promise.resolve(coordinator).then((place) => {
      startedAt = performance.now();
      own.stdin.write(`${JSON.stringify(place)}\n`);
    });
    child = own;
    own.once('exit', (code, signal) => {
      child = null;
      const plain = signal ? `killed by ${signal}` : `exited with ${code}`;
      const how = code === OUT_OF_DEVICE_MEMORY ? 'out of device memory' : plain;
      const kind = isEnding ? 'done' : hooks.ended(own.pid!, code, signal, how);
      // The end of its stderr may still have to be read.
      if (kind === 'failed') own.once('close', () => over(kind, how, code));
      else over(kind, how, code);
    });
  }

  /** Restarts the worker after a delay, or gives it up. `failures`: in a row, with this one. */
  function afterFailure(kind: ExitKind, code: number | null, how: string, failures: number, error: string) {
    const isHopeless = code === USER_ERROR || code === OUT_OF_DEVICE_MEMORY;
    if (isHopeless || (failures > MOST_FAILURES && kind === 'failed')) {
      const why = isHopeless ? error : `worker ${name} failed ${failures} times in a row: ${error}`;
      hooks.gaveUp(name, new UserError(why));
      return retire();
    }
    const longest = kind === 'killed' ? LONGEST_AFTER_KILL_MS : LONGEST_BACKOFF_MS;
    const backoff = Math.min(longest, BACKOFF_MS * 2 ** (failures - 2));
    const delay = failures <= 1 ? 0 : Math.round(backoff * (0.5 + Math.random() / 2));
    hooks.restarts(name, how, delay);
    restart = setTimeout(() => {
      restart = null;
      start(failures);
    }, delay);
  }

  function startNoMore(): ChildProcess | null {
    isEnding = true;
    if (restart) {
      clearTimeout(restart);
      restart = null;
      retire();
    }
    return child;
  }

  start(0);
  return {
    over,
    leave: () => void startNoMore()?.stdin?.write('leave\n'),
    /** The process exits when its stdin closes, unless it is frozen or in a long task. */
    end: () => void startNoMore()?.stdin?.end(),
    kill: () => void startNoMore()?.kill('SIGKILL'),
  };
}

/** The error in a worker's stderr: the last line that looks like one, else the last one that is not a log line. */
export function errorOf(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean);
  const error = lines.findLast((line) =>
    /^((worker|relay): error: |([A-Z]\w*)?Error\b|.*\b(terminate called|FATAL|fatal error)\b)/.test(line),
  );
  const last = lines.findLast((line) => !/^(worker|relay): /.test(line));
  return (error ?? last ?? '').replace(/^(worker|relay): error: /, '');
}
