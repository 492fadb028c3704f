import { join } from 'node:path';
import type { NamedNode } from '../../model/description/naming-prompt.ts';
import { identityOf } from '../base-run.ts';
import { readFinishedRun } from '../run-file.ts';
import { assertNoLink } from '../run-path.ts';
import {
  type ClusterDescription,
  type JoinDescription,
  readSavedClusters,
  type SavedClusters,
} from '../saved-clusters.ts';
import { readSavedTree } from '../saved-tree.ts';
import type { SavedTree } from '../tree.ts';
import { type Endpoint, NAMING_LOG, namesByModel } from './naming.ts';
import { rewriteNames } from './rename.ts';

/** Names by a language model, for the clusters of a finished run and the joins of its tree. */

/** What `nameClusters` did. */
export interface NamedClusters {
  /** Clusters and joins that got a name from the model. */
  readonly named: number;
  /** Those that could have got one; names that people gave stay. */
  readonly of: number;
  /** Questions that were sent, and those whose answer was known from before. */
  readonly asked: number;
  readonly cached: number;
  /** Tokens of questions and answers, as the endpoint counts them. */
  readonly tokens: number;
  /** What went wrong, or was left as it was and why, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Asks the model for the names of clusters and joins, but those that people gave, and writes them. UserError if the run is not finished or in use, or
 * has been replaced meanwhile.
 *
 * @param run an absolute path
 */
export async function namesFromModel(
  run: string,
  endpoint: Endpoint,
  { status, signal }: { status?: (text: string) => void; signal?: AbortSignal },
): Promise<NamedClusters> {
  const { identity, saved, tree } = readFinishedRun(run, ({ about, files }) => ({
    identity: identityOf(about),
    saved: readSavedClusters(files),
    tree: readSavedTree(files),
  }));
  const log = join(run, NAMING_LOG);
  assertNoLink(log);
  const nodes = nodesOf(saved, tree);
  const wanted = [...nodes.keys()].filter((node) => nodes[node].namedBy !== 'hand');
  const { names, problem, ...counts } = await namesByModel(
    endpoint,
    {
      clusters: saved.clusters.length,
      joins: tree?.joins ?? [],
      skip: (node) => nodes[node].namedBy === 'hand',
      before: new Map(nodes.flatMap(({ name }, node) => (name === undefined ? [] : [[node, name]]))),
      node: (node, found) =>
        factsOf(nodes, tree, node, (other) => found.get(other) ?? nodes[other].name ?? null),
    },
    {
      log,
      signal,
      progress: (done, all) => status?.(`names: ${done} of ${all}`),
    },
  );
  const notes = problem === null ? [] : [`${problem}; the other clusters keep their names`];
  if (names.size) {
    await rewriteNames(
      run,
      (now) => {
        const own = nodesOf(now, tree);
        for (const [node, name] of names)
          if (own[node].namedBy !== 'hand') Object.assign(own[node], { name, namedBy: 'model' });
        now.joins = own
          .slice(now.clusters.length)
          .filter((join): join is JoinDescription => 'join' in join && hasContent(join));
      },
      identity,
    );
  }
  return { named: names.size, of: wanted.length, ...counts, notes };
}

type Node = ClusterDescription | JoinDescription;

const hasContent = ({ name, words }: JoinDescription) => name !== undefined || words !== undefined;

/** What is said of clusters, then of all joins of the tree. */
export function nodesOf({ clusters, joins = [] }: SavedClusters, tree: SavedTree | null): Node[] {
  const byNumber = new Map(joins.map((own) => [own.join, own]));
  const ofJoins = (tree?.joins ?? []).map((_, j): JoinDescription => {
    const join = clusters.length + j;
    return byNumber.get(join) ?? { join };
  });
  return [...clusters, ...ofJoins];
}

/** Columns of a node that are said, and names beside it. */
const [MOST_COLUMNS, MOST_SIBLINGS] = [5, 4];

function factsOf(
  nodes: readonly Node[],
  tree: SavedTree | null,
  node: number,
  nameOf: (node: number) => string | null,
): NamedNode {
  const own = nodes[node];
  const k = nodes.length - (tree?.joins.length ?? 0);
  const join = node < k ? null : tree!.joins[node - k];
  const above = tree?.joins.find(({ a, b }) => a === node || b === node);
  const rows = tree?.sizes.reduce((a, b) => a + b, 0) ?? 1;
  const names = (others: readonly number[]) => others.flatMap((other) => nameOf(other) ?? []);
  const beside = [
    ...(above ? [above.a === node ? above.b : above.a] : []),
    ...('nearest' in own ? own.nearest.map(({ cluster }) => cluster) : []),
  ];
  const apart = 'apart' in own ? own.apart : [];
  return {
    share: 'share' in own ? own.share : join!.size / rows,
    keywords: own.words?.map(({ word }) => word) ?? [],
    texts: own.texts ?? [],
    columns: [
      ...(own.namedBy === 'columns' ? [own.name!] : []),
      ...apart
        .filter(({ name }) => name !== undefined)
        .slice(0, MOST_COLUMNS)
        .map(({ name, mean, rest }) => `${name} ${mean.toPrecision(3)} (others ${rest.toPrecision(3)})`),
    ],
    children: join ? names([join.a, join.b]) : [],
    siblings: names([...new Set(beside)].slice(0, MOST_SIBLINGS)),
  };
}
