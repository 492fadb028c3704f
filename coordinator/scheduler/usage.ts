import type { FromWorker } from '../../proto/messages.ts';
import { taskSchema } from '../../proto/tasks.ts';

type Results = Extract<FromWorker, { type: 'results' }>;

/** Seconds of compute, by task and by worker. */
export interface ComputeSeconds {
  tasks: Record<string, number>;
  workers: Record<string, number>;
}

const TASKS = new Set<string>(taskSchema.def.options.map((option) => option.def.shape.task.def.values[0]));

/**
 * What workers say that a run has cost. They may say anything: it is bounded by what can be, so that neither events nor
 * checkpoints get numbers that nobody can read.
 */
export class Usage {
  readonly #rows: number;
  #tasks = new Map<string, number>();
  #workers = new Map<string, number>();
  readonly #totals = { rounds: 0, rowsRead: 0, memory: 0 };

  /** Of a run over this many rows. */
  constructor(rows: number) {
    this.#rows = rows;
  }

  /**
   * Adds what stands in a message with results, some of which were taken; its round has lasted this many ms. Returns the
   * tasks that there are, with their seconds.
   */
  add(worker: string, { round, rowsRead, memory, seconds }: Results, lasted: number): [string, number][] {
    const totals = this.#totals;
    totals.rounds = Math.max(totals.rounds, round);
    totals.memory = Math.max(totals.memory, memory);
    totals.rowsRead = Math.min(totals.rowsRead + Math.min(rowsRead, this.#rows), Number.MAX_SAFE_INTEGER);
    const tasks = Object.entries(seconds)
      .filter(([task]) => TASKS.has(task))
      .map(([task, spent]): [string, number] => [task, Math.min(spent, lasted / 1000)]);
    for (const [task, spent] of tasks) {
      this.#tasks.set(task, (this.#tasks.get(task) ?? 0) + spent);
      this.#workers.set(worker, (this.#workers.get(worker) ?? 0) + spent);
    }
    return tasks;
  }

  /** What was added since the last call. */
  take(): ComputeSeconds {
    const taken = { tasks: Object.fromEntries(this.#tasks), workers: Object.fromEntries(this.#workers) };
    this.#tasks = new Map();
    this.#workers = new Map();
    return taken;
  }

  /** Of the whole run; `memory` is the largest of any. */
  totals(): { rounds: number; rowsRead: number; memory: number } {
    return { ...this.#totals };
  }
}
