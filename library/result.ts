/** Agreement with the true classes, where those were given, and the separation of the clusters. */
export interface Scores {
  /** Normalized mutual information, 0 to 1. */
  nmi: number | null;
  /** Adjusted Rand index, at most 1. */
  ari: number | null;
  /** Clustering accuracy under the best matching of clusters and classes, 0 to 1. */
  acc: number | null;
  /** Mean silhouette on a sample of the rows, −1 to 1; null with one cluster. */
  silhouette: number | null;
}

/** What came of a run. */
export interface RunResult {
  /** Clusters that have rows. */
  readonly k: number;
  /** The cluster of each row, from 0 to k − 1 or above where clusters are empty; read from `labels.npy` on first use. */
  readonly labels: Int32Array;
  /** Responsibilities, N×K, row-major; null without `soft`. Read from `responsibilities.npy` on first use. */
  readonly responsibilities: Float32Array | null;
  /** Against the true classes, where those were given. */
  readonly scores: Scores;
  /** The clustering net's loss in the last epoch. */
  readonly loss: number | null;
  /** Of the data. */
  readonly rows: number;
  /** Of the data. */
  readonly columns: number;
  /** Epochs of training. */
  readonly epochs: number;
  /** Exchanges with the workers. */
  readonly rounds: number;
  /** Workers at the same time, at most. */
  readonly workers: number;
  /** From the first round to the result, in all sessions. */
  readonly seconds: number;
  /** The run directory (docs/run-directory.md). */
  readonly directory: string;
  /** The path of report.html; null where none was drawn. */
  readonly report: string | null;
}
