import type { Coordinator, ProcessOptions } from '../process.ts';
import { type Hooks, SupervisedWorker, type WorkerSpec } from './supervised-worker.ts';

/** Time for workers to end before they are killed: their current work is not needed, so a frozen or busy one is not awaited. */
const KILL_AFTER_MS = 500;

/** Keeps workers alive: restarts a process that ends, unless `hooks.ended` classifies its end as final. */
export class Supervisor {
  /** Resolves when no worker runs or will be restarted: the number that were given up, and the error of the last one. */
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
      gaveUp(name, reason) {
        givenUp++;
        error = reason;
        hooks.gaveUp?.(name, reason);
      },
    };
    this.#workers = specs.map((spec) => new SupervisedWorker(spec, coordinator, shared, counting));
    this.over = Promise.all(this.#workers.map(({ over }) => over)).then(() => ({ givenUp, error }));
  }

  /** Asks all workers to finish their current unit and leave. No worker is restarted. */
  leave(): void {
    for (const worker of this.#workers) worker.leave();
  }

  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  /** Ends all workers. Resolves when none is left. */
  async stop(): Promise<void> {
    for (const worker of this.#workers) worker.end();
    const late = setTimeout(() => this.kill(), KILL_AFTER_MS);
    await this.over;
    clearTimeout(late);
  }
}
