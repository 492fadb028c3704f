import { BACKENDS } from '../base/identity.ts';
import { kebabCase } from '../base/text.ts';
import { MAX_BATCH_SIZE, MAX_LOCAL_STEPS } from '../proto/task-limits.ts';
import {
  above,
  address,
  atLeast,
  between,
  columnNames,
  type Domain,
  fromCores,
  imageSize,
  integer,
  nullable,
  oneOf,
  seconds,
  seed,
  separator,
  shards,
  text,
  transform,
  widths,
  yesOrNo,
} from './domains.ts';

/**
 * All options of a run, each once: the flags of the commands that start or continue it, the keys of a `--config` file, the
 * config in run.json, the types of the library, the parameters of the Python client and the tables of docs/flags.md are made
 * from these tables (`npm run options` writes those that are files).
 */

/** The commands that have options of a run. */
export type RunCommand = 'train' | 'update' | 'coordinator' | 'resume' | 'finish' | 'worker' | 'launch';

export interface Description<T> {
  /** What it is for, with other options as flags; the library and Python show them by their names there. */
  help: string;
  /** In docs/algorithm.md. */
  symbol?: string;
  /** The default. Null if it depends on the data or on other options, as `defaultText` says. */
  fast?: T | null;
  /** The default with `--schedule paper`, if it differs. */
  paper?: T | null;
  defaultText?: string;
  /** Another name of the flag. */
  alias?: string;
}

interface RunDescription<T> extends Description<T> {
  commands: readonly RunCommand[];
  /** It is for terminals: no option of programs. */
  isForTerminals?: boolean;
  /** The default in programs, if it differs. */
  inPrograms?: string;
  /** The flag takes a value, but `--no-<flag>` is valid too. */
  canBeOff?: boolean;
}

export type Option = Domain<unknown> & Description<unknown> & { group: string };
export type RunOption = Domain<unknown> & RunDescription<unknown> & { group: string };

export const option = <T, const About extends Description<NoInfer<T>>>(domain: Domain<T>, about: About) => ({
  ...domain,
  ...about,
});
/** An option without a default of its own, as it depends on the data or on other options; `none` says how. */
const optional = <T>(domain: Domain<T>, none: string, about: Omit<Description<T>, 'defaultText'>) =>
  option(nullable(domain), { fast: null, defaultText: none, ...about });
/** Options that are shown together. */
export const of = <T extends object>(group: string, options: T) =>
  Object.fromEntries(Object.entries(options).map(([name, option]) => [name, { group, ...option }])) as {
    [Name in keyof T]: T[Name] & { group: string };
  };
const how = <T, const About extends RunDescription<NoInfer<T>>>(domain: Domain<T>, about: About) => ({
  ...domain,
  ...about,
});

/**
 * Options that are a run's identity: with the data they determine its result. Their defaults are only shown by flags, not set,
 * because those of a config file take precedence.
 */
