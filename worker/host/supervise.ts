import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../base/user-error.ts';
import { MISTAKE, NO_ROOM } from '../exit-codes.ts';
import type { Coordinator, ProcessOptions } from '../process.ts';

/** A worker to keep alive. */
export interface WorkerSpec {
  name: string;
  /** To a GPU of CUDA, by its environment. */
  pinned?: boolean;
  /** On top of this process's environment. */
  env?: Record<string, string>;
  /** Where it differs from the others. */
  options?: Partial<ProcessOptions>;
}

/**
 * What the end of a worker's process means: `done`: there will be no other; `sound`: the next one starts at once;
 * `killed`: with a growing delay; `failed`: likewise, and after some in a row it is given up.
 */
export type Verdict = 'done' | 'sound' | 'killed' | 'failed';

export interface Hooks {
  ended(pid: number, code: number | null, signal: NodeJS.Signals | null, how: string): Verdict;
  /** What a worker writes to stderr; by default it goes to this one's. */
  said?(name: string, text: Buffer): void;
  /** A worker that failed is started again, so many ms from now. */
  restarts?(name: string, reason: string, delay: number): void;
  /** There will be no worker of this name any more. The others go on. */
  gaveUp?(name: string, error: Error): void;
}

export interface Supervisor {
  /** No worker is left, nor waits to be started again: how many were given up, and why the last of them. */
  over: Promise<{ givenUp: number; error: Error | null }>;
  /** Asks all to finish what is at hand and to say goodbye; starts none any more. */
  leave(): void;
  kill(): void;
  /** Ends all workers; resolves when none is left. */
  stop(): Promise<void>;
}

/** Failures in a row after which a worker is given up. */
const PATIENCE = 5;
/** A worker that lived this long starts afresh with its next failure. */
const SETTLED_MS = 10_000;
/** What a worker has at hand is not wanted any more: one that is frozen or in a long task need not be waited for. */
const KILL_AFTER_MS = 500;
/** Delay before the third start in a row, doubled with each failure; a part of it is drawn, so that many do not move in step. */
const BACKOFF_MS = 400;
const LONGEST_BACKOFF_MS = 10_000;
/**
 * A worker runs one short program beside others that want the cores too, and its mathematics is compiled ahead: what
 * V8's optimizing compiler takes (a quarter of all processors' time) comes back for the hottest loops only. Results are
 * short-lived arrays: with a larger nursery most are gone before they are moved (LOG.md).
 */
const V8_FLAGS = [
  '--v8-pool-size=1',
  '--max-inlined-bytecode-size-cumulative=60',
  // Later versions of V8 have no such flag, and Node.js would not start.
  ...(Number.parseInt(process.versions.node, 10) < 22 ? ['--interrupt-budget=1000000'] : []),
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
];

/**
 * Keeps worker processes alive: one that ends is judged by `hooks.ended`, and started again unless that was its end. They
 * make ready while the coordinator does, and are told its place when there is one.
 */
