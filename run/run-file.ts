import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { list, record } from '../base/schema.ts';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { fingerprint } from '../data/blocks.ts';
import { absolute } from '../data/remote/address.ts';
import type { TableFacts } from '../data/source.ts';
import { type OutlierBounds, savedBounds } from '../data/steps/fences.ts';
import { categoriesSchema } from '../data/tables/table-options.ts';
import { type Layout, layoutProblem, shardsFor } from '../model/layout.ts';
import { isOrder } from '../model/order.ts';
import { type OptionValues, type RunConfig, resolveConfig } from './config.ts';
import { LIKELIHOODS } from './events.ts';
import {
  assertReadable,
  type FinishedRun,
  FORMAT,
  openFinished,
  placeOf,
  problemOfLists,
} from './finished-run.ts';
import type { Option, Stored } from './option.ts';
import { UPDATE_OPTIONS } from './options.ts';
import { type FileHashes, readable, readRunJson, runFiles } from './run-files.ts';
import type { Summary } from './summary.ts';

/** run.json: what it records, how it is read, and which run is finished. It is all that most readers need to know of a run. */

const count = z.int().check(z.nonnegative());
/** Text that is a part of messages: a line break in it could imitate a line of ours. */
const line = z.string().check(z.refine((text) => oneLine(text) === text));
/** The names of folders have it as a part: it must not lead to others. */
const hex = z.string().check(z.regex(/^[0-9a-f]+$/));
const score = z.nullable(z.number());
const decision = z.object({
  clusters: z.optional(list(count)),
  sizes: list(z.number()),
  nats: z.number(),
  needed: z.number(),
  reason: z.optional(line),
});
const closest = z.object({ refused: z.nullable(decision), accepted: z.nullable(decision) });
/** How well partitions of other samples agree. */
const agreement = { count, k: z.tuple([count, count]), agreement: z.number() };

/** What an update is asked that its stages need. */
type Asked = Stored<typeof UPDATE_OPTIONS>;
const asked = Object.fromEntries(
  Object.values<Option>(UPDATE_OPTIONS).flatMap(({ stored, fast, read }) => {
    const isValid = (value: unknown) => (value === null ? fast === undefined : read(value) !== undefined);
    return stored ? [[stored, z.optional(z.custom(isValid))]] : [];
  }),
) as unknown as {
  [Name in keyof Asked]-?: z.ZodMiniOptional<z.ZodMiniType<Exclude<Asked[Name], undefined>>>;
};

/** See `TableFacts`; without the rows that were left out, of which there may be many. */
const tableFacts = z.object({
  fill: z.nullable(list(z.nullable(z.number()))),
  categories: categoriesSchema,
  dropped: count,
  parts: z._default(list(z.object({ name: line, bytes: count })), []),
  aside: z.optional(list(z.string())),
});

const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
/** Of the bytes; and of what tells, without reading them, that they are the same: path, size, times. Null: they changed during the run. */
const shownFile = z.optional(z.nullable(z.object({ sha256, version: sha256 })));
const shownFiles = z.object({ data: shownFile, texts: shownFile, labels: shownFile });

/** The files with what is shown of rows (shown-files.ts), by what they are in the config; without those that there are none of. */
export type ShownFiles = z.infer<typeof shownFiles>;

