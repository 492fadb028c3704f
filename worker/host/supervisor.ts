import type { Coordinator, ProcessOptions } from '../process.ts';
import { type Hooks, SupervisedWorker, type WorkerSpec } from './supervised-worker.ts';

/** What a worker has at hand is not wanted any more: one that is frozen or in a long task need not be waited for. */
const KILL_AFTER_MS = 500;

/** Keeps workers alive: a process that ends is judged by `hooks.ended`, and started again unless that was its end. */
export class Supervisor {
  /** No worker is left, nor waits to be started again: how many were given up, and why the last of them. */
  readonly over: Promise<{ givenUp: number; error: Error | null }>;
  readonly #workers: SupervisedWorker[];

  constructor(
    specs: WorkerSpec[],
    coordinator: Coordinator | Promise<Coordinator>,
    shared: Omit<ProcessOptions, 'name' | keyof Coordinator>,
    hooks: Hooks,
  ) {
    let givenUp = 0;
    let error: Error | null = null;
    const counting: Hooks = {
      ...hooks,
      gaveUp(name, why) {
        givenUp++;
        error = why;
        hooks.gaveUp?.(name, why);
      },
    };
    this.#workers = specs.map((spec) => new SupervisedWorker(spec, coordinator, shared, counting));
    this.over = Promise.all(this.#workers.map(({ over }) => over)).then(() => ({ givenUp, error }));
  }

  /** Asks all to finish what is at hand and to say goodbye; starts none any more. */
  leave(): void {
    for (const worker of this.#workers) worker.leave();
  }

  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  /** Ends all workers; resolves when none is left. */
  async stop(): Promise<void> {
    for (const worker of this.#workers) worker.end();
    const late = setTimeout(() => this.kill(), KILL_AFTER_MS);
    await this.over;
    clearTimeout(late);
  }
}