export function superviseWorkers(
  workers: WorkerSpec[],
  coordinator: Coordinator | Promise<Coordinator>,
  shared: Omit<ProcessOptions, 'name' | keyof Coordinator>,
  hooks: Hooks,
): Supervisor {
  const children = new Set<ChildProcess>();
  const timers = new Set<NodeJS.Timeout>();
  let left = workers.length;
  let givenUp = 0;
  let lastError: Error | null = null;
  let stopping = false;
  let allOver: () => void;
  const over = new Promise<{ givenUp: number; error: Error | null }>((resolve) => {
    allOver = () => resolve({ givenUp, error: lastError });
  });
  // As source under tsx, compiled otherwise: the same ending as this file. In one file it starts in half the time.
  const beside = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const bundled = beside('../../bundled/worker.js');
  const entry = existsSync(bundled) ? bundled : beside(`../process${import.meta.url.slice(-3)}`);

  function retire(): void {
    if (!--left) allOver();
  }

  function start(spec: WorkerSpec, failures: number): void {
    const { name } = spec;
    const options = { ...shared, ...spec.options, name };
    const child = spawn(
      process.execPath,
      [...V8_FLAGS, ...process.execArgv, entry, JSON.stringify(options)],
      {
        stdio: ['pipe', 'ignore', 'pipe'],
        env: { ...process.env, ...spec.env },
        windowsHide: true,
      },
    );
    let begun = performance.now();
    let said = '';
    // Too many processes or files, too little memory: then there is neither an exit nor, perhaps, a pipe.
    child.once('error', (error) => {
      if (child.pid === undefined) judge('failed', error.message, null);
    });
    if (child.pid === undefined) return;
    child.stderr!.on('data', (text: Buffer) => {
      said = (said + text).slice(-2000);
      if (hooks.said) hooks.said(name, text);
      else process.stderr.write(text);
    });
    child.stdin!.on('error', () => {});
    void Promise.resolve(coordinator).then((place) => {
      begun = performance.now();
      child.stdin!.write(`${JSON.stringify(place)}\n`);
    });
    children.add(child);
    child.once('exit', (code, signal) => {
      children.delete(child);
      const how =
        code === NO_ROOM ? 'out of device memory' : signal ? `killed by ${signal}` : `exited with ${code}`;
      const verdict = stopping ? 'done' : hooks.ended(child.pid!, code, signal, how);
      // Its last words may still be on their way.
      if (verdict === 'failed') child.once('close', () => judge(verdict, how, code));
      else judge(verdict, how, code);
    });

    function judge(verdict: Verdict, how: string, code: number | null): void {
      children.delete(child);
      if (stopping || verdict === 'done') {
        retire();
        return;
      }
      const sound = verdict === 'sound' || performance.now() - begun > SETTLED_MS;
      const again = sound ? 0 : failures + 1;
      const hopeless = code === MISTAKE || code === NO_ROOM;
      if (hopeless || (again > PATIENCE && verdict === 'failed')) {
        const error = errorOf(said) || how;
        lastError = new UserError(
          hopeless ? error : `worker ${name} ended ${again} times in a row: ${error}`,
        );
        givenUp++;
        hooks.gaveUp?.(name, lastError);
        retire();
        return;
      }
      const delay = again <= 1 ? 0 : jitter(Math.min(LONGEST_BACKOFF_MS, BACKOFF_MS * 2 ** (again - 2)));
      hooks.restarts?.(name, how, delay);
      const timer = setTimeout(() => {
        timers.delete(timer);
        start(spec, again);
      }, delay);
      timers.add(timer);
    }
  }

  function startNone(): void {
    stopping = true;
    for (const timer of timers) {
      clearTimeout(timer);
      retire();
    }
    timers.clear();
  }
  const kill = () => {
    startNone();
    for (const child of children) child.kill('SIGKILL');
  };
  for (const spec of workers) start(spec, 0);
  return {
    over,
    leave() {
      startNone();
      for (const child of children) child.stdin!.write('leave\n');
    },
    kill,
    async stop() {
      startNone();
      for (const child of children) child.stdin!.end();
      const late = setTimeout(kill, KILL_AFTER_MS);
      await over;
      clearTimeout(late);
    },
  };
}

const jitter = (delay: number) => Math.round(delay * (0.5 + Math.random() / 2));

/** The error in the last words of a process: the line that names it, or else the last one that is no news. */
export function errorOf(said: string): string {
  const lines = said
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean);
  const named = lines.findLast((line) =>
    /^(worker: error: |([A-Z]\w*)?Error\b|.*\b(terminate called|FATAL|fatal error)\b)/.test(line),
  );
  const last = lines.findLast((line) => !line.startsWith('worker: '));
  return (named ?? last ?? '').replace(/^worker: error: /, '');
}
