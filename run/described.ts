import type { TellingColumn } from '../model/description/names.ts';

/** What clusters.json tells of clusters, as pages and exports read it. */

/** A row that is shown for a cluster. */
export interface NamedRow {
  row: number;
  /** What names it in the data. */
  id?: string;
}

/** A cluster: which rows are typical of it, which are doubtful, and what sets it apart. `id`: its label, where that is not its number. */
export interface ClusterDetails {
  cluster: number;
  id?: number;
  size: number;
  share: number;
  /** The rows nearest to its centre. */
  exemplars: NamedRow[];
  /** The rows that are nearest to another cluster. */
  border: (NamedRow & { other: number })[];
  /** Columns in which it differs from all other rows: the means in it and in these, and by how many standard deviations. */
  apart: { column: number; name?: string; difference: number; mean: number; rest: number }[];
  /** The columns of its name, and more: medians, or shares of rows, in it and elsewhere. */
  telling?: TellingColumn[];
  /** What it is called, and by what it has that name: `number` where nothing tells it apart. */
  name?: string;
  namedBy?: string;
  words?: { word: string }[];
  texts?: string[];
  /** What the tree of merges says of it. */
  evidence: {
    join: { clusters: number[]; height: number } | null;
    split: { sizes: readonly number[]; height: number } | null;
  } | null;
}

/** `GET /api/clusters`, once a run is done. */
export interface Described {
  /** In their order. */
  clusters: readonly ClusterDetails[];
  /** What heights in the tree are; null without a tree. */
  measure: string | null;
  /** What joins of the tree are called: K + j is join j. */
  joins?: readonly { join: number; name?: string }[];
}

/** What a cluster is called beside its number; empty where that is all. */
export const nameText = (details: ClusterDetails | undefined): string =>
  details?.namedBy === 'number' ? '' : (details?.name ?? '');

/** What clusters and joins of the tree are called, by their nodes; empty where that is not known. */
export function nodeNames({ clusters, joins = [] }: Described): (node: number) => string {
  const ofJoins = new Map(joins.map(({ join, name = '' }) => [join, name]));
  return (node) => nameText(clusters[node]) || (ofJoins.get(node) ?? '');
}

/** Descriptions with labels in place of the numbers of clusters. */
export function byLabels({ clusters, ...about }: Described): Described {
  const labelOf = (cluster: number) => clusters[cluster]?.id ?? cluster;
  return {
    ...about,
    clusters: clusters.map(({ cluster, border, evidence, ...rest }) => ({
      ...rest,
      cluster: labelOf(cluster),
      border: border.map((row) => ({ ...row, other: labelOf(row.other) })),
      evidence: evidence && {
        ...evidence,
        join: evidence.join && { ...evidence.join, clusters: evidence.join.clusters.map(labelOf) },
      },
    })),
  };
}
