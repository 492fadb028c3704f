import type { FromWorker } from '../../proto/messages.ts';
import { taskSchema } from '../../proto/tasks.ts';

type Results = Extract<FromWorker, { type: 'results' }>;

/**
 * What workers say that a run has cost. They may say anything: it is bounded by what can be, so that neither events nor
 * checkpoints get numbers that nobody can read.
 */
export interface Accounts {
  /**
   * Adds what stands in a message with results, some of which were taken; its round has lasted this many ms. Returns the
   * tasks that there are, with their seconds.
   */
  add(worker: string, header: Results, lasted: number): [string, number][];
  /** Seconds of compute since the last call, by task and by worker. */
  usage(): { tasks: Record<string, number>; workers: Record<string, number> };
  /** Of the whole run; `memory` is the largest of any. */
  totals(): { rounds: number; rowsRead: number; memory: number };
}

const TASKS = new Set<string>(taskSchema.def.options.map((option) => option.def.shape.task.def.values[0]));

/** Of a run over this many rows. */
export function createAccounts(rows: number): Accounts {
  let usage = { tasks: new Map<string, number>(), workers: new Map<string, number>() };
  const totals = { rounds: 0, rowsRead: 0, memory: 0 };
  return {
    add(worker, { round, rowsRead, memory, seconds }, lasted) {
      totals.rounds = Math.max(totals.rounds, round);
      totals.memory = Math.max(totals.memory, memory);
      totals.rowsRead = Math.min(totals.rowsRead + Math.min(rowsRead, rows), Number.MAX_SAFE_INTEGER);
      const tasks = Object.entries(seconds)
        .filter(([task]) => TASKS.has(task))
        .map(([task, spent]): [string, number] => [task, Math.min(spent, lasted / 1000)]);
      for (const [task, spent] of tasks) {
        usage.tasks.set(task, (usage.tasks.get(task) ?? 0) + spent);
        usage.workers.set(worker, (usage.workers.get(worker) ?? 0) + spent);
      }
      return tasks;
    },
    usage() {
      const found = usage;
      usage = { tasks: new Map(), workers: new Map() };
      return { tasks: Object.fromEntries(found.tasks), workers: Object.fromEntries(found.workers) };
    },
    totals: () => ({ ...totals }),
  };
}
