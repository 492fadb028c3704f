import type { WorkUnit } from '../proto/messages.ts';

/** A worker's counters, for its own /metrics. */
export class Meter {
  /** Seconds of compute by task. */
  readonly seconds: Record<string, number> = {};
  units = 0;
  rowsRead = 0;
  /** It has joined a coordinator. */
  joined = false;

  /** Adds finished units, the seconds of each task, and the rows read for them. */
  count(done: WorkUnit[][], seconds: Record<string, number>, rowsRead: number): void {
    this.rowsRead += rowsRead;
    for (const units of done) this.units += units.length;
    for (const [task, spent] of Object.entries(seconds))
      this.seconds[task] = (this.seconds[task] ?? 0) + spent;
  }
}
