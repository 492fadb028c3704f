import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '../data/user-error.ts';
import type { WorkerKey } from '../proto/keys.ts';
import { NO_ROOM } from './backends/out-of-memory.ts';
import type { ProcessOptions } from './process.ts';

export interface Supervisor {
  /** Rejects when a worker dies again and again before it can join. */
  failed: Promise<never>;
  /** Ends all workers; resolves when none is left. */
  stop(): Promise<void>;
}

/** Starts that fail in a row before the supervisor gives up. */
const PATIENCE = 5;
/** A worker that lived this long starts afresh with its next failure. */
const SETTLED_MS = 10_000;
const KILL_AFTER_MS = 2000;
/**
 * A worker runs one short program over and over, beside others that want the cores too: less inlining and one
 * compiler thread in place of four took a seventh off a run (LOG.md).
 */
const V8_FLAGS = ['--v8-pool-size=1', '--max-inlined-bytecode-size-cumulative=200'];

/**
 * Keeps `count` worker processes alive: one that ends is reported to `ended`, which says whether it had joined, and
 * started again, with growing delay if it fails by itself.
 */
export function superviseWorkers(
  count: number,
  { key, ...options }: Omit<ProcessOptions, 'name'> & { key: WorkerKey },
  ended: (pid: number, reason: string) => boolean,
): Supervisor {
  const children = new Set<ChildProcess>();
  const timers = new Set<NodeJS.Timeout>();
  let stopping = false;
  let giveUp: (error: Error) => void;
  const failed = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  failed.catch(() => {});
  // As source under tsx, compiled otherwise: the same ending as this file.
  const entry = fileURLToPath(new URL(`./process${import.meta.url.slice(-3)}`, import.meta.url));

  function start(name: string, failures: number): void {
    const child = spawn(
      process.execPath,
      [...V8_FLAGS, ...process.execArgv, entry, JSON.stringify({ ...options, name })],
      {
        stdio: ['pipe', 'ignore', 'pipe'],
      },
    );
    const begun = performance.now();
    let said = '';
    child.stderr!.on('data', (text: Buffer) => {
      said = (said + text).slice(-2000);
      process.stderr.write(text);
    });
    child.stdin!.on('error', () => {});
    child.stdin!.write(`${JSON.stringify(key)}\n`);
    children.add(child);
    child.once('exit', (code, signal) => {
      children.delete(child);
      if (stopping) return;
      if (code === NO_ROOM) {
        ended(child.pid!, 'out of device memory');
        if (!children.size && !timers.size) giveUp(new UserError(said.trim().split('\n').at(-1)!));
        return;
      }
      const hadJoined = ended(child.pid!, signal ? `killed by ${signal}` : `exited with ${code}`);
      // A worker that was killed at work has done nothing wrong: the next one starts at once.
      const sound = (signal && hadJoined) || performance.now() - begun > SETTLED_MS;
      const again = sound ? 0 : failures + 1;
      if (again > PATIENCE && code !== null) {
        giveUp(new Error(`worker ${name} ended ${again} times in a row: ${said.trim() || `exit ${code}`}`));
        return;
      }
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          start(name, again);
        },
        again <= 1 ? 0 : Math.min(5000, 50 * 2 ** again),
      );
      timers.add(timer);
    });
  }

  for (let i = 0; i < count; i++) start(`local/${i}`, 0);
  return {
    failed,
    async stop() {
      stopping = true;
      for (const timer of timers) clearTimeout(timer);
      const gone = [...children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
      for (const child of children) child.stdin!.end();
      const kill = setTimeout(() => {
        for (const child of children) child.kill('SIGKILL');
      }, KILL_AFTER_MS);
      await Promise.all(gone);
      clearTimeout(kill);
    },
  };
}
