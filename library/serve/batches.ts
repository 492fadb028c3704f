import { setImmediate as nextTurn } from 'node:timers/promises';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import type { OutputArray, OutputName } from './protocol.ts';

/** The rows of requests to one model, labelled together. */

/** What is said of some rows, by output. */
export type OutputColumns = { [Name in OutputName]?: OutputArray };

/** Rows that are waiting, and what is said of those that were labelled already. */
interface Waiting {
  values: Float32Array;
  rows: number;
  taken: number;
  outputs: OutputColumns;
  /** Nobody waits for it any more. */
  isGone(): boolean;
  resolve(): void;
  reject(error: unknown): void;
}

export type Batches = ReturnType<typeof createBatches>;

/**
 * A queue of requests. While one batch is computed others gather, and are the next: at most so many rows, that few wait for those of a request of many, which
 * stands in line again after each of its slices.
 */
export function createBatches(
  columns: number,
  {
    label,
    isRowwise,
    labelled,
  }: {
    /** What is said of rows, of which nothing is used afterwards; of outputs that take time only those that are `asked` for. */
    label(values: Float32Array, asked: ReadonlySet<string>): Promise<OutputColumns>;
    /** Rows of several requests may be labelled at once, with the same bits. */
    isRowwise: boolean;
    /** Called after each batch. */
    labelled(rows: number, columns: OutputColumns): void;
  },
) {
  const queue: Waiting[] = [];
  let waiting = 0;
  let isRunning = false;

  /** Some rows of those that wait, and where they lie in the batch. */
  function take() {
    const parts: { one: Waiting; from: number; count: number; at: number }[] = [];
    let rows = 0;
    while (rows < FORWARD_ROWS && queue.length && (isRowwise || !rows)) {
      const one = queue.shift()!;
      const count = Math.min(FORWARD_ROWS - rows, one.rows - one.taken);
      if (one.isGone()) {
        waiting -= one.rows - one.taken;
        one.resolve();
        continue;
      }
      parts.push({ one, from: one.taken, count, at: rows });
      one.taken += count;
      rows += count;
      waiting -= count;
      if (one.taken < one.rows) queue.push(one);
    }
    return { parts, rows };
  }

  async function compute({ parts, rows }: ReturnType<typeof take>): Promise<void> {
    const values = new Float32Array(rows * columns);
    for (const { one, from, count, at } of parts)
      values.set(one.values.subarray(from * columns, (from + count) * columns), at * columns);
    const asked = new Set(parts.flatMap(({ one }) => Object.keys(one.outputs)));
    const found = await label(values, asked);
    labelled(rows, found);
    for (const { one, from, count, at } of parts) {
      for (const [name, out] of Object.entries(one.outputs)) {
        const width = out.length / one.rows;
        const own = found[name as OutputName]!.subarray(at * width, (at + count) * width);
        out.set(own, from * width);
      }
      if (from + count === one.rows) one.resolve();
    }
  }

  async function run(): Promise<void> {
    isRunning = true;
    while (queue.length) {
      // What has come meanwhile is read first.
      await nextTurn();
      const batch = take();
      await compute(batch).catch((error) => {
        for (const { one } of batch.parts) {
          if (queue.includes(one)) queue.splice(queue.indexOf(one), 1);
          waiting -= one.rows - one.taken;
          one.taken = one.rows;
          one.reject(error);
        }
      });
    }
    isRunning = false;
  }

  return {
    /** Rows that wait. */
    waiting: () => waiting,
    /** Fills `outputs`, each of as many numbers for each of the rows; or not, if `isGone`. */
    add(values: Float32Array, outputs: OutputColumns, isGone: () => boolean): Promise<void> {
      const rows = values.length / columns;
      waiting += rows;
      return new Promise((resolve, reject) => {
        queue.push({ values, rows, taken: 0, outputs, isGone, resolve, reject });
        if (!isRunning) void run();
      });
    },
  };
}