/** `run.json`: the run's inputs and configuration, and its result. */
const schema = z.object({
  dpmesh: line,
  format: count,
  /** Random: tells runs of one name apart. */
  id: hex,
  versions: record(z.string(), z.string()),
  identity: z.nullable(line),
  /** The first worker's backend and why it was chosen; `mixed`: other workers may have had other numeric identities. */
  backend: z.optional(z.object({ name: line, why: line, mixed: z.boolean() })),
  config: record(z.string(), z.json()),
  data: z.object({
    rows: count,
    dim: count,
    dtype: line,
    blockRows: count,
    fingerprint: hex,
    /** The shape of a row in the file, where it is not flat: of an image. */
    shape: z.optional(list(count)),
    /** The column of a CSV that holds the labels and is not clustered. */
    leftOut: z.optional(z.string()),
    /** The files with what is shown of rows, at the end of the run. */
    shown: z.optional(shownFiles),
    /** Of a table: what missing values and categories of its columns became. */
    table: z.optional(tableFacts),
    /** The columns, from 0, that were clustered by their logarithms; absent if there are none. */
    logged: z.optional(list(count)),
    /** Of an update: the sample that it is trained on. */
    sample: z.optional(z.object({ fingerprint: line })),
    /** The latent vectors of the rows by an encoder: these are clustered. */
    codes: z.optional(z.object({ dim: count, fingerprint: line })),
    /** The limits of columns beyond which rows are outliers; absent if there are none. */
    fences: z.optional(
      list(
        z.object({ column: count, low: z.number(), high: z.number(), least: z.number(), most: z.number() }),
      ),
    ),
  }),
  /** The run that this one is an update of, and how. */
  update: z.optional(
    z.object({
      run: z.string(),
      /** Which run that was (`identityOf` of base-run.ts). */
      base: line,
      ...asked,
    }),
  ),
  /** The other files are still those of an earlier run, which this one replaces. */
  replaces: z.optional(z.boolean()),
  /** The likelihood, if it was to be decided or is the graph; at the end with the graph's resolution and stability. */
  likelihood: z.optional(
    z.object({
      name: z.enum(LIKELIHOODS),
      why: line,
      resolution: z.optional(z.number()),
      /** Null: partitions of no resolution are stable. */
      stability: z.optional(z.nullable(z.number())),
    }),
  ),
  /** SHA-256 of the result files, in hexadecimal, by their paths in the run directory. */
  files: z.optional(record(z.string(), sha256)),
  /** For each cluster the number that it had when training ended: in the last checkpoint and in events. */
  order: z.optional(list(count).check(z.refine(isOrder))),
  /** Of an update: the id of each cluster, which is what labels are; of other runs the clusters' numbers. */
  ids: z.optional(list(count)),
  result: z.nullable(
    z.object({
      k: count,
      nmi: score,
      ari: score,
      acc: score,
      silhouette: score,
      loss: score,
      epochs: count,
      rounds: count,
      workers: count,
      rows: count,
      outliers: count,
      noise: count,
      dim: count,
      seconds: z.number(),
      out: z.string(),
      notes: list(z.string()),
      replicates: z.nullable(z.object({ ...agreement, ks: list(count), clusters: list(score) })),
      stability: z.nullable(z.object(agreement)),
      evidence: z.nullable(z.object({ split: closest, merge: closest })),
    }),
  ),
});

/** What an update was asked, as its stages have it. */
export type UpdateRequest = NonNullable<z.infer<typeof schema>['update']>;
export type RunFile = Omit<z.infer<typeof schema>, 'config'> & { config: RunConfig };

/** What run.json records besides the result. */
export interface RunMetadata {
  id: string;
  config: RunConfig;
  layout: Layout;
  dtype: string;
  shape?: readonly number[];
  table?: TableFacts;
  logged?: readonly number[];
  leftOut: string | null;
  versions: Record<string, string>;
  identity: string | null;
  backend?: RunFile['backend'];
  hashes: Uint8Array;
  /** What is clustered, if that is not the rows themselves. */
  codes?: { hashes: Uint8Array; dim: number } | null;
  /** Of an update. */
  sample?: { hashes: Uint8Array } | null;
  update: RunFile['update'] | null;
  fences: OutlierBounds | null;
  likelihood: RunFile['likelihood'] | null;
  shown?: ShownFiles;
}

/** `written`: at the end of the run, with the hashes of all result files. */
export function runFile(
  metadata: RunMetadata,
  result: Summary | null,
  written?: { files: FileHashes; order: readonly number[]; ids?: readonly number[] },
): RunFile {
  const { id, config, layout, dtype, shape, table, logged, leftOut, versions, identity, backend } = metadata;
  const { hashes, codes, sample, update, fences, likelihood, shown } = metadata;
  const content: RunFile = {
    dpmesh: versions.dpmesh,
    format: FORMAT,
    id,
    versions,
    identity,
    backend,
    config: withAbsolutePaths(config),
    data: {
      rows: layout.rows,
      dim: layout.dim,
      dtype,
      ...(shape && { shape: [...shape] }),
      blockRows: layout.blockRows,
      fingerprint: fingerprint(hashes),
      ...(leftOut !== null && { leftOut }),
      ...(shown && Object.keys(shown).length && { shown }),
      ...(table && {
        table: {
          fill: table.fill,
          categories: table.categories,
          dropped: table.dropped.length,
          parts: table.parts.map(({ name, bytes }) => ({ name: oneLine(name), bytes })),
          ...(table.aside.length && { aside: table.aside }),
        },
      }),
      ...(logged && { logged: [...logged] }),
      ...(sample && { sample: { fingerprint: fingerprint(sample.hashes) } }),
      ...(codes && { codes: { dim: codes.dim, fingerprint: fingerprint(codes.hashes) } }),
      ...(fences && { fences: savedBounds(fences) }),
    },
    ...(update && { update }),
    ...(likelihood && { likelihood }),
    ...(written && { files: written.files, order: [...written.order] }),
    ...(written?.ids && { ids: [...written.ids] }),
    result,
  };
  return readable('run.json', content, schema);
}

