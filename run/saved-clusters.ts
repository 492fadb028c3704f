import * as z from 'zod/mini';
import { list, record } from '../base/schema.ts';
import type { TellingColumn } from '../model/description/names.ts';
import { NAMED_BY, type Name, type NamedBy } from '../model/description/names.ts';
import type { PastUpdate } from '../model/stream/findings.ts';
import { ALARMS, type Alarm, type Drift, type Lineage } from '../model/stream/findings.ts';
import { checked, type RunFiles, readable } from './run-files.ts';

/** `clusters.json` of a run directory: what its clusters are. */

/** The name of the file in a run directory. */
export const CLUSTERS = 'clusters.json';

/** A row that is shown for a cluster. */
export interface ShownRow {
  /** From 0. */
  row: number;
  /** What names it: the value of the column `id`, or the path of its image; absent without either. */
  id?: string;
}

/** A row near the centre of its cluster. */
export interface ExemplarRow extends ShownRow {
  /** The Mahalanobis distance from the centre. */
  distance: number;
}

/** A row that could as well be in another cluster. */
export interface BorderRow extends ShownRow {
  /** That cluster. */
  other: number;
  /** How much larger the responsibility of its own cluster is. */
  margin: number;
}

/** A column in which a cluster differs from all other rows. */
export interface ApartColumn {
  /** Its number, from 1. */
  column: number;
  /** Its name; absent where columns have none. */
  name?: string;
  /** The mean of the cluster's rows less that of all others, in standard deviations of all rows. */
  difference: number;
  /** The mean of the cluster's rows. */
  mean: number;
  /** The mean of all other rows. */
  rest: number;
}

/** What `tree.json` says of a cluster. */
export interface ClusterEvidence {
  /** The first join in which it takes part: the clusters that it joins, and the height of that. */
  join: { clusters: number[]; height: number } | null;
  /** Into parts of how many rows it would split next, and the height of that. */
  split: { sizes: readonly [number, number]; height: number } | null;
}

/** What a cluster is. */
export interface ClusterDescription {
  /** Its number. */
  cluster: number;
  /** Of an update: its label, which lasts through updates. Of other runs that is its number. */
  id?: number;
  /** What it is called, as no other cluster or join; absent where its texts have no words. */
  name?: string;
  /** By what it has its name: words of its texts, columns that set it apart, its number where nothing does, or `dpmesh rename`. */
  namedBy?: NamedBy;
  /** Number of rows. */
  size: number;
  /** Share of all rows. */
  share: number;
  /** The rows nearest to its centre, up to 10, the nearest first. */
  exemplars: ExemplarRow[];
  /** The rows that are nearest to another cluster, up to 10, by responsibilities. */
  border: BorderRow[];
  /**
   * The clusters whose centres are nearest, up to 5: their Mahalanobis distances from its own centre, by its own covariance, as
   * those of rows.
   */
  nearest: { cluster: number; distance: number }[];
  /**
   * The columns in which it differs most from all other rows, up to 10; empty for images and with an encoder, as a pixel or a column of
   * codes means nothing by itself, and for a single cluster. Numbers of lists, as embeddings are, are left out.
   */
  apart: ApartColumn[];
  /** Of a table with named columns: those that tell it from all others by ranks and shares, up to 5, of which it has its name; the most telling one first. */
  telling?: TellingColumn[];
  /** How it hangs together and apart by the tree of merges; null where there is no tree. */
  evidence: ClusterEvidence | null;
  /** Of rows with texts: its most telling words and pairs of words, up to 10, by class-based tf-idf. */
  words?: { word: string; weight: number }[];
  /** Of rows with texts: up to three texts of exemplars that are unlike each other, up to 300 characters of each. */
  texts?: string[];
}

/** What is said of a join of the tree. */
export interface JoinDescription extends Partial<Name>, Pick<ClusterDescription, 'words' | 'texts'> {
  /** K and its place in `tree.json`. */
  join: number;
}

/** The file. */
export interface SavedClusters {
  /** What heights in `evidence` are, for people; null where there is no tree. */
  measure: string | null;
  clusters: ClusterDescription[];
  /** Joins of the tree that have a name, or words; absent where there is no tree. */
  joins?: JoinDescription[];
  /** Of rows with texts: how many times more a word may be in them than was counted, as there are too many different ones to keep all. */
  wordsError?: number;
}

