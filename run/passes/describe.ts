import { contrastsOf } from '../../model/description/contrast.ts';
import { type Centres, nearestClusters } from '../../model/description/distances.ts';
import type { TellingColumn } from '../../model/description/names.ts';
import { type Name, nameClusters } from '../../model/description/names.ts';
import {
  type ColumnSample,
  namesOf,
  tellingColumns,
  type Variable,
} from '../../model/description/telling-columns.ts';
import { componentsOf, type Groups, totalsByCluster } from '../../model/gaussian/components.ts';
import type { FullPassResult } from '../descriptions.ts';
import { LIST_ITEM } from '../named-columns.ts';
import type { ClusterDescription, ClusterEvidence, SavedClusters } from '../saved-clusters.ts';
import type { SavedTree } from '../tree.ts';
import { type DescribedTexts, short, textsOfNode } from './describe-texts.ts';

/** `clusters.json`: what is said of each cluster. */

/** What is said of a cluster, at most. */
const [MOST_NEAREST, MOST_COLUMNS] = [5, 10];

export interface DescriptionInput {
  /** Clusters that have rows. */
  k: number;
  rows: number;
  labelled: Pick<FullPassResult, 'counts' | 'T' | 'columns' | 'shown'>;
  /** Of the components; `groups`: the clusters of these, where some have several. */
  centres: Centres;
  groups: Groups | null;
  tree: SavedTree | null;
  /** Names of the columns; null where they have none. */
  names: readonly string[] | null;
  /** Does a single column mean something? Not one of latent vectors, nor a pixel. */
  areMeant: boolean;
  /** What names the rows that are shown. */
  ids: ReadonlyMap<number, string>;
  texts: DescribedTexts | null;
  /** What clusters, and then joins of the tree, are called. */
  called: readonly (Name | null)[];
  /** The columns that tell each of the clusters from all others; null where they have no names. */
  telling: readonly (readonly TellingColumn[])[] | null;
  /** Of an update: the ids of the clusters. */
  clusterIds: readonly number[] | null;
}

export interface NamingInput {
  texts: DescribedTexts | null;
  variables: readonly Variable[];
  sample: ColumnSample | null;
  joins: SavedTree['joins'];
  /** Of the clusters. */
  labels: readonly number[];
  /** Names that clusters had in the run before, by their labels. */
  before: ReadonlyMap<number, Name>;
}

/** Names of clusters, then of the joins of the tree that anything sets apart: words of their texts, else columns; and the columns that tell clusters. */
export function namesOfClusters({
  texts,
  variables,
  sample,
  joins,
  labels,
  before,
}: NamingInput): Pick<DescriptionInput, 'called' | 'telling'> {
  const telling = sample && variables.length ? tellingColumns(variables, sample, joins) : null;
  const candidates = Array.from({ length: labels.length + joins.length }, (_, node): Name[] => [
    ...(texts?.nodes[node].names ?? []).map((name) => ({ name, namedBy: 'words' as const })),
    ...(telling ? namesOf(telling[node]) : []).map((name) => ({ name, namedBy: 'columns' as const })),
  ]);
  const kept = labels.map((label) => before.get(label) ?? null);
  return {
    called: nameClusters(candidates, labels, kept),
    telling: telling?.slice(0, labels.length) ?? null,
  };
}

/** `clusters.json`. All numbers are functions of the data, config and seed. */
export function describeClusters(input: DescriptionInput): SavedClusters {
  const {
    k,
    rows,
    labelled,
    centres,
    groups,
    tree,
    names,
    areMeant,
    ids,
    texts,
    called,
    telling,
    clusterIds,
  } = input;
  const members = componentsOf(centres.k, groups);
  const { counts, T, columns, shown } = labelled;
  const inner = totalsByCluster(
    T.map(([rows]) => rows),
    groups,
  );
  const isMeant = (column: number) => !names || !LIST_ITEM.test(names[column]);
  const apart = areMeant
    ? contrastsOf(inner.slice(0, k), columns.sums.slice(0, k), columns.squares, MOST_COLUMNS, isMeant)
    : null;
  const named = (row: number) => {
    const id = ids.get(row);
    return id === undefined ? { row } : { row, id };
  };
  const wordsOfNode = (node: number) => texts && textsOfNode(texts.nodes[node]);
  const clusters = counts.slice(0, k).map(
    (size, cluster): ClusterDescription => ({
      cluster,
      ...(clusterIds && { id: clusterIds[cluster] }),
      ...called[cluster],
      ...{ size, share: size / rows },
      exemplars: shown.exemplars[cluster].map(({ row, distance }) => ({
        ...named(row),
        distance: short(distance),
      })),
      border: shown.border[cluster].map(({ row, rival, margin }) => ({
        ...named(row),
        other: rival,
        margin: short(margin),
      })),
      nearest: nearestClusters(centres, members, cluster, k, MOST_NEAREST).map(
        ({ cluster: other, distance }) => ({
          cluster: other,
          distance: short(distance),
        }),
      ),
      apart: (apart?.[cluster] ?? []).map(({ column, difference, mean, rest }) => ({
        column: column + 1,
        ...(names && { name: names[column] }),
        difference: short(difference),
        mean: short(mean),
        rest: short(rest),
      })),
      ...(telling && {
        telling: telling[cluster].map(({ own, others, ...about }) => ({
          ...about,
          own: short(own),
          others: short(others),
        })),
      }),
      evidence: tree && evidenceOf(cluster, tree),
      ...wordsOfNode(cluster),
    }),
  );
  const joins = called.slice(k).flatMap((name, i) => {
    const texts = wordsOfNode(k + i);
    return name || texts ? [{ join: k + i, ...name, ...texts }] : [];
  });
  return {
    measure: tree?.measure ?? null,
    clusters,
    ...(tree && { joins }),
    ...(texts && { wordsError: texts.error }),
  };
}

function evidenceOf(cluster: number, { clusters: k, joins, next = [] }: SavedTree): ClusterEvidence {
  const join = joins.find(({ a, b }) => a === cluster || b === cluster);
  const split = next.find((entry) => entry.cluster === cluster);
  const leaves = (node: number): number[] =>
    node < k ? [node] : [joins[node - k].a, joins[node - k].b].flatMap(leaves);
  const other = join && (join.a === cluster ? join.b : join.a);
  return {
    join: join ? { clusters: leaves(other!).sort((a, b) => a - b), height: join.height } : null,
    split: split ? { sizes: split.sizes, height: split.height } : null,
  };
}
