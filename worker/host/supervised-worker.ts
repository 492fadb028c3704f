import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../base/user-error.ts';
import { OUT_OF_DEVICE_MEMORY, USER_ERROR } from '../exit-codes.ts';
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
export type ExitKind = 'done' | 'sound' | 'killed' | 'failed';

export interface Hooks {
  ended(pid: number, code: number | null, signal: NodeJS.Signals | null, how: string): ExitKind;
  /** What a worker writes to stderr; by default it goes to this one's. */
  said?(name: string, text: Buffer): void;
  /** A worker that failed is started again, so many ms from now. */
  restarts?(name: string, reason: string, delay: number): void;
  /** There will be no worker of this name any more. The others go on. */
  gaveUp?(name: string, error: Error): void;
}

/** A worker's process, from its start on. */
interface WorkerProcess {
  /** When it was told of the coordinator, or else when it was started. */
  begun: number;
  /** The last of what it wrote to stderr. */
  said: string;
  /** Failures in a row before it. */
  failures: number;
}

/** Failures in a row after which a worker is given up. */
const PATIENCE = 5;
/** A worker that lived this long starts afresh with its next failure. */
const SETTLED_MS = 10_000;
/** Delay before the third start in a row, doubled with each failure; a part of it is drawn, so that many do not move in step. */
const BACKOFF_MS = 400;
const LONGEST_BACKOFF_MS = 10_000;
/** Characters of stderr in which the reason for an end is looked for. */
const LAST_WORDS = 2000;
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

/** One worker: its process, and another one when that has ended, until it is done, given up or asked to end. */
export class SupervisedWorker {
  /** Resolves when it has no process and will have none. */
  readonly over: Promise<void>;
  readonly #spec: WorkerSpec;
  readonly #coordinator: Coordinator | Promise<Coordinator>;
  readonly #options: object;
  readonly #hooks: Hooks;
  #retire!: () => void;
  #isEnding = false;
  #child: ChildProcess | null = null;
  #restart: NodeJS.Timeout | null = null;

  /** Starts it. It makes ready while the coordinator does, and is told its place when there is one. */
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

  /** Asks it to finish what is at hand and to say goodbye. */
  leave(): void {
    this.#startNoMore();
    this.#child?.stdin?.write('leave\n');
  }

  /** Ends it without: the process ends with its pipe, unless it is frozen or in a long task. */
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
    const args = [...V8_FLAGS, ...process.execArgv, workerProgram(), JSON.stringify(this.#options)];
    const child = spawn(process.execPath, args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
      windowsHide: true,
    });
    const life: WorkerProcess = { begun: performance.now(), said: '', failures };
    // Too many processes or files, too little memory: then there is neither an exit nor, perhaps, a pipe.
    child.once('error', (error) => {
      if (child.pid === undefined) this.#judge('failed', error.message, null, life);
    });
    if (child.pid === undefined) return;
    child.stderr!.on('data', (text: Buffer) => {
      life.said = (life.said + text).slice(-LAST_WORDS);
      if (this.#hooks.said) this.#hooks.said(name, text);
      else process.stderr.write(text);
    });
    child.stdin!.on('error', () => {});
    void Promise.resolve(this.#coordinator).then((place) => {
      life.begun = performance.now();
      child.stdin!.write(`${JSON.stringify(place)}\n`);
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
      const verdict = this.#isEnding ? 'done' : this.#hooks.ended(child.pid!, code, signal, how);
      // Its last words may still be on their way.
      if (verdict === 'failed') child.once('close', () => this.#judge(verdict, how, code, life));
      else this.#judge(verdict, how, code, life);
    });
  }

  /** After the end of a process: another one, or none. */
  #judge(
    verdict: ExitKind,
    how: string,
    code: number | null,
    { begun, said, failures }: WorkerProcess,
  ): void {
    if (this.#isEnding || verdict === 'done') {
      this.#retire();
      return;
    }
    const { name } = this.#spec;
    const isSound = verdict === 'sound' || performance.now() - begun > SETTLED_MS;
    const again = isSound ? 0 : failures + 1;
    const isHopeless = code === USER_ERROR || code === OUT_OF_DEVICE_MEMORY;
    if (isHopeless || (again > PATIENCE && verdict === 'failed')) {
      const error = errorOf(said) || how;
      const why = isHopeless ? error : `worker ${name} ended ${again} times in a row: ${error}`;
      this.#hooks.gaveUp?.(name, new UserError(why));
      this.#retire();
      return;
    }
    const delay = again <= 1 ? 0 : jitter(Math.min(LONGEST_BACKOFF_MS, BACKOFF_MS * 2 ** (again - 2)));
    this.#hooks.restarts?.(name, how, delay);
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.#start(again);
    }, delay);
  }
}

/** As source under tsx, compiled otherwise: the same ending as this file. In one file it starts in half the time. */
function workerProgram(): string {
  const beside = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const bundled = beside('../../bundled/worker.js');
  return existsSync(bundled) ? bundled : beside(`../process${import.meta.url.slice(-3)}`);
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
