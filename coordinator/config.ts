import type * as zod from 'zod/mini';
import { kebabCase, oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { assertAddress } from '../data/remote/address.ts';
import type { TableOptions } from '../data/tables/open-table.ts';
import type { TransformChoice } from '../data/transform.ts';
import { isSeed, SEED_RANGE } from '../model/random.ts';
import { MAX_BATCH_SIZE, MAX_LOCAL_STEPS } from '../proto/task-limits.ts';

/** Loaded only when there are values to check: `--help` does not need zod. */
const schemas = () => import('./schemas.ts');
type Schemas = Awaited<ReturnType<typeof schemas>>;

/** The values that an option accepts. */
interface OptionDomain<Schema extends zod.ZodMiniType = zod.ZodMiniType> {
  schema: (z: Schemas) => Schema;
  /** The type of the flag's argument. */
  type: 'number' | 'string' | 'boolean';
  /** The domain in words, to complete "must be …". */
  limit?: string;
  choices?: readonly string[];
}

/** An option's description and defaults. */
interface OptionDescription<T> {
  group: string;
  describe: string;
  /** In docs/algorithm.md. */
  symbol?: string;
  /** The default. Null if it depends on the data or on other options, as `defaultText` says. */
  fast?: T | null;
  /** The default with `--schedule paper`, if it differs. */
  paper?: T | null;
  defaultText?: string;
}

export type Option = OptionDomain & OptionDescription<unknown>;

const option = <Schema extends zod.ZodMiniType>(
  domain: OptionDomain<Schema>,
  description: OptionDescription<zod.infer<Schema>>,
) => ({
  ...domain,
  ...description,
});

const NOT_A_STRING = 'must be a string';
/** The error for a value that is not `limit`. */
const stringError = (limit: string) => ({
  error: ({ input }: { input?: unknown }) => (typeof input === 'string' ? `must be ${limit}` : NOT_A_STRING),
});

const text = (): OptionDomain<zod.ZodMiniString> => ({
  type: 'string',
  schema: (z) => z.string(NOT_A_STRING),
});

/** The error for a value that is not a boolean. */
export const YES_OR_NO = 'must be yes or no (or true, false)';
const yesOrNo = (): OptionDomain<zod.ZodMiniBoolean> => ({
  type: 'boolean',
  schema: (z) => z.boolean(YES_OR_NO),
});

function oneOf<const T extends readonly string[]>(...choices: T) {
  const limit = `one of ${choices.join(', ')}`;
  return {
    type: 'string',
    limit,
    choices,
    schema: (z: Schemas) => z.enum(choices, stringError(limit)),
  } as const;
}

function number(limit: string, check: (z: Schemas, message: string) => zod.core.$ZodCheck<number>) {
  const error = ({ input }: { input?: unknown }) =>
    typeof input === 'number' && !Number.isNaN(input) ? 'must be finite' : 'must be a number';
  const schema = (z: Schemas) => z.number({ error }).check(check(z, `must be ${limit}`));
  return { type: 'number', limit, schema } as const;
}
const above = (min: number) => number(`above ${min}`, (z, message) => z.gt(min, message));
const atLeast = (min: number) => number(`at least ${min}`, (z, message) => z.gte(min, message));
const between = (min: number, max: number) =>
  number(`above ${min} and below ${max}`, (z, message) => z.refine((n) => n > min && n < max, message));
const integer = (min: number, max = Number.POSITIVE_INFINITY) =>
  number(
    max < Number.POSITIVE_INFINITY
      ? `a whole number from ${min} to ${max}`
      : `a whole number, at least ${min}`,
    (z, message) => z.refine((n) => Number.isInteger(n) && n >= min && n <= max, message),
  );

/** What may stand for text or a number. Other values also have a text, or none, but mean neither. */
type Word = string | number | bigint;
const isWord = (value: unknown): value is Word => ['string', 'number', 'bigint'].includes(typeof value);

function seed() {
  const schema = (z: Schemas) =>
    z.pipe(
      z.custom<Word>((value) => isWord(value) && isSeed(String(value)), `must be ${SEED_RANGE}`),
      z.transform(String),
    );
  return { type: 'string', limit: SEED_RANGE, schema } as const;
}

/** In a file or a program also a number. */
function shards() {
  const limit = 'auto or a whole number, at least 1';
  const schema = (z: Schemas) =>
    z.pipe(
      z.custom<Word>(
        (value) => isWord(value) && /^(auto|[1-9]\d{0,15})$/.test(String(value)),
        `must be ${limit}`,
      ),
      z.transform((value: Word) => (value === 'auto' ? value : Number(value))),
    );
  return { type: 'string', limit, schema } as const;
}

/** A comma-separated list as a flag; in a file or a program also a number or an array. */
function widths() {
  const limit = 'layer widths such as 50 or 50,50';
  const isList = (value: unknown) =>
    [value].flat().every(isWord) && /^[1-9]\d{0,4}(,[1-9]\d{0,4})*$/.test(String(value));
  const schema = (z: Schemas) =>
    z.pipe(
      z.custom<Word | Word[]>(isList, `must be ${limit}`),
      z.transform((list: Word | Word[]) => String(list).split(',').map(Number)),
    );
  return { type: 'string', limit, schema } as const;
}

function transform() {
  const limit =
    'auto, center, normalize, standard, min-max, min-max-global, none, pca:<axes> such as pca:16, or pca:<share> such as pca:0.95';
  const isTransform = (value: unknown) =>
    typeof value === 'string' &&
    /^(auto|center|normalize|standard|min-max(-global)?|none|pca:[1-9]\d*|pca:0?\.\d*[1-9]\d*)$/.test(value);
  const schema = (z: Schemas) => z.custom<TransformChoice>(isTransform, stringError(limit));
  return { type: 'string', limit, schema } as const;
}

/** `28` or `32x24`, width first; in a file or a program also a number. */
function imageSize() {
  const limit = 'pixels such as 28, or width x height such as 32x24, each from 1 to 1024';
  const isSide = (text: string) => /^[1-9]\d{0,3}$/.test(text) && Number(text) <= 1024;
  const isSize = (value: unknown) => {
    const sides = isWord(value) ? String(value).split('x') : [];
    return sides.length > 0 && sides.length <= 2 && sides.every(isSide);
  };
  const schema = (z: Schemas) =>
    z.pipe(
      z.custom<Word>(isSize, `must be ${limit}`),
      z.transform((size: Word) => (String(size).includes('x') ? String(size) : `${size}x${size}`)),
    );
  return { type: 'string', limit, schema } as const;
}

/** What is between the columns of a text. */
function separator() {
  const limit = "one character such as ';', tab or blanks";
  const schema = (z: Schemas) =>
    z
      .string(stringError(limit))
      .check(z.refine((sep) => /^(tab|blanks|[^\r\n"])$/u.test(sep), `must be ${limit}`));
  return { type: 'string', limit, schema } as const;
}

/** Names of columns, comma-separated; in a file or a program also an array of them, in which names may have commas. */
function columnNames() {
  const limit = 'names of columns such as age,income or emb*';
  const isList = (value: unknown) =>
    [value].flat().every((item) => isWord(item) && String(item).trim() !== '') && [value].flat().length > 0;
  const schema = (z: Schemas) =>
    z.pipe(
      z.custom<Word | Word[]>(isList, `must be ${limit}`),
      z.transform((list: Word | Word[]) =>
        Array.isArray(list)
          ? list.map(String)
          : String(list)
              .split(',')
              .map((name) => name.trim()),
      ),
    );
  return { type: 'string', limit, schema } as const;
}

const nullable = <Schema extends zod.ZodMiniType>(
  domain: OptionDomain<Schema>,
): OptionDomain<zod.ZodMiniNullable<Schema>> => ({ ...domain, schema: (z) => z.nullable(domain.schema(z)) });

const DATA = 'Data:';
const MODEL = 'Model:';
const NETS = 'Networks:';
const ENCODER = 'Encoder:';
const SCHEDULE = 'Schedule:';

/**
 * All options that determine the result of a run, besides the data: the flags of `train` and `coordinator`, the keys of a
 * `--config` file, the config in run.json, and the tables of docs/flags.md.
 */
export const OPTIONS = {
  data: option(text(), {
    group: DATA,
    symbol: 'X',
    describe:
      'rows to cluster: .npy, .npz, .safetensors, .h5ad, IDX (also .gz), a table (CSV, Parquet, Arrow, JSON lines), or a folder of PNG and JPEG images; also at https://… or s3://BUCKET/KEY; - for standard input',
  }),
  labels: option(nullable(text()), {
    group: DATA,
    describe:
      'true classes, for evaluation only: 1-D .npy, IDX, file.csv:column, file.npz:array, file.h5ad:column, or a folder of images (the names of its sub-folders)',
    fast: null,
    defaultText: 'none',
  }),
  columns: option(nullable(columnNames()), {
    group: DATA,
    describe:
      'columns of a table to cluster by, by name (also a*) or number from 1, comma-separated; the array of an .npz, safetensors or .h5ad file',
    fast: null,
    defaultText: 'all but names, numbers and dates of rows',
  }),
  drop: option(nullable(columnNames()), {
    group: DATA,
    describe: 'columns of a table to leave out, as in --columns',
    fast: null,
    defaultText: 'none',
  }),
  id: option(nullable(text()), {
    group: DATA,
    describe: 'column of a table that names the rows: not clustered, kept in the output',
    fast: null,
    defaultText: 'none',
  }),
  text: option(nullable(text()), {
    group: DATA,
    describe: 'column of a table with the text of each row: not clustered, used to describe clusters',
    fast: null,
    defaultText: 'none',
  }),
  impute: option(nullable(oneOf('mean', 'median', 'drop')), {
    group: DATA,
    describe:
      'missing values of a table: mean or median of their column in their place, or drop the rows that have them',
    fast: null,
    defaultText: 'none, an error',
  }),
  encoding: option(nullable(text()), {
    group: DATA,
    describe: 'of a text table: its characters, such as utf-8, cp1252 or utf-16le',
    fast: null,
    defaultText: 'UTF-8, or found out',
  }),
  sep: option(nullable(separator()), {
    group: DATA,
    describe: 'of a text table: what is between its columns',
    fast: null,
    defaultText: 'found out',
  }),
  decimal: option(nullable(oneOf('.', ',')), {
    group: DATA,
    describe: 'of a text table: what is before the decimals of its numbers',
    fast: null,
    defaultText: 'found out',
  }),
  oneHot: option(nullable(columnNames()), {
    group: DATA,
    describe:
      'columns of categories to turn into columns of 0 and 1, one for each category but the most frequent one',
    fast: null,
    defaultText: 'none',
  }),
  imageSize: option(nullable(imageSize()), {
    group: DATA,
    describe: 'width × height in pixels to which the images of a folder are scaled, such as 28 or 32x24',
    fast: null,
    defaultText: 'their own, which must be the same for all',
  }),
  skipBad: option(yesOrNo(), {
    group: DATA,
    describe: 'leave out images of a folder that cannot be decoded',
    fast: false,
  }),
  transform: option(transform(), {
    group: DATA,
    describe:
      'input transform: center, normalize (unit rows), standard, min-max, min-max-global (one range for all columns), none, pca:<axes>, pca:<share> (as many axes as hold that share of the variance); auto: standard, or what suits an embedding',
    fast: 'auto',
    paper: 'normalize',
  }),
  sample: option(nullable(integer(0)), {
    group: DATA,
    symbol: 'n',
    describe: 'approximate number of rows to train on; 0: all. All rows are labelled',
    fast: null,
    paper: 0,
    defaultText: 'max(20000, 1000·D); 40000 with an encoder',
  }),
  replicates: option(nullable(integer(2, 100)), {
    group: DATA,
    describe:
      'number of times to repeat the run afterwards, each on another half of the sample, such as 8: shows how far K and the clusters depend on the rows',
    fast: null,
    defaultText: 'none',
  }),
  soft: option(yesOrNo(), {
    group: DATA,
    describe: 'also write responsibilities.npy, N×K',
    fast: false,
  }),
  outliers: option(nullable(between(0, 1)), {
    group: DATA,
    describe:
      'quantile such as 0.99: rows farther from the centre than that share of their cluster are -1 in the column cluster_or_outlier of labels.csv',
    fast: null,
    defaultText: 'none, no such column',
  }),
  labelsParquet: option(yesOrNo(), {
    group: DATA,
    describe: 'also write labels.parquet, the same table as labels.csv',
    fast: false,
  }),
  seed: option(seed(), {
    group: DATA,
    describe: 'random seed; the same seed gives the same bytes',
    fast: '0',
  }),
  shards: option(shards(), {
    group: DATA,
    symbol: 'S',
    fast: 'auto',
    describe:
      'number S of data shards, auto: 8, fewer below 4,000 rows; more workers than shards are idle; changes the result',
  }),
  likelihood: option(oneOf('auto', 'gaussian', 'graph'), {
    group: MODEL,
    describe:
      'what makes rows a cluster: a Gaussian distribution, or the graph of nearest neighbours, for embeddings of many columns; auto: decided by the data',
    fast: 'auto',
    paper: 'gaussian',
  }),
  clusters: option(nullable(integer(2, 100_000)), {
    group: MODEL,
    describe:
      'about how many clusters are wanted: the graph likelihood takes a resolution for them, and where more are found, those whose union costs least are joined; a mixture has no more than the evidence supports',
    fast: null,
    defaultText: 'none, the data decide',
  }),
  resolution: option(nullable(between(0, 512)), {
    group: MODEL,
    symbol: 'γ',
    describe: 'resolution γ of the graph likelihood; a larger one finds more clusters',
    fast: null,
    defaultText: 'that at which partitions of other samples agree most',
  }),
  alpha: option(above(0), {
    group: MODEL,
    symbol: 'α',
    describe: 'concentration α of the Dirichlet process',
    fast: 10,
  }),
  covariance: option(oneOf('full', 'diag'), {
    group: MODEL,
    describe: 'covariance of each cluster',
    fast: 'full',
  }),
  priorScaleChoice: option(oneOf('learned', 'data-cov', 'isotropic', 'data-std'), {
    group: MODEL,
    symbol: 'Ψ',
    describe: 'scale matrix Ψ of the prior: learned from the clusters, c·Cov(X), c·I, or c·diag(std(X))',
    fast: 'learned',
    paper: 'isotropic',
  }),
  priorScale: option(above(0), {
    group: MODEL,
    symbol: 'c',
    describe: 'factor c of the prior’s scale matrix Ψ',
    fast: null,
    defaultText: '1 for learned, 0.3 for data-cov, else 0.005',
  }),
  priorNu: option(nullable(above(0)), {
    group: MODEL,
    symbol: 'ν',
    describe: 'degrees of freedom ν of the prior; at least D + 1',
    fast: null,
    defaultText: '2·D + 1 for learned, else D + 2',
  }),
  priorKappa: option(above(0), {
    group: MODEL,
    symbol: 'κ',
    describe: 'pseudo-count κ of the prior mean, in points',
    fast: 1e-4,
  }),
  weightSmoothing: option(atLeast(0), {
    group: MODEL,
    symbol: 'a',
    describe: 'constant a that is added to each cluster’s proportion n_k/n',
    fast: 0,
    paper: 0.1,
  }),
  coarsening: option(nullable(atLeast(0)), {
    group: MODEL,
    symbol: 'n₀',
    describe: 'temper split and merge ratios to n₀ points, ζ = min(1, n₀/n); 0: no tempering',
    fast: null,
    paper: 0,
    defaultText: 'max(10000, 1000·D, max(100, 5·D)·K)',
  }),
  initK: option(integer(1), {
    group: MODEL,
    symbol: 'K',
    describe: 'number K of initial clusters',
    fast: 1,
  }),
  hidden: option(nullable(widths()), {
    group: NETS,
    describe: 'widths of the clustering net’s hidden layers, such as 50 or 50,50',
    fast: null,
    defaultText: '50; 256 with the graph likelihood',
  }),
  lr: option(above(0), {
    group: NETS,
    describe: 'Adam learning rate of the clustering net',
    fast: 0.01,
    paper: 5e-4,
  }),
  subLr: option(above(0), {
    group: NETS,
    describe: 'Adam learning rate of the sub-clustering nets',
    fast: 0.01,
    paper: 5e-3,
  }),
  batchSize: option(integer(1, MAX_BATCH_SIZE), {
    group: NETS,
    symbol: 'B',
    describe: 'rows per local step; fewer if a shard has less than five batches',
    fast: 128,
  }),
  localSteps: option(integer(1, MAX_LOCAL_STEPS), {
    group: NETS,
    symbol: 'H',
    describe: 'local steps H on each shard between two averages; 1: average gradients',
    fast: 10,
    paper: 1000,
  }),
  clusterLoss: option(oneOf('kl', 'isotropic', 'diag'), {
    group: NETS,
    describe: 'loss of the clustering net',
    fast: 'kl',
  }),
  subLoss: option(oneOf('isotropic', 'kl'), {
    group: NETS,
    describe: 'loss of the sub-clustering nets',
    fast: 'isotropic',
  }),
  encoder: option(oneOf('none', 'autoencoder'), {
    group: ENCODER,
    describe:
      'learn features first, from all rows, and cluster these: autoencoder, for raw images and other rows of many columns',
    fast: 'none',
  }),
  encoderHidden: option(widths(), {
    group: ENCODER,
    describe: 'widths of the encoder’s hidden layers; the decoder has the same in reverse',
    fast: [500, 500, 2000],
    defaultText: '500,500,2000',
  }),
  latent: option(nullable(integer(1, 1024)), {
    group: ENCODER,
    describe: 'numbers in the code of a row, which are clustered in its place',
    fast: null,
    defaultText: '10, or half of the columns',
  }),
  encoderEpochs: option(integer(1), {
    group: ENCODER,
    describe: 'passes of the encoder over all rows',
    fast: 12,
  }),
  encoderLr: option(above(0), {
    group: ENCODER,
    describe:
      'largest Adam learning rate of the encoder: it rises in half an epoch, and falls to 0 along a cosine',
    fast: 1.5e-3,
  }),
  encoderBatch: option(integer(1, MAX_BATCH_SIZE), {
    group: ENCODER,
    describe: 'rows in a step of the encoder',
    fast: 64,
  }),
  encoderSteps: option(integer(1, MAX_LOCAL_STEPS), {
    group: ENCODER,
    describe:
      'local steps of the encoder on each of its shards (two of the run’s) between two averages, about; fewer at first',
    fast: 512,
  }),
  encoderNoise: option(atLeast(0), {
    group: ENCODER,
    describe:
      'standard deviation of noise that is added to the encoder’s inputs, which have variance 1: it learns to remove it',
    fast: 0.5,
  }),
  alternations: option(integer(0), {
    group: ENCODER,
    describe:
      'how often the encoder learns from the clusters of its codes, which are clustered again each time; fewer where they no longer change',
    fast: 0,
  }),
  alternationEpochs: option(integer(1), {
    group: ENCODER,
    describe: 'passes of the encoder over all rows in each alternation',
    fast: 2,
  }),
  schedule: option(oneOf('fast', 'paper'), {
    group: SCHEDULE,
    describe:
      'training schedule: fast, or that of the DeepDPM paper; also sets other defaults (docs/flags.md)',
    fast: 'fast',
  }),
  maxEpochs: option(integer(1), {
    group: SCHEDULE,
    describe: 'maximum number of epochs',
    fast: 500,
    paper: 300,
  }),
  splitMergeEvery: option(integer(1), {
    group: SCHEDULE,
    describe:
      'epochs from one split or merge step to the next, not counting those in which the mixture waits for the net',
    fast: 6,
    paper: 30,
  }),
  freeze: option(integer(0), {
    group: SCHEDULE,
    describe:
      'epochs for which the mixture is frozen at least after K changes (fast: longer, until the net has learned the clusters; 0: never)',
    fast: 2,
    paper: 5,
  }),
  earlyStop: option(yesOrNo(), {
    group: SCHEDULE,
    describe:
      'stop once split and merge steps change nothing any more, or only undo each other; --no-early-stop: never',
    fast: true,
    paper: false,
  }),
};

export type OptionName = keyof typeof OPTIONS;
export const options = Object.entries(OPTIONS) as [OptionName, Option][];

/** Values that are not yet validated. */
export type OptionValues = { [Name in OptionName]?: unknown };

/** The value of every option of a run. */
export type RunConfig = { [Name in OptionName]: zod.infer<ReturnType<(typeof OPTIONS)[Name]['schema']>> };

/**
 * Validates `values` and adds the schedule's defaults for options that are missing or null. UserError for an invalid value.
 * `displayName`: what the message calls an option.
 */
export async function resolveConfig(
  values: OptionValues,
  displayName: (name: OptionName) => string = (name) => `--${kebabCase(name)}`,
): Promise<RunConfig> {
  return resolveWith(await schemas(), values, displayName);
}

/** `resolveConfig` for those who have loaded the schemas. */
export function resolveWith(
  z: Schemas,
  values: OptionValues,
  displayName: (name: OptionName) => string,
): RunConfig {
  const config: OptionValues = {};
  for (const [name, option] of options) {
    const value = values[name] ?? undefined;
    config[name] =
      value === undefined
        ? defaultOf(option, values.schedule)
        : validated(option.schema(z), value, displayName(name));
  }
  if (!config.data)
    throw new UserError(
      `${displayName('data')} is missing: the rows to cluster, a file of arrays or a table, or a folder of images`,
    );
  assertAddress(String(config.data));
  assertAddress(config.labels as string | null);
  if (config.clusters !== null && config.resolution !== null)
    throw new UserError(
      `${displayName('clusters')} and ${displayName('resolution')} exclude each other; leave one out`,
    );
  config.priorScale ??= { learned: 1, 'data-cov': 0.3, isotropic: 0.005, 'data-std': 0.005 }[
    config.priorScaleChoice as RunConfig['priorScaleChoice']
  ];
  return config as RunConfig;
}

/** Options of earlier versions, with the values at which they did nothing: all their runs have these. */
export const REMOVED: Readonly<Record<string, unknown>> = { encoderWeightDecay: 0 };

/** What the config of a run had that this version does not have any more, as a flag; null if nothing. */
export function removedFrom(config: Readonly<Record<string, unknown>>): string | null {
  if (config.encoder === 'neighbour') return '--encoder neighbour';
  const name = Object.keys(REMOVED).find((name) => (config[name] ?? REMOVED[name]) !== REMOVED[name]);
  return name === undefined ? null : `--${kebabCase(name)} ${asText(config[name])}`;
}

/** Those of the options that have another value than the default. */
export function changedOptions<Name extends OptionName>(config: RunConfig, names: readonly Name[]): Name[] {
  return names.filter(
    (name) => JSON.stringify(config[name]) !== JSON.stringify(defaultOf(OPTIONS[name], config.schedule)),
  );
}

const defaultOf = ({ fast, paper }: Option, schedule: unknown) =>
  schedule === 'paper' && paper !== undefined ? paper : fast;

function validated(schema: zod.ZodMiniType, value: unknown, name: string): unknown {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const [{ input, message }] = result.error.issues;
  throw new UserError(`${name} ${shortened(asText(input))} ${message}`);
}

/** Characters of a value in a message: that of a file may be long, and have any characters. */
const MOST_SHOWN = 80;
const shortened = (text: string) =>
  oneLine(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text);

/** Lists of words as they are typed, other objects as JSON, which those of a program may not have. */
function asText(value: unknown): string {
  if (typeof value !== 'object' || (Array.isArray(value) && value.length && value.every(isWord)))
    return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return 'an object';
  }
}

/** How a table is read. `label`: its column of labels. */
export const tableOptions = (
  { columns, drop, id, text, impute, oneHot, encoding, sep, decimal }: RunConfig,
  label: string | null,
): TableOptions => ({ columns, drop, id, text, label, impute, oneHot, encoding, sep, decimal });
