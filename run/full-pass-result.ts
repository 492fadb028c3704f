import type { Order } from '../model/order.ts';
import type { Contingency } from '../model/scores.ts';

/** What a full pass finds of all rows, from which a run's results are written and its clusters described. */

/** A row that is nearly as well in another cluster: `margin` is what its largest responsibility exceeds that one's by. */
export interface BorderCandidate {
  row: number;
  margin: number;
  rival: number;
}

/** What the full pass found out about the rows of each cluster, by the clusters' numbers by size. */
export interface ShownRows {
  /** The rows nearest to the centre, the nearest first. */
  exemplars: { row: number; distance: number }[][];
  /** The rows that are nearest to another cluster. */
  border: BorderCandidate[][];
  /** Of the distances of rows from the centre: [K, 1001] (model/description/distances.ts). */
  quantiles: Float32Array;
}

export interface ColumnSums {
  /** Σx of the rows of each cluster. */
  sums: Float64Array[];
  /** Σx² of all rows. */
  squares: Float64Array;
}

/** By the clusters' numbers by size. */
export interface FullPassResult {
  /** For each of these numbers that of the cluster before all rows were counted: in the net or mixture that the workers had. */
  order: Order;
  /** Statistics of each cluster over all rows but outliers, by hard assignment. */
  T: Float64Array[];
  /** Rows with each label, outliers included. */
  counts: number[];
  /** Rows of which the silhouette is computed, with their labels. */
  sampled: { rows: Float32Array; labels: number[] };
  /** Clusters against classes; null where true labels are not known. */
  table: Contingency | null;
  /** Rows that are outliers: they have labels, but do not count in the statistics. */
  outliers: number;
  /** Others that are beyond the reach of the cluster that they are labelled with; 0 with the graph likelihood. */
  unexplained: number;
  /** The rows of each shard with a priority below `below` that are outliers. */
  sampledOutliers: number[][];
  /** By column, over the raw rows but outliers. */
  columns: ColumnSums;
  shown: ShownRows;
}
