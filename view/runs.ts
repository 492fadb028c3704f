import type { Summary } from './summary.ts';

/** What `dpmesh view` of several runs answers. */

type Score = 'k' | 'nmi' | 'ari' | 'acc' | 'silhouette' | 'epochs' | 'seconds';

/** A run in the table of runs. */
export interface RunRow {
  name: string;
  /** Its directory. */
  out: string;
  rows: number;
  columns: number;
  /** Null: it is not finished. */
  result: Pick<Summary, Score> | null;
  /** The values of the options of `RunTable`, in their order, as text. */
  options: string[];
}

/** `GET /api/runs` */
export interface RunTable {
  runs: RunRow[];
  /** The options in which the runs differ. */
  options: string[];
}

/** `GET /api/compare?a=0&b=1`: the clusters of two runs on the same rows. */
export interface RunComparison {
  rows: number;
  ari: number;
  nmi: number;
  /** The share of rows in clusters that are matched one to one; null without a table. */
  matched: number | null;
  /** Clusters of `a` (lines) against those of `b`, in an order in which matched ones lie on the diagonal; null: too many. */
  table: { a: string[]; b: string[]; counts: number[][] } | null;
}