const count = z.int().check(z.nonnegative());
const shown = { row: count, id: z.optional(z.string()) };
const described = {
  name: z.optional(z.string()),
  namedBy: z.optional(z.enum(NAMED_BY)),
  words: z.optional(list(z.object({ word: z.string(), weight: z.number() }))),
  texts: z.optional(list(z.string())),
};
const schema: z.ZodMiniType<SavedClusters> = z.object({
  measure: z.nullable(z.string()),
  clusters: list(
    z.object({
      cluster: count,
      id: z.optional(count),
      size: count,
      share: z.number(),
      exemplars: list(z.object({ ...shown, distance: z.number() })),
      border: list(z.object({ ...shown, other: count, margin: z.number() })),
      nearest: list(z.object({ cluster: count, distance: z.number() })),
      apart: list(
        z.object({
          column: z.int().check(z.positive()),
          name: z.optional(z.string()),
          difference: z.number(),
          mean: z.number(),
          rest: z.number(),
        }),
      ),
      telling: z.optional(
        list(
          z.object({
            text: z.string(),
            measure: z.enum(['median', 'share']),
            own: z.number(),
            others: z.number(),
          }),
        ),
      ),
      evidence: z.nullable(
        z.object({
          join: z.nullable(z.object({ clusters: list(count), height: z.number() })),
          split: z.nullable(z.object({ sizes: z.readonly(z.tuple([count, count])), height: z.number() })),
        }),
      ),
      ...described,
    }),
  ).check(z.refine((all) => all.every(({ cluster }, i) => cluster === i), 'its clusters are out of order')),
  joins: z.optional(list(z.object({ join: count, ...described }))),
  wordsError: z.optional(z.number()),
});

/** Reads the descriptions. UserError if the file is missing or damaged. */
export const readSavedClusters = (files: RunFiles): SavedClusters => checked(files, CLUSTERS, schema);

/** What is written as `clusters.json`. */
export const savedClusters = (described: SavedClusters): SavedClusters =>
  readable(CLUSTERS, described, schema);

/** The names of clusters by their labels, but for those that are only their numbers. */
export const savedNames = ({ clusters }: SavedClusters): Map<number, Name> =>
  new Map(
    clusters.flatMap(({ cluster, id = cluster, name, namedBy = 'hand' }) =>
      name === undefined || namedBy === 'number' ? [] : [[id, { name, namedBy }] as const],
    ),
  );

/** What clusters are called, by their numbers. UserError if the file is missing or damaged. */
export const readClusterNames = (files: RunFiles): (Name | null)[] => clusterNames(readSavedClusters(files));

/** The same of descriptions that are read. */
export const clusterNames = ({ clusters }: SavedClusters): (Name | null)[] =>
  clusters.map(({ name, namedBy = 'hand' }) => (name === undefined ? null : { name, namedBy }));

/** `lineage.json` of an update: the ids of its clusters, and what became of clusters in it and in updates before. */

/** The name of the file in a run directory. */
export const LINEAGE = 'lineage.json';

const ids = list(count);
const entry = z.discriminatedUnion('what', [
  z.object({ what: z.literal('born'), id: count }),
  z.object({ what: z.literal('split'), id: count, from: ids }),
  z.object({ what: z.literal('merged'), id: count, into: ids }),
  z.object({ what: z.literal('returned'), id: count }),
  z.object({ what: z.literal('gone'), id: count }),
]);

/** Updates, the oldest first. */
export const pastUpdates: z.ZodMiniType<PastUpdate[]> = list(
  z.object({
    update: count,
    rows: z.number().check(z.positive()),
    sizes: record(z.string().check(z.regex(/^\d{1,15}$/)), z.number().check(z.nonnegative())),
    lineage: list(entry),
  }),
).check(
  z.refine(
    (all) => all.every(({ update }, i) => update === all[0].update + i),
    'its updates are out of order',
  ),
);

/** What an update has found. */
export interface UpdateSummary {
  /** The number of the update; 1 is the first one after a first run. */
  readonly update: number;
  /** The id of each cluster, in the order of size: what `labels` has. */
  readonly ids: readonly number[];
  /** What became of clusters in this update. */
  readonly lineage: readonly Lineage[];
  /** How the new rows differ from those before; `alarms`: what of it matters. */
  readonly drift: (Drift & { alarms: Alarm[] }) | null;
}

const summary = z.object({
  ...{ update: count, ids, lineage: list(entry) },
  drift: z.nullable(z.looseObject({ rows: count, alarms: list(z.enum(ALARMS)) })),
});

/** Reads what an update has found; null of another run. UserError if the file is damaged. */
export const readUpdateSummary = (files: RunFiles): UpdateSummary | null =>
  files.has(LINEAGE) ? (checked(files, LINEAGE, summary) as UpdateSummary) : null;

/** Reads the updates up to that of a run; null where it is none. UserError if the file is damaged. */
export const readPastUpdates = (files: RunFiles): PastUpdate[] | null =>
  files.has(LINEAGE) ? checked(files, LINEAGE, z.object({ history: pastUpdates })).history : null;
