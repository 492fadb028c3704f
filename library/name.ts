import { join } from 'node:path';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import type { NamedNode } from '../model/description/naming-prompt.ts';
import { counted } from '../page/drawing/text.ts';
import { type Endpoint, endpointAt, NAMING_LOG, namesByModel } from '../passes/naming.ts';
import { readFinishedRun } from '../run/run-file.ts';
import { assertNoLink } from '../run/run-path.ts';
import {
  CLUSTERS,
  type ClusterDescription,
  type JoinDescription,
  readSavedClusters,
  type SavedClusters,
} from '../run/saved-clusters.ts';
import { readSavedTree, type SavedTree } from '../run/saved-tree.ts';
import { assertOptions, fixedPaths } from './arguments.ts';
import { redrawn, rewriteNames } from './rename.ts';

/** Options of `nameClusters`. */
export interface NameOptions {
  /** The directory of a finished run. */
  run: string;
  /** The base address of an endpoint like OpenAI's, such as `http://localhost:11434/v1` (Ollama); its key is `OPENAI_API_KEY` of the environment. */
  nameWith: string;
  /** The model that is asked. */
  nameModel: string;
  /** Called with texts on how far it is. */
  status?: (text: string) => void;
  /** Ends it early: names so far are kept. */
  signal?: AbortSignal;
}

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
 * Asks a language model for the names of the clusters of a finished run, and of the joins of its tree. It gets their keywords, typical texts,
 * columns that set them apart, and the names of those beside them; what is sent is kept in `names.jsonl` of the run. Clusters
 * without a usable answer keep their names.
 *
 * @throws {UserError} (rejection) if the run is not finished or in use, or the address is none
 */
export async function nameClusters(options: NameOptions): Promise<NamedClusters> {
  const kinds = {
    run: 'string',
    nameWith: 'string',
    nameModel: 'string',
    status: 'function',
    signal: 'signal',
  } as const;
  assertOptions('nameClusters', options, kinds, ['run', 'nameWith', 'nameModel']);
  const { nameWith, nameModel, status, signal } = options;
  const endpoint = endpointOf(nameWith, nameModel);
  const paths = fixedPaths();
  const run = paths.fix(options.run);
  return paths.naming(() => namedByModel(run, endpoint, { status, signal }));
}

/** Such as `12 of 19 names by the model, 14 questions (2 known from before), 3,210 tokens`. */
export function namesText({ named, of, asked, cached, tokens }: NamedClusters): string {
  const known = cached ? ` (${cached} known from before)` : '';
  return `${named} of ${of} names by the model, ${counted(asked + cached, 'question')}${known}, ${counted(tokens, 'token')}`;
}

/** The model that is asked and where; null: none is. UserError for one without the other. */
export function givenModel({
  nameWith,
  nameModel,
}: Partial<Pick<NameOptions, 'nameWith' | 'nameModel'>>): Pick<NameOptions, 'nameWith' | 'nameModel'> | null {
  if (nameWith === undefined && nameModel === undefined) return null;
  if (nameWith === undefined)
    throw new UserError('--name-model needs --name-with, the address that it is asked at');
  if (nameModel === undefined)
    throw new UserError('--name-with needs --name-model, such as --name-model llama3.2');
  return { nameWith, nameModel };
}

/** With the key of the environment. UserError if the address is none. */
export const endpointOf = (nameWith: string, nameModel: string): Endpoint =>
  endpointAt(nameWith, nameModel, process.env.OPENAI_API_KEY || null);

/** The same for an absolute path. */
export async function namedByModel(
  run: string,
  endpoint: Endpoint,
  { status, signal }: Pick<NameOptions, 'status' | 'signal'>,
): Promise<NamedClusters> {
  const { saved, tree } = readFinishedRun(run, dpmeshVersion(), ({ files }) => ({
    saved: readSavedClusters(files),
    tree: readSavedTree(files),
  }));
  if (!saved)
    throw new UserError(`${run} has no ${CLUSTERS}, as an earlier version wrote it: repeat the run`);
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
    await rewriteNames(run, (now) => {
      const own = nodesOf(now, tree);
      for (const [node, name] of names)
        if (own[node].namedBy !== 'hand') Object.assign(own[node], { name, namedBy: 'model' });
      now.joins = own
        .slice(now.clusters.length)
        .filter((join): join is JoinDescription => 'join' in join && hasContent(join));
    });
    notes.push(...(await redrawn(run)));
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
