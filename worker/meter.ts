/** What a worker counts of itself, for its own /metrics. */
export interface Meter {
  /** By task. */
  seconds: Record<string, number>;
  units: number;
  rowsRead: number;
  /** It has a coordinator. */
  joined: boolean;
}

export const createMeter = (): Meter => ({ seconds: {}, units: 0, rowsRead: 0, joined: false });
