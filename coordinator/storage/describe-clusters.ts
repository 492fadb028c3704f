import { mapInSlices, yieldToEventLoop } from '../../base/slices.ts';
import { rowSlices } from '../../data/saved/row-files.ts';
import type {
  ClusterDescription,
  ClusterEvidence,
  SavedClusters,
  SavedTree,
} from '../../data/saved/saved-clusters.ts';
import { type RowTexts, stopWordsOf, wordsOf } from '../../data/texts.ts';
import type { Centres } from '../../model/description/centres.ts';
import { contrastsOf } from '../../model/description/contrast.ts';
import { nearestCentres } from '../../model/description/nearest.ts';
import { type TellingWord, wordCounter } from '../../model/description/telling-words.ts';
import { priority, type Seed } from '../../model/random.ts';
import type { FullPassResult } from '../training/full-pass.ts';

/** What is said of a cluster, at most. */
const [MOST_NEAREST, MOST_COLUMNS, MOST_WORDS, MOST_TEXTS] = [5, 10, 10, 3];
const TEXT_CHARACTERS = 300;
/** Texts in which words are counted: about so many in all, but at least so many of each cluster. */
const [COUNTED_TEXTS, LEAST_TEXTS] = [20_000, 100];

/** A number of a list, as an embedding is one: it means nothing by itself. */
const LIST_ITEM = /\[\d+\]$/;

export interface DescriptionInput {
  /** Clusters that have rows. */
  k: number;
  rows: number;
  labelled: FullPassResult;
  centres: Centres;
  tree: SavedTree | null;
  /** Of the columns; null where they have none. */
  names: readonly string[] | null;
  /** Does a single column mean something? Not one of an encoder's codes, nor a pixel. */
  areMeant: boolean;
  /** What names the rows that are shown. */
  ids: ReadonlyMap<number, string>;
  texts: ClusterTexts | null;
}

/** `clusters.json`. All numbers are functions of the data, config and seed. */
export async function describeClusters(input: DescriptionInput): Promise<SavedClusters> {
  const { k, rows, labelled, centres, tree, names, areMeant, ids, texts } = input;
  const { counts, T, columns, shown } = labelled;
  const inner = T.slice(0, k).map(([own]) => own);
  const isMeant = (column: number) => !names || !LIST_ITEM.test(names[column]);
  const apart = areMeant
    ? contrastsOf(inner, columns.sums.slice(0, k), columns.squares, MOST_COLUMNS, isMeant)
    : null;
  const named = (row: number) => {
    const id = ids.get(row);
    return id === undefined ? { row } : { row, id };
  };
  const clusters = await mapInSlices(
    counts.slice(0, k),
    (size, cluster): ClusterDescription => ({
      ...{ cluster, size, share: size / rows },
      exemplars: shown.exemplars[cluster].map(({ row, distance }) => ({
        ...named(row),
        distance: short(distance),
      })),
      border: shown.border[cluster].map(({ row, rival, margin }) => ({
        ...named(row),
        other: rival,
        margin: short(margin),
      })),
      nearest: nearestCentres(centres, cluster, k, MOST_NEAREST).map(({ cluster: other, distance }) => ({
        cluster: other,
        distance: short(distance),
      })),
      apart: (apart?.[cluster] ?? []).map(({ column, difference, mean, rest }) => ({
        column: column + 1,
        ...(names && { name: names[column] }),
        difference: short(difference),
        mean: short(mean),
        rest: short(rest),
      })),
      evidence: tree && evidenceOf(cluster, tree),
      ...(texts && {
        words: texts.words[cluster].map(({ word, weight }) => ({ word, weight: short(weight) })),
        texts: texts.exemplars[cluster],
      }),
    }),
  );
  return { measure: tree?.measure ?? null, clusters };
}

/** To the digits that float32 has. */
const short = (value: number) => Number(value.toPrecision(7));

/** The rows that are shown, of all clusters. */
export const shownRows = ({ shown: { exemplars, border } }: FullPassResult): Set<number> =>
  new Set([...exemplars, ...border].flat().map(({ row }) => row));

function evidenceOf(cluster: number, { clusters: k, joins, next = [] }: SavedTree): ClusterEvidence {
  const join = joins.find(({ a, b }) => a === cluster || b === cluster);
  const split = next.find((own) => own.cluster === cluster);
  const leaves = (node: number): number[] =>
    node < k ? [node] : [joins[node - k].a, joins[node - k].b].flatMap(leaves);
  const other = join && (join.a === cluster ? join.b : join.a);
  return {
    join: join ? { clusters: leaves(other!).sort((a, b) => a - b), height: join.height } : null,
    split: split ? { sizes: split.sizes, height: split.height } : null,
  };
}

/** By cluster. */
export interface ClusterTexts {
  words: TellingWord[][];
  exemplars: string[][];
}

/** Reads all texts once: those of exemplars, and the words of a sample that has some of each cluster. */
export async function clusterTexts(
  run: string,
  rows: number,
  { counts, shown }: FullPassResult,
  k: number,
  seed: Seed,
  texts: RowTexts,
): Promise<ClusterTexts> {
  const counter = wordCounter(k);
  const priorityOf = priority(seed);
  const each = Math.max(LEAST_TEXTS, COUNTED_TEXTS / k);
  const wanted = new Set(shown.exemplars.flat().map(({ row }) => row));
  const kept = new Map<number, string>();
  try {
    for await (const { start, labels } of rowSlices(run, rows, false))
      for (const [i, text] of (await texts.next(labels.length)).entries()) {
        if (wanted.has(start + i)) kept.set(start + i, shortened(text));
        if (!(priorityOf(start + i) < each / counts[labels[i]])) continue;
        counter.add(labels[i], wordsOf(text));
        await yieldToEventLoop();
      }
    await texts.end();
  } finally {
    await texts.close();
  }
  return {
    words: counter.telling(MOST_WORDS, stopWordsOf),
    exemplars: shown.exemplars
      .slice(0, k)
      .map((own) => [...new Set(own.map(({ row }) => kept.get(row)!))].slice(0, MOST_TEXTS)),
  };
}

function shortened(text: string): string {
  const trimmed = text.trim();
  if (trimmed.length <= TEXT_CHARACTERS) return trimmed;
  return `${trimmed.slice(0, TEXT_CHARACTERS).replace(/[\ud800-\udbff]$/, '')}…`;
}
