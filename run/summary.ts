import type { Decision, EvidenceForK } from '../model/gaussian/evidence-for-k.ts';

/** Scores of a clustering. The first three compare it with the true classes and are null without them. */
export interface Scores {
  /** Normalized mutual information (arithmetic mean of the entropies), 0 to 1. */
  nmi: number | null;
  /** Adjusted Rand index, at most 1. */
  ari: number | null;
  /**
   * Clustering accuracy, 0 to 1: the fraction of rows whose cluster matches their class, under the best one-to-one
   * matching.
   */
  acc: number | null;
  /** Mean silhouette coefficient of a sample of the rows, −1 to 1; null if it is not defined, as with a single cluster. */
  silhouette: number | null;
}

/** The result of a run, as `--json` prints it and `run.json` has it. */
export interface Summary extends Scores {
  /** Clusters that have rows. */
  k: number;
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
  /** Rows that are in no cluster, with `--noise`. */
  noise: number;
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
  /** What each clustering of an encoder's latent vectors found; missing without `--alternations`. */
  alternations?: Alternation[];
  /** Null without the graph likelihood, and where partitions of no resolution agree, so that K is 1. */
  stability: Stability | null;
  /** How nearly K would be another; null with the graph likelihood (`stability` says it) and where `--clusters` has decided. */
  evidence: EvidenceForK | null;
}

/** A clustering of an encoder's latent vectors, after which the encoder learned from its clusters, but for the last one. */
export interface Alternation {
  /** Clusters that have rows. */
  k: number;
  /** Adjusted Rand index of the labels and those of the clustering before; null for the first one. */
  agreement: number | null;
}

/** Partitions of random shares of the sample at the resolution of a run with the graph likelihood: how much its clusters depend on chance. */
export interface Stability {
  /** Number of partitions. */
  count: number;
  /** The least and the largest number of clusters in them. */
  k: [least: number, largest: number];
  /** Mean adjusted Rand index of two partitions on the rows that they share, at most 1, which means the same clusters. */
  agreement: number;
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
  /**
   * For each cluster how well it came back, 0 to 1: the mean of the largest Jaccard coefficients of its rows and those of a replicate's
   * cluster; null without rows in the sample.
   */
  clusters: (number | null)[];
}

/** What is known of how sure K is: `12 partitions of other samples: K 15–19, agreement .86; 8 replicates: 17, agreement .97`. */
export function certaintyText(of: Partial<Pick<Summary, 'replicates' | 'stability'>>): string {
  const { replicates, stability } = of;
  return [
    ...(stability ? [agreementText(`${stability.count} partitions of other samples: K `, stability)] : []),
    ...(replicates ? [agreementText(`${replicates.count} replicates: `, replicates)] : []),
  ].join('; ');
}

/** Such as `split of cluster 2: 5.2 nats short (no valley); last merge: 12.1 nats to spare`. Empty: nothing is known. */
export function evidenceText(evidence: EvidenceForK | null | undefined): string {
  const { split, merge } = evidence ?? {};
  return [
    ...(split?.refused ? [decisionText(splitText(split.refused), split.refused)] : []),
    ...(merge?.refused ? [decisionText(mergeText(merge.refused), merge.refused)] : []),
    ...(split?.accepted ? [decisionText('last split', split.accepted)] : []),
    ...(merge?.accepted ? [decisionText('last merge', merge.accepted)] : []),
  ].join('; ');
}

/** Such as `last split: 5.2 nats to spare (its parts overlap)`. */
export const decisionText = (what: string, { nats, needed, reason }: Decision): string =>
  `${what}: ${Math.abs(nats - needed).toFixed(1)} nats ${nats > needed ? 'to spare' : 'short'}${reason ? ` (${reason})` : ''}`;

export const splitText = ({ clusters, sizes }: Decision) =>
  `split of cluster ${clusters![0]}${sizes.length > 2 ? ` in ${sizes.length}` : ''}`;
export const mergeText = ({ clusters }: Decision) =>
  `merge of clusters ${clusters!.toSorted((a, b) => a - b).join(' and ')}`;

/** Of how many clusters `cameBackText` tells. */
const MOST_TOLD = 8;

/** The clusters that came back least in replicates, such as `cluster 5 .42, 3 .91`; null without replicates. */
export function cameBackText(replicates: Replicates | null): string | null {
  const known = (replicates?.clusters ?? []).flatMap((value, cluster) =>
    value === null ? [] : [{ value, cluster }],
  );
  const least = known.toSorted((a, b) => a.value - b.value).slice(0, MOST_TOLD);
  const told = least.map(({ value, cluster }) => `${cluster} ${short(value)}`);
  return told.length
    ? `cluster ${told.join(', ')}${known.length > MOST_TOLD ? '; the others more' : ''}`
    : null;
}

/** Such as `K 13, 11, 11; agreement .88, .97`. */
export function alternationsText(alternations: readonly Alternation[]): string {
  const agreements = alternations.flatMap(({ agreement }) => (agreement === null ? [] : [short(agreement)]));
  const found = `K ${alternations.map(({ k }) => k).join(', ')}`;
  return agreements.length ? `${found}; agreement ${agreements.join(', ')}` : found;
}

const short = (value: number) => value.toFixed(2).replace(/^0/, '');

function agreementText(what: string, { k: [least, largest], agreement }: Stability): string {
  const range = least === largest ? String(least) : `${least}–${largest}`;
  return `${what}${range}, agreement ${short(agreement)}`;
}
