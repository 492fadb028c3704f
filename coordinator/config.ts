import type * as zod from 'zod/mini';
import { kebabCase } from '../base/text.ts';

import { UserError } from '../base/user-error.ts';
import type { TransformChoice } from '../data/transform.ts';

/** It is loaded when there are values to check: to show help takes none of it. */
const schemas = () => import('./schemas.ts');
type Schemas = Awaited<ReturnType<typeof schemas>>;

/** What an option can be. */
interface Values<Schema extends zod.ZodMiniType = zod.ZodMiniType> {
  schema: (z: Schemas) => Schema;
  /** Of the word behind its flag. */
  type: 'number' | 'string' | 'boolean';
  /** In words: another value is refused because it "must be" this. */
  limit?: string;
  choices?: readonly string[];
}

/** What people are told of an option, and its defaults. */
interface About<T> {
  group: string;
  describe: string;
  /** In docs/algorithm.md. */
  symbol?: string;
  /** The default; null: it depends on the data or on other options, and `shown` says how. */
  fast?: T | null;
  /** With `--schedule paper`, where that is another one. */
  paper?: T | null;
  shown?: string;
}

export type Option = Values & About<unknown>;

const option = <Schema extends zod.ZodMiniType>(values: Values<Schema>, about: About<zod.infer<Schema>>) => ({
  ...values,
  ...about,
});

const NO_TEXT = 'must be a string';
/** A text within a limit. */
const textWithin = (limit: string) => ({
  error: ({ input }: { input?: unknown }) => (typeof input === 'string' ? `must be ${limit}` : NO_TEXT),
});

const text = (): Values<zod.ZodMiniString> => ({ type: 'string', schema: (z) => z.string(NO_TEXT) });

/** What is said where an option is neither. */
export const YES_OR_NO = 'must be yes or no (or true, false)';
const yesOrNo = (): Values<zod.ZodMiniBoolean> => ({ type: 'boolean', schema: (z) => z.boolean(YES_OR_NO) });

function oneOf<const T extends readonly string[]>(...choices: T) {
  const limit = `one of ${choices.join(', ')}`;
  return {
    type: 'string',
    limit,
    choices,
    schema: (z: Schemas) => z.enum(choices, textWithin(limit)),
  } as const;
}

function number(limit: string, check: (z: Schemas, message: string) => zod.core.$ZodCheck<number>) {
  const error = ({ input }: { input?: unknown }) =>
    typeof input === 'number' && !Number.isNaN(input) ? 'must be finite' : 'must be a number';
  const schema = (z: Schemas) => z.number({ error }).check(check(z, `must be ${limit}`));
  return { type: 'number', limit, schema } as const;
}
const above = (least: number) => number(`above ${least}`, (z, message) => z.gt(least, message));
const from = (least: number) => number(`at least ${least}`, (z, message) => z.gte(least, message));
const whole = (least: number, most = Number.POSITIVE_INFINITY) =>
  number(
    most < Number.POSITIVE_INFINITY
      ? `a whole number from ${least} to ${most}`
      : `a whole number, at least ${least}`,
    (z, message) => z.refine((n) => Number.isInteger(n) && n >= least && n <= most, message),
  );

/** What may stand for a text or a number. Anything else has a text too, or none, and means neither. */
type Word = string | number | bigint;
const isWord = (value: unknown): value is Word => ['string', 'number', 'bigint'].includes(typeof value);

/** 64 bits do not fit into a number: it is kept as text. */
function seed() {
  const limit = 'a whole number from 0 to 2^64 − 1';
  const isSeed = (value: unknown) => {
    const digits = isWord(value) ? String(value) : '';
    return /^\d{1,20}$/.test(digits) && BigInt(digits) < 2n ** 64n;
  };
  const schema = (z: Schemas) => z.pipe(z.custom<Word>(isSeed, `must be ${limit}`), z.transform(String));
  return { type: 'string', limit, schema } as const;
}