export const OPTIONS = {
  ...of('Data', {
    data: option(text(), {
      symbol: 'X',
      help: 'rows to cluster: .npy, .npz, .safetensors, .h5ad, IDX (also .gz), a table (CSV, Parquet, Arrow, JSON lines), or a folder of PNG and JPEG images; also at https://… or s3://BUCKET/KEY; - for standard input',
    }),
    labels: optional(text(), 'none', {
      help: 'true classes, for evaluation only: 1-D .npy, IDX, file.csv:column, file.npz:array, file.h5ad:column, or a folder of images (the names of its sub-folders)',
    }),
    columns: optional(columnNames(), 'all but names, numbers and dates of rows', {
      help: 'columns of a table to cluster by, by name (also a*) or number from 1, comma-separated; the array of an .npz, safetensors or .h5ad file',
    }),
    drop: optional(columnNames(), 'none', { help: 'columns of a table to leave out, as in --columns' }),
    id: optional(text(), 'none', {
      help: 'column of a table that names the rows: not clustered, kept in the output',
    }),
    text: optional(text(), 'none', {
      help: 'column of a table with the text of each row: not clustered, used to describe clusters by keywords, typical texts and names',
    }),
    texts: optional(text(), 'none', {
      help: 'file with the texts of the rows, where the data have none: .txt (also .txt.gz) with a line for each row, or a table, of which --text names the column; also an address',
    }),
    minDf: option(integer(1), {
      fast: 1,
      help: 'words in fewer texts are no keywords',
    }),
    bm25Weighting: option(yesOrNo(), {
      fast: false,
      help: 'weigh keywords by BM25, which has less of words that are in the texts of all clusters',
    }),
    reduceFrequentWords: option(yesOrNo(), {
      fast: false,
      help: 'weigh keywords by the square root of how often they are, so that frequent ones count less',
    }),
    impute: optional(oneOf('mean', 'median', 'drop'), 'none, an error', {
      help: 'missing values of a table: mean or median of their column in their place, or drop the rows that have them',
    }),
    encoding: optional(text(), 'UTF-8, or found out', {
      help: 'of a text table: its characters, such as utf-8, cp1252 or utf-16le',
    }),
    sep: optional(separator(), 'found out', { help: 'of a text table: what is between its columns' }),
    decimal: optional(oneOf('.', ','), 'found out', {
      help: 'of a text table: what is before the decimals of its numbers',
    }),
    categorical: optional(columnNames(), 'none', {
      help: 'columns of categories: within a cluster each category has a probability, independent of the other columns (transforms that mix columns, and more than 32 columns: as columns of 0 and 1)',
    }),
    logarithm: optional(columnNames(), 'none', {
      alias: 'log',
      help: 'columns of positive numbers to cluster by their logarithms, by name (also a*) or number from 1; auto: those with a long tail, which would be cut into several clusters',
    }),
    imageSize: optional(imageSize(), 'their own, which must be the same for all', {
      help: 'width × height in pixels to which the images of a folder are scaled, such as 28 or 32x24',
    }),
    skipBad: option(yesOrNo(), {
      help: 'leave out images of a folder that cannot be decoded',
      fast: false,
    }),
    transform: option(transform(), {
      help: 'input transform: center, normalize (unit rows), standard, min-max, min-max-global (one range for all columns), none, pca:<axes>, pca:<share> (as many axes as hold that share of the variance); auto: standard, or what suits an embedding (paper schedule: normalize, of up to 4 columns center)',
      fast: 'auto',
    }),
    sample: optional(integer(0), 'max(20000, 1000·D); 40000 with an encoder', {
      symbol: 'n',
      help: 'approximate number of rows to train on; 0: all. All rows are labelled',
      paper: 0,
    }),
    keepCopies: option(yesOrNo(), {
      help: 'graph likelihood: near copies of a row are rows of the graph too, not one row that weighs as much as they do',
      fast: false,
    }),
    replicates: optional(integer(2, 100), 'none', {
      help: 'how often the run is repeated afterwards, each time on another half of the sample, such as 8: how far K and the clusters depend on the rows',
    }),
    soft: option(yesOrNo(), {
      help: 'also write responsibilities.npy, N×K',
      fast: false,
    }),
    outliers: optional(between(0, 1), 'none, no such column', {
      help: 'quantile such as 0.99: rows farther from the centre than that share of their cluster are -1 in the column cluster_or_outlier of labels.csv',
    }),
    labelsParquet: option(yesOrNo(), {
      help: 'also write labels.parquet, the same table as labels.csv',
      fast: false,
    }),
    labelsOut: option(oneOf('file', 'shards'), {
      help: 'file: the coordinator writes labels, confidences and distances; shards: workers write them, in parts, into the run directory, which they have to see; without labels.csv',
      fast: 'file',
    }),
    seed: option(seed(), {
      help: 'random seed; the same seed gives the same bytes',
      fast: '0',
    }),
    shards: option(shards(), {
      symbol: 'S',
      fast: 'auto',
      paper: 1,
      help: 'number S of data shards; auto: 8, fewer below 4,000 rows, for an encoder one for 131,072 rows; at most so many workers train; changes the result',
    }),
  }),
  ...of('Model', {
    likelihood: option(oneOf('auto', 'gaussian', 'graph'), {
      help: 'what makes rows a cluster: a Gaussian distribution, or the graph of nearest neighbours, for embeddings of many columns; auto: decided by the data',
      fast: 'auto',
      paper: 'gaussian',
    }),
    clusters: optional(integer(2, 100_000), 'none, the data decide', {
      help: 'about how many clusters are wanted: the graph likelihood takes a resolution for them, and more than these are joined; a mixture has no more than the evidence supports',
    }),
    resolution: optional(between(0, 512), 'that at which partitions of other samples agree most', {
      symbol: 'γ',
      help: 'resolution γ of the graph likelihood; a larger one finds more clusters',
    }),
    alpha: option(above(0), {
      symbol: 'α',
      help: 'concentration α of the Dirichlet process',
      fast: 10,
    }),
    covariance: option(oneOf('full', 'diag'), {
      help: 'covariance of each cluster',
      fast: 'full',
    }),
    priorScaleChoice: option(oneOf('learned', 'data-cov', 'isotropic', 'data-std'), {
      symbol: 'Ψ',
      help: 'scale matrix Ψ of the prior: learned from the clusters, c·Cov(X), c·I, or c·diag(std(X))',
      fast: 'learned',
      paper: 'isotropic',
    }),
    priorScale: option(above(0), {
      symbol: 'c',
      help: 'factor c of the prior’s scale matrix Ψ',
      fast: null,
      defaultText: '1 for learned, 0.3 for data-cov, else 0.005',
    }),
    coarsening: optional(atLeast(0), 'max(10000, 1000·D, max(100, 5·D)·K)', {
      symbol: 'n₀',
      help: 'temper split and merge ratios to n₀ points, ζ = min(1, n₀/n); 0: no tempering',
      paper: 0,
    }),
    initK: option(integer(1), {
      symbol: 'K',
      help: 'number K of initial clusters',
      fast: 1,
    }),
  }),
  ...of('Networks', {
    hidden: optional(widths(), '50; 256 with the graph likelihood', {
      help: 'widths of the clustering net’s hidden layers, such as 50 or 50,50',
    }),
    lr: option(above(0), {
      help: 'Adam learning rate of the clustering net',
      fast: 0.01,
      paper: 5e-4,
    }),
    subLr: option(above(0), {
      help: 'Adam learning rate of the sub-clustering nets',
      fast: 0.01,
      paper: 5e-3,
    }),
    batchSize: option(integer(1, MAX_BATCH_SIZE), {
      symbol: 'B',
      help: 'rows per local step; fewer if a shard has less than five batches',
      fast: 128,
    }),
    localSteps: option(integer(1, MAX_LOCAL_STEPS), {
      symbol: 'H',
      help: 'local steps H on each shard between two averages; 1: average gradients',
      fast: 10,
      paper: 1000,
    }),
  }),
  ...of('Encoder', {
    encoder: option(oneOf('none', 'autoencoder'), {
      help: 'learn features first, from all rows, and cluster these: autoencoder, for raw images and other rows of many columns',
      fast: 'none',
    }),
    encoderHidden: option(widths(), {
      help: 'widths of the encoder’s hidden layers; the decoder has the same in reverse',
      fast: [500, 500, 2000],
      defaultText: '500,500,2000',
    }),
    latent: optional(integer(1, 1024), '10, or half of the columns', {
      help: 'numbers in the latent vector of a row, which is clustered in its place',
    }),
    encoderEpochs: option(integer(1), {
      help: 'passes of the encoder over all rows',
      fast: 12,
    }),
    encoderLr: option(above(0), {
      help: 'largest Adam learning rate of the encoder: it rises in half an epoch, and falls to 0 along a cosine',
      fast: 1.5e-3,
    }),
    encoderBatch: option(integer(1, MAX_BATCH_SIZE), {
      help: 'rows in a step of the encoder',
      fast: 64,
    }),
    encoderSteps: option(integer(1, MAX_LOCAL_STEPS), {
      help: 'local steps of the encoder on each of its shards (two of the run’s) between two averages, about; fewer at first',
      fast: 512,
    }),
    alternations: option(integer(0), {
      help: 'how often the encoder learns from the clusters of its latent vectors, which are clustered again each time; fewer where they no longer change',
      fast: 0,
    }),
  }),
  ...of('Schedule', {
    schedule: option(oneOf('fast', 'paper'), {
      help: 'training schedule: fast, or that of the DeepDPM paper; also sets other defaults (docs/flags.md)',
      fast: 'fast',
    }),
    maxEpochs: option(integer(1), {
      help: 'maximum number of epochs',
      fast: 500,
      paper: 300,
    }),
    // Of UMAP embeddings (USPS, MNIST, Fashion-MNIST) every 4 epochs, and freezing for 1, are worse.
    splitMergeEvery: option(integer(1), {
      help: 'epochs from one split or merge step to the next, not counting those in which the mixture waits for the net',
      fast: 6,
      paper: 30,
    }),
    freeze: option(integer(0), {
      help: 'epochs for which the mixture is frozen at least after K changes (fast: longer, until the net has learned the clusters; 0: never)',
      fast: 2,
      paper: 5,
    }),
    earlyStop: option(yesOrNo(), {
      help: 'stop once split and merge steps change nothing any more, or only undo each other; --no-early-stop: never',
      fast: true,
      paper: false,
    }),
  }),
};

