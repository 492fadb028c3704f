import { join } from 'node:path';
import * as z from 'zod/mini';
import { UserError } from '../../base/user-error.ts';
import { cutAt, type NextSplit } from '../../model/hierarchy/dendrogram.ts';
import { checked, numberOfLabel, type RunFiles } from '../run-files.ts';
import { readSavedClusters, type SavedClusters } from '../saved-clusters.ts';
import { readSavedTree } from '../saved-tree.ts';
import { TREE } from '../tree.ts';

/** The clusters of a finished run joined to fewer, by its tree of merges. */

/** A cluster of a cut. */
export interface JoinedCluster {
  /** Number of rows. */
  readonly rows: number;
  /** The labels of the clusters of the run that it was joined from, ascending. */
  readonly from: readonly number[];
  /** The height in the tree of the last of these joins (docs/run-directory.md); null for a cluster that is one of the run. */
  readonly height: number | null;
  /** What it is called; absent where nothing sets it apart. */
  readonly name?: string;
  /** In runs with texts: its most telling words. */
  readonly words?: readonly string[];
  /** In runs with texts: typical ones. */
  readonly texts?: readonly string[];
}

/** What is to be known of a run beside its files. */
export interface RunToCut {
  files: RunFiles;
  /** Of its clusters and rows. */
  k: number;
  rows: number;
  /** The labels of its clusters; null or undefined: their numbers. */
  ids?: readonly number[] | null;
  /** The option; null: its default. */
  coarsening: number | null;
}

const count = z.int().check(z.nonnegative());
const about = z.object({
  data: z.object({ rows: count }),
  config: z.object({ coarsening: z._default(z.nullable(z.number()), null) }),
  result: z.object({ k: count }),
});

/** The same of the files of a run whose model has been read. UserError if run.json is damaged. */
export function toCut(files: RunFiles, ids: readonly number[] | null): RunToCut {
  const { data, config, result } = checked(files, 'run.json', about);
  return { files, ids, k: result.k, rows: data.rows, coarsening: config.coarsening };
}

/** The rows that count in full by default, at least (docs/algorithm.md, section 1). */
const FULLY_COUNTED = 10_000;

export type RunCut = ReturnType<typeof cutOf>;

/** The cut of a finished run of `k` clusters and `rows` rows at so many clusters, from 1 on. UserError where there is none. */
export function cutOf({ files, k: found, rows, ids, coarsening }: RunToCut, clusters: number) {
  const { run } = files;
  const tree = readSavedTree(files);
  if (!tree)
    throw new UserError(
      `${run} has no ${TREE}, as its clusters are too flat; to repeat the run: dpmesh train --config ${join(run, 'run.json')} --out ELSEWHERE`,
    );
  if (tree.clusters !== found) throw files.damaged(TREE, `it is of ${tree.clusters} clusters`);
  const { clusters: k, likelihood } = tree;
  const labelOf = (cluster: number) => ids?.[cluster] ?? cluster;
  const next = tree.next.map((split) => ({ ...split, cluster: labelOf(split.cluster) }));
  if (clusters > k) {
    const below = next.length ? `; ${nextSplitText(next[0])}` : '';
    // Only where the statistics of all rows favour the split, and not all of them counted in full, do more rows help.
    const favoured = next.length > 0 && next[0].height > 0;
    const counted = coarsening === 0 || rows <= (coarsening ?? FULLY_COUNTED);
    const gaussian =
      favoured && !counted
        ? '--coarsening 0 --sample 0, so that all rows count in full'
        : `--likelihood graph --clusters ${clusters}, as the evidence of Gaussians supports no more`;
    const how = likelihood === 'graph' ? `--clusters ${clusters}` : gaussian;
    throw new UserError(
      `--clusters ${clusters}: ${run} has K = ${k}, where its tree ends${below}; for more clusters, train with ${how}`,
    );
  }
  const { groups, place } = cutAt(tree, clusters);
  // A pickled estimator has only the files that labels need.
  const described = readSavedClusters(files);
  return {
    ...{ files, rows, k, next, place, numberOf: numberOfLabel(ids ?? undefined) },
    groups: groups.map(
      ({ node, from, ...group }): JoinedCluster => ({
        ...group,
        from: from.map(labelOf).sort((a, b) => a - b),
        ...descriptionOf(node, described),
      }),
    ),
  };
}

/** What `clusters.json` says of a node of the tree. Its number in the run is no name: here clusters have others. */
function descriptionOf(node: number, described: SavedClusters | null) {
  const own = described?.clusters[node] ?? described?.joins?.find(({ join }) => join === node);
  return {
    ...(own?.name !== undefined && own.namedBy !== 'number' && { name: own.name }),
    ...(own?.words && { words: own.words.map(({ word }) => word), texts: own.texts }),
  };
}

/** Says which cluster would split next. Only evidence may be against that. */
export function nextSplitText({ cluster, sizes, height }: NextSplit): string {
  const [one, other] = sizes.map((rows) => rows.toLocaleString('en'));
  const but = height < 0 ? ', against the evidence' : '';
  return `cluster ${cluster} would split next, into about ${one} and ${other} rows${but}`;
}
