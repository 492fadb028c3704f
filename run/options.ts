import { MAX_BATCH_SIZE, MAX_LOCAL_STEPS } from '../proto/task-limits.ts';
import {
  above,
  atLeast,
  between,
  columnNames,
  imageSize,
  integer,
  inWords,
  nullable,
  oneOf,
  seed,
  separator,
  shards,
  text,
  transform,
  widths,
  yesOrNo,
} from './domains.ts';
import { type Option, of, option, optional } from './option.ts';

/** The options that are a run's identity, or that of an update: what their results depend on, beside the data, and run.json has. */

/**
 * Options that are a run's identity: with the data they determine its result. Their defaults are only shown by flags, not set,
 * because those of a config file take precedence.
 */
export const OPTIONS = {
  ...of('Data', {
    data: option(text(), {
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
    components: option(yesOrNo(), {
      help: 'also write which component of the mixture each row is in: components.npy, and a column of tables',
      fast: false,
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
      help: 'resolution γ of the graph likelihood; a larger one finds more clusters',
    }),
    shapes: option(oneOf('auto', 'off'), {
      help: 'clusters of any shape: components of a Gaussian mixture are joined where the rows between them show no valley of density; off: each component is a cluster',
      fast: 'auto',
      paper: 'off',
    }),
    noise: option(yesOrNo(), {
      help: 'rows that are in no cluster get the label -1: where a Gaussian mixture has evidence of such, they are a background of even density',
      fast: false,
    }),
    alpha: option(above(0), {
      help: 'concentration α of the Dirichlet process',
      fast: 10,
    }),
    covariance: option(oneOf('full', 'diag'), {
      help: 'covariance of each cluster',
      fast: 'full',
    }),
    priorScaleChoice: option(oneOf('learned', 'data-cov', 'isotropic', 'data-std'), {
      help: 'scale matrix Ψ of the prior: learned from the clusters, c·Cov(X), c·I, or c·diag(std(X))',
      fast: 'learned',
      paper: 'isotropic',
    }),
    priorScale: option(above(0), {
      help: 'factor c of the prior’s scale matrix Ψ',
      fast: null,
      defaultText: '1 for learned, 0.3 for data-cov, else 0.005',
    }),
    coarsening: optional(atLeast(0), 'max(10000, 1000·D, max(100, 5·D)·K)', {
      help: 'temper split and merge ratios to n₀ points, ζ = min(1, n₀/n); 0: no tempering',
      paper: 0,
    }),
    initK: option(integer(1), {
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
      help: 'rows per local step; fewer if a shard has less than five batches',
      fast: 128,
    }),
    localSteps: option(integer(1, MAX_LOCAL_STEPS), {
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
export const options = Object.entries(OPTIONS) as [OptionName, Option & { group: string }][];

/** What `update` has beside the options of a session. */
export const UPDATE_OPTIONS = {
  ...of('Data', {
    text: option(text(), {
      help: 'column of a table with the texts of the new rows, for words of clusters',
      defaultText: 'that of the run',
    }),
    texts: option(nullable(text()), {
      help: 'file with the texts of the new rows: .txt (also .txt.gz) with a line for each, or a table, of which --text names the column; also an address',
      defaultText: 'none',
    }),
    halfLife: option(inWords(above(0), 'a number of rows above 0'), {
      help: 'rows after which one counts half as much as a new one; clusters of old rows then fade',
      defaultText: 'none, all rows count the same',
      stored: 'halfLife',
    }),
    refitTransform: option(yesOrNo(), {
      help: 'estimate the transform anew, by the sample, and train from one cluster, as after a column is measured otherwise',
      fast: false,
      stored: 'refit',
    }),
  }),
  ...of('Output', {
    relabel: option(yesOrNo(), {
      help: 'label all earlier rows too, from where they were: relabelled/0.npy of the first run, 1.npy …',
      fast: false,
      stored: 'relabel',
    }),
    inPlace: option(yesOrNo(), {
      help: 'replace the run by the new one once this is complete, instead of --out',
      fast: false,
      stored: 'inPlace',
    }),
  }),
};