/** As a text with commas; a file may also have a number or a list. */
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
  const limit = 'center, normalize, standard, min-max, none or pca:<axes>';
  const isTransform = (value: unknown) =>
    typeof value === 'string' && /^(center|normalize|standard|min-max|none|pca:[1-9]\d*)$/.test(value);
  const schema = (z: Schemas) => z.custom<TransformChoice>(isTransform, textWithin(limit));
  return { type: 'string', limit, schema } as const;
}

/** Null where it is left to the data. */
const orNull = <Schema extends zod.ZodMiniType>(
  values: Values<Schema>,
): Values<zod.ZodMiniNullable<Schema>> => ({ ...values, schema: (z) => z.nullable(values.schema(z)) });

const DATA = 'Data:';
const MODEL = 'Model:';
const NETS = 'Networks:';
const COURSE = 'Course of the run:';

/** No more of either than a worker takes (proto/tasks.ts). */
const MOST_BATCH = 1 << 20;
const MOST_STEPS = 100_000;

/**
 * All that a run's result depends on, besides the data: flags of `train` and `coordinator`, keys of a `--config` file, what
 * run.json keeps, and the tables of docs/flags.md.
 */
export const OPTIONS = {
  data: option(text(), {
    group: DATA,
    symbol: 'X',
    describe: 'rows to cluster: .npy, IDX (also .gz) or CSV',
  }),
  labels: option(orNull(text()), {
    group: DATA,
    describe: 'true classes, for evaluation only: 1-D .npy, IDX, or file.csv:column',
    fast: null,
    shown: 'none',
  }),
  transform: option(transform(), {
    group: DATA,
    describe: 'input transform: center, normalize (unit rows), standard, min-max, none, pca:<axes>',
    fast: 'center',
    paper: 'normalize',
  }),
  sample: option(orNull(whole(0)), {
    group: DATA,
    symbol: 'n',
    describe: 'rows to train on; all rows get labels anyway; 0: all',
    fast: null,
    paper: 0,
    shown: 'max(20000, 1000·D)',
  }),
  soft: option(yesOrNo(), {
    group: DATA,
    describe: 'also write responsibilities.npy, N×K',
    fast: false,
  }),
  seed: option(seed(), {
    group: DATA,
    describe: 'same seed, same bytes (64 bit)',
    fast: '0',
  }),
  shards: option(whole(1), {
    group: DATA,
    symbol: 'S',
    describe: 'logical shards of the data, S: the most workers of use; changes the result',
    fast: 8,
  }),
  alpha: option(above(0), {
    group: MODEL,
    symbol: 'α',
    describe: 'concentration of the Dirichlet process, α',
    fast: 10,
  }),
  covariance: option(oneOf('full', 'diag'), {
    group: MODEL,
    describe: 'shape of a cluster',
    fast: 'full',
  }),
  priorScaleChoice: option(oneOf('data-cov', 'isotropic', 'data-std'), {
    group: MODEL,
    symbol: 'Ψ',
    describe: 'the prior’s Ψ: c·Cov(X), c·I, or c·diag(std(X))',
    fast: 'data-cov',
    paper: 'isotropic',
  }),
  priorScale: option(above(0), {
    group: MODEL,
    symbol: 'c',
    describe: 'c of the prior’s Ψ',
    fast: null,
    shown: '0.3 for data-cov, else 0.005',
  }),
  priorNu: option(orNull(above(0)), {
    group: MODEL,
    symbol: 'ν',
    describe: 'degrees of freedom of the prior, ν; at least D + 1',
    fast: null,
    shown: 'D + 2',
  }),
  priorKappa: option(above(0), {
    group: MODEL,
    symbol: 'κ',
    describe: 'points that the prior mean counts for, κ',
    fast: 1e-4,
  }),
  weightSmoothing: option(from(0), {
    group: MODEL,
    symbol: 'a',
    describe: 'added to each cluster’s proportion n_k/n, a',
    fast: 0,
    paper: 0.1,
  }),
  coarsening: option(orNull(from(0)), {
    group: MODEL,
    symbol: 'n₀',
    describe: 'points n₀ that ratios are tempered to, ζ = min(1, n₀/n); 0: none',
    fast: null,
    paper: 0,
    shown: 'max(10000, 1000·D)',
  }),
  initK: option(whole(1), {
    group: MODEL,
    symbol: 'K',
    describe: 'clusters to start from, K',
    fast: 1,
  }),
  hidden: option(widths(), {
    group: NETS,
    describe: 'hidden widths of the clustering net, e.g. 50 or 50,50',
    fast: [50],
  }),
  lr: option(above(0), {
    group: NETS,
    describe: 'Adam’s rate, clustering net',
    fast: 0.01,
    paper: 5e-4,
  }),
  subLr: option(above(0), {
    group: NETS,
    describe: 'Adam’s rate, sub-clustering nets',
    fast: 0.01,
    paper: 5e-3,
  }),
  batchSize: option(whole(1, MOST_BATCH), {
    group: NETS,
    symbol: 'B',
    describe: 'rows of a local step; fewer where a shard has not five batches',
    fast: 128,
  }),
  localSteps: option(whole(1, MOST_STEPS), {
    group: NETS,
    symbol: 'H',
    describe: 'steps of each shard between averages, H; 1: average gradients',
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
  schedule: option(oneOf('fast', 'paper'), {
    group: COURSE,
    describe: 'fast, or the paper’s own (sets other defaults too; see docs/flags.md)',
    fast: 'fast',
  }),
  maxEpochs: option(whole(1), {
    group: COURSE,
    describe: 'epochs at the most',
    fast: 200,
    paper: 300,
  }),
  splitMergeEvery: option(whole(1), {
    group: COURSE,
    describe: 'epochs between a split step and a merge step',
    fast: 6,
    paper: 30,
  }),
  freeze: option(whole(0), {
    group: COURSE,
    describe: 'epochs that the mixture waits after a change of K',
    fast: 2,
    paper: 5,
  }),
  earlyStop: option(yesOrNo(), {
    group: COURSE,
    describe: 'stop when splits and merges change nothing more; --no-early-stop: never',
    fast: true,
    paper: false,
  }),
};

export type OptionName = keyof typeof OPTIONS;
export const options = Object.entries(OPTIONS) as [OptionName, Option][];

/** Values that are still to be checked. */
export type OptionValues = { [Name in OptionName]?: unknown };

/** A run's options, all of them. */
export type RunConfig = { [Name in OptionName]: zod.infer<ReturnType<(typeof OPTIONS)[Name]['schema']>> };

/**
 * A run's options from those that were given, with the defaults of its schedule for the others. UserError for a value that
 * an option cannot have. `named`: what it is called there.
 */
export async function resolveConfig(
  given: OptionValues,
  named: (name: OptionName) => string = (name) => `--${kebabCase(name)}`,
): Promise<RunConfig> {
  const z = await schemas();
  const config: OptionValues = {};
  for (const [name, { schema, fast, paper }] of options) {
    const preset = given.schedule === 'paper' && paper !== undefined ? paper : fast;
    const value = given[name] ?? undefined;
    config[name] = value === undefined ? preset : checked(schema(z), value, named(name));
  }
  if (!config.data)
    throw new UserError(`${named('data')} is missing: the rows to cluster, an .npy, IDX or CSV file`);
  config.priorScale ??= config.priorScaleChoice === 'data-cov' ? 0.3 : 0.005;
  return config as RunConfig;
}

function checked(schema: zod.ZodMiniType, value: unknown, name: string): unknown {
  const found = schema.safeParse(value, { reportInput: true });
  if (found.success) return found.data;
  const [{ input, message }] = found.error.issues;
  throw new UserError(`${name} ${shown(input)} ${message}`);
}

/** Lists of words as they are typed, other objects as JSON where they have one: those of a program may refer to themselves. */
function shown(value: unknown): string {
  if (typeof value !== 'object' || (Array.isArray(value) && value.length && value.every(isWord)))
    return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return 'an object';
  }
}
