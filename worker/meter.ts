import type { WorkUnit } from '../proto/messages.ts';

/** What a worker counts of itself, for its own /metrics. */
export class Meter {
  /** By task. */
  readonly seconds: Record<string, number> = {};
  units = 0;
  rowsRead = 0;
  /** It has a coordinator. */
  joined = false;

  /** Adds units that are done, how long each task took, and the rows that were read for them. */
  count(done: WorkUnit[][], seconds: Record<string, number>, rowsRead: number): void {
    this.rowsRead += rowsRead;
    for (const units of done) this.units += units.length;
    for (const [task, spent] of Object.entries(seconds))
      this.seconds[task] = (this.seconds[task] ?? 0) + spent;
  }
}
