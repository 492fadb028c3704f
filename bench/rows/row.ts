/** A row of the table of benchmarks. */
export interface BenchmarkRow {
  name: string;
  what: string;
  /** Null: there is no target. */
  target: string | null;
  /** Slow: measured only when named, or with --all. */
  onRequest?: true;
  measure(): Promise<RowResult>;
}

export interface RowResult {
  measured: string;
  /** Null: there is no target. */
  met: boolean | null;
}
