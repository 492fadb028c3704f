import type { FromWorker } from '../../proto/messages.ts';
import { TASK_NAMES } from '../../proto/tasks.ts';

export type ResultsMessage = Extract<FromWorker, { type: 'results' }>;

/** Compute time in seconds, by task and by worker. */
export interface ComputeSeconds {
  tasks: Record<string, number>;
  workers: Record<string, number>;
}

const TASKS = new Set<string>(TASK_NAMES);

/**
 * The resources that a run has used, as reported by its workers. Their numbers are not trusted: each is limited to what is
 * possible, so that events and checkpoints stay readable.
 */
export class Usage {
  readonly #rows: number;
  #tasks = new Map<string, number>();
  #workers = new Map<string, number>();
  readonly #totals = { rounds: 0, rowsRead: 0, memory: 0 };

  /** `rows`: of the data. */
  constructor(rows: number) {
    this.#rows = rows;
  }

  /**
   * Adds the figures of a message of which at least one result was accepted; `elapsed`: ms since its round started. Returns
   * the known tasks with their seconds.
   */
  add(
    worker: string,
    { round, rowsRead, memory, seconds }: ResultsMessage,
    elapsed: number,
  ): [string, number][] {
    const totals = this.#totals;
    totals.rounds = Math.max(totals.rounds, round);
    totals.memory = Math.max(totals.memory, memory);
    totals.rowsRead = Math.min(totals.rowsRead + Math.min(rowsRead, this.#rows), Number.MAX_SAFE_INTEGER);
    const tasks = Object.entries(seconds)
      .filter(([task]) => TASKS.has(task))
      .map(([task, value]): [string, number] => [task, Math.min(value, elapsed / 1000)]);
    for (const [task, value] of tasks) {
      this.#tasks.set(task, (this.#tasks.get(task) ?? 0) + value);
      this.#workers.set(worker, (this.#workers.get(worker) ?? 0) + value);
    }
    return tasks;
  }

  /** Compute time since the last call. */
  take(): ComputeSeconds {
    const since = { tasks: Object.fromEntries(this.#tasks), workers: Object.fromEntries(this.#workers) };
    this.#tasks = new Map();
    this.#workers = new Map();
    return since;
  }

  /** Totals since the start; `memory` is the largest of any worker, in bytes. */
  totals(): { rounds: number; rowsRead: number; memory: number } {
    return { ...this.#totals };
  }
}