/** The config with paths that are valid from any folder. */
export function withAbsolutePaths(config: RunConfig): RunConfig {
  const [labels, texts] = [config.labels, config.texts].map((path) => path && absolute(path));
  return { ...config, data: absolute(config.data), labels, texts };
}

/**
 * Reads the run.json of a run directory. UserError if it is missing, invalid or of another format, or if the files beside it are those of an
 * earlier run, unless they `mayBeEarlier`.
 */
export function readRunFile(run: string, { mayBeEarlier = false } = {}): RunFile {
  const path = join(placeOf(run), 'run.json');
  if (!existsSync(path))
    throw new UserError(
      `${run} is not a run directory (${path} does not exist); pass the --out directory of a run`,
    );
  let content: unknown;
  try {
    content = readRunJson(dirname(path));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      `${path} cannot be read (${(error as Error).message}); restore it from a copy, or start a new run`,
    );
  }
  assertReadable(path, content);
  const invalid = (what: string) =>
    new UserError(`${path} is not a valid run.json (${what}); restore it from a copy, or start a new run`);
  const parsed = parse(content, path);
  if (!parsed.success)
    throw invalid(oneLine(parsed.error.issues[0].path.join('.').slice(0, MOST_SHOWN)) || 'not an object');
  const { data, replaces } = parsed.data;
  const wrong = problemOfLists(parsed.data);
  if (wrong) throw runFiles(run).damaged('run.json', wrong);
  if (replaces && !mayBeEarlier)
    throw new UserError(
      `${run} is of a run that was stopped as it took the place of an earlier one; continue it with: dpmesh resume ${run}`,
    );
  const config = resolveConfig(parsed.data.config as OptionValues, (name) => `${path}: ${name}`);
  const problem = layoutProblem({ ...data, shards: shardsFor(config.shards, data.rows), seed: config.seed });
  if (problem) throw invalid(`data: ${problem}`);
  return { ...parsed.data, config };
}

/**
 * What `read` reads of a finished run, all of it of the same one; by default what it is, and where. UserError as by `readRunFile`, and if it is
 * not finished.
 */
export function readFinishedRun(run: string): FinishedRun<RunFile>;
export function readFinishedRun<T>(run: string, read: (opened: FinishedRun<RunFile>) => T): T;
export function readFinishedRun(
  run: string,
  read: (opened: FinishedRun<RunFile>) => unknown = (opened) => opened,
): unknown {
  return openFinished(run, readRunFile, read);
}

/** Characters of what is wrong in a message. */
const MOST_SHOWN = 40;

/** Validates the content. UserError if it is nested too deeply for that. */
function parse(content: unknown, path: string) {
  try {
    return schema.safeParse(content);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(`${path} is not a valid run.json; restore it from a copy, or start a new run`);
  }
}

/** Inputs that may have moved, and do not tell runs from each other: the fingerprint of the rows does. */
export const PATHS = ['data', 'labels'];
/** The names and the two values of what differs, but for these. */
export const differing = (found: object, expected: object, but: string[]): [string, unknown, unknown][] =>
  Object.entries(found)
    .map(([name, value]): [string, unknown, unknown] => [
      name,
      value,
      (expected as OptionValues)[name as never],
    ])
    .filter(
      ([name, ...both]) => !but.includes(name) && new Set(both.map((one) => JSON.stringify(one))).size > 1,
    );

/** Is it the same run, perhaps at a later time? Then it has the same rows, numeric identity and options. */
export const isSameRun = (a: RunFile, b: RunFile): boolean =>
  a.data.fingerprint === b.data.fingerprint &&
  a.identity === b.identity &&
  !differing(a.config, b.config, PATHS).length;
