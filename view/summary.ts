/** The result of a run, as `--json` prints it and `run.json` has it. Scores are null where true labels are not known. */
export interface Summary {
  /** Clusters that have rows. */
  k: number;
  /** Normalized mutual information with the true classes, arithmetic mean in the denominator. */
  nmi: number | null;
  /** Adjusted Rand index. */
  ari: number | null;
  /** Clustering accuracy: the fraction of rows on the diagonal of the best one-to-one matching of clusters and classes. */
  acc: number | null;
  /** Mean silhouette coefficient of a random sample of rows; null if it is not defined, as with a single cluster. */
  silhouette: number | null;
  /** Of the clustering net in the last epoch that trained it; null if none did. */
  loss: number | null;
  epochs: number;
  /** Rounds of all sessions. */
  rounds: number;
  /** The most workers connected at one time. */
  workers: number;
  rows: number;
  /** Rows that were set apart before training: so far from all others that they would have hidden the clusters. */
  outliers: number;
  /** Columns of the data. */
  dim: number;
  /** Wall-clock time of all sessions, each from its first round on. */
  seconds: number;
  /** The run directory. */
  out: string;
  /** Reasons to doubt the result, a line each: what was seen, and what to try. */
  notes: string[];
  /** Null without `--replicates`, and if they were not completed. */
  replicates: Replicates | null;
}

/** The same run on other halves of the sample: how much its result depends on which rows were drawn. */
export interface Replicates {
  /** Number of replicates. */
  count: number;
  /** The least and the largest number of clusters that they found. */
  k: [least: number, largest: number];
  /** The number of clusters that each found. */
  ks: number[];
  /** Mean adjusted Rand index of the labels of two replicates, at most 1, which means the same clusters. */
  agreement: number;
}

/** Such as `8 replicates: 10–11, agreement .97`. */
export function replicatesText({ count, k: [least, largest], agreement }: Replicates): string {
  const range = least === largest ? String(least) : `${least}–${largest}`;
  return `${count} replicates: ${range}, agreement ${agreement.toFixed(2).replace(/^0/, '')}`;
}
