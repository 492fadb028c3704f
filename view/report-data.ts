import type { ClusterDetails } from './cluster-details.ts';

/** What report.html has for its script. */
export interface ReportData {
  /** The run's. */
  name: string;
  numbers: Numbers;
  /** As `clusters.json` has them; empty without. */
  clusters: ClusterDetails[];
  /** Rows of each cluster. */
  rows: number[];
  /** The nearest clusters of each, as text. */
  nearest: string[];
}

/** The numbers that the pictures show, by picture, in columns: what a reader can save as CSV. */
export type Numbers = Record<string, Columns>;
export type Columns = Record<string, readonly (number | string | null)[]>;