export type OptionName = keyof typeof OPTIONS;
export const options = Object.entries(OPTIONS) as [OptionName, Option][];

const CONTINUING = ['resume', 'finish'] as const;
const ALL = ['train', 'update', 'coordinator', ...CONTINUING] as const;
/** Commands that start workers here. */
const LOCAL = ['train', 'update', ...CONTINUING] as const;
const BOUND = ['coordinator', ...CONTINUING] as const;

/** Options of how a run is computed, shown and saved. None changes its result, but `backend` and `mixed` its last bits. */
export const RUN_OPTIONS = {
  ...of('Run', {
    dryRun: how(yesOrNo(), {
      commands: ['train'],
      isForTerminals: true,
      help: 'only say what would be read and done, with rough estimates of memory and time; nothing is written',
      fast: false,
    }),
    workers: how(fromCores(), {
      commands: LOCAL,
      alias: 'n-jobs',
      help: 'number of worker processes, −1: one per core, −2: all cores but one; does not affect the result',
      defaultText: 'one per core, at most --shards',
    }),
    gpus: how(
      { ...text(), isList: true },
      {
        commands: [...LOCAL, 'launch'],
        help: 'start workers on these GPUs: all, none, or numbers as in nvidia-smi (0,2)',
        defaultText: 'none',
      },
    ),
    perGpu: how(integer(1, 64), {
      commands: [...LOCAL, 'launch'],
      help: 'number of workers on each GPU',
      fast: 1,
    }),
  }),
  ...of('Backend', {
    backend: how(oneOf('auto', ...BACKENDS), {
      commands: [...LOCAL, 'worker', 'launch'],
      help: 'compute backend; auto: CUDA or else TensorFlow on the CPU if set up (dpmesh setup), otherwise wasm',
      fast: 'auto',
    }),
    requireGpu: how(yesOrNo(), {
      commands: [...LOCAL, 'worker', 'launch'],
      help: 'end with an error (exit code 2) instead of computing without a GPU',
      fast: false,
    }),
    gpu: how(integer(0), {
      commands: [...LOCAL, 'worker', 'launch'],
      help: 'index of the adapter for webgpu, from 0 (dpmesh doctor lists adapters)',
      fast: 0,
    }),
  }),
  ...of('Run', {
    out: how(text(), {
      commands: ALL,
      help: 'run directory',
      defaultText: 'runs/<data>',
    }),
    force: how(yesOrNo(), { commands: ALL, help: 'overwrite the run directory', fast: false }),
    json: how(yesOrNo(), {
      commands: ALL,
      isForTerminals: true,
      help: 'print the result as one JSON object',
      fast: false,
    }),
    events: how(yesOrNo(), {
      commands: ALL,
      isForTerminals: true,
      help: 'for programs: print each event as one line of JSON on stdout, and the result as the last; the run stops if its reader is gone',
      fast: false,
    }),
    report: how(yesOrNo(), {
      commands: ALL,
      help: 'draw pictures of the run and report.html in its folder report; --no-report: none',
      fast: true,
    }),
    heartbeatTimeout: how(seconds(), {
      commands: ALL,
      help: 'seconds of silence after which a worker’s shards are reassigned',
      fast: 5,
    }),
    checkpointEvery: how(seconds({ canBe0: true, most: Number.MAX_VALUE }), {
      commands: ALL,
      help: 'maximum seconds between checkpoints; 0: one per epoch. Split and merge steps always write one',
      fast: 30,
    }),
    mixed: how(yesOrNo(), {
      commands: ALL,
      help: 'accept workers of any numeric identity; bits then depend on which worker computes what',
      fast: false,
    }),
    sharedFiles: how(yesOrNo(), {
      commands: ALL,
      help: 'let workers read the data file themselves if they can; --no-shared-files: never',
      fast: true,
    }),
  }),
  ...of('Names', {
    nameWith: how(text(), {
      commands: ALL,
      help: 'after the run, ask a language model for names of the clusters: the address of an endpoint like OpenAI’s, such as http://localhost:11434/v1 (key: OPENAI_API_KEY); keywords and typical texts are sent there',
      defaultText: 'none, nothing is sent',
    }),
    nameModel: how(text(), { commands: ALL, help: 'the model that --name-with asks', defaultText: 'none' }),
  }),
  ...of('Monitoring', {
    http: how(address(), {
      commands: ALL,
      canBeOff: true,
      help: 'HOST:PORT of the live page and metrics; --no-http: none',
      defaultText: '127.0.0.1:9464, or a free port',
      inPrograms: 'off; true opens it at the usual address',
    }),
    httpToken: how(text(), {
      commands: ALL,
      help: 'token required for the page, its rows and to change the run over HTTP, not for metrics; mandatory unless --http is a loopback address',
      defaultText: 'DPMESH_HTTP_TOKEN, or none',
      inPrograms: 'none',
    }),
    linger: how(seconds({ canBe0: true, most: 1e6 }), {
      commands: ALL,
      help: 'seconds for which page and metrics stay available after the run',
      fast: 0,
    }),
  }),
  ...of('Run', {
    bind: how(text(), {
      commands: BOUND,
      help: 'start no workers; listen for workers at this address, tcp://HOST:PORT',
      fast: 'tcp://127.0.0.1:5555',
      inPrograms: 'none',
    }),
    keys: how(text(), {
      commands: BOUND,
      help: 'folder made by dpmesh keygen: encrypt connections and accept only its workers',
      defaultText: 'none, no encryption',
    }),
    insecure: how(yesOrNo(), {
      commands: BOUND,
      help: 'allow a --bind address that other machines can reach, without encryption or keys',
      fast: false,
    }),
  }),
};

export type RunOptionName = keyof typeof RUN_OPTIONS;
export const runOptions = Object.entries(RUN_OPTIONS) as [RunOptionName, RunOption][];

/** The values of these options, as a run has them. */
export type ValuesOf<Table extends Record<string, { read(value: unknown): unknown }>> = {
  [Name in keyof Table]: Exclude<ReturnType<Table[Name]['read']>, undefined>;
};

/** What flags show as the default of an option; undefined where there is none. */
export const shownDefault = ({ fast, defaultText }: Description<unknown>): string | undefined =>
  defaultText ?? (fast === undefined || fast === null ? undefined : String(fast));

/** A text about options, with each `--flag` as `name` calls it; `off`: what `--no-flag` is called. */
export const withNames = (text: string, name: (flag: string) => string, off: (flag: string) => string) =>
  text
    .replace(/--no-([a-z][\w-]*)/g, (_, flag: string) => off(flag))
    .replace(/--([a-z][\w-]*)/g, (_, flag: string) => name(flag));

/** An option as a flag. */
export const flagName = (name: string) => `--${kebabCase(name)}`;
