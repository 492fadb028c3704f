import type { OptionKinds } from './checks.ts';

/** Options of the public functions. Names and defaults are those of the command line's flags (docs/flags.md). */

/** A matrix in memory, row-major, of `values.length / columns` rows. */
export interface Rows {
  /** All values, row after row. Computation is in float32. The array is not modified. */
  values: Float32Array | Float64Array;
  /** Number of columns: a whole number, at least 1, that divides `values.length`. */
  columns: number;
}

/**
 * Rows: the path of an .npy, .npz, .safetensors, .h5ad, IDX (also .gz) or table, or of a folder of PNG and JPEG images, or rows in
 * memory. NaN and infinite values are rejected.
 */
export type Data = string | Rows;

/**
 * One label per row: the path of a 1-D .npy or IDX file, `FILE.csv:COLUMN` (a name, or a number counted from 1), `FILE.npz:ARRAY`, `FILE.h5ad:COLUMN`, a folder of
 * images (the names of the sub-folders that they lie in), or 32-bit integers in memory.
 */
export type LabelData = string | ArrayLike<number>;

/**
 * Options that determine the result, together with the data. An option that is left out has its default, as has one that is
 * `null` where its type allows that.
 * Defaults are those of the `fast` schedule; docs/flags.md also has those of `paper`. D is the number of columns after
 * `transform`, N the number of rows, K the number of clusters.
 */
export interface ModelOptions {
  /**
   * Columns of a table to cluster by: names (also patterns such as `emb*`) or numbers from 1, comma-separated or in an array. Of
   * a file of several arrays (.npz, safetensors, .h5ad): the name of one.
   * @defaultValue all but names, numbers and dates of rows
   */
  columns?: string | string[] | null;
  /**
   * Columns of a table to leave out, as in `columns`.
   * @defaultValue none
   */
  drop?: string | string[] | null;
  /**
   * Column of a table that names the rows. It is not clustered, and is kept in `labels.csv`.
   * @defaultValue none
   */
  id?: string | null;
  /**
   * Column of a table with the text of each row. It is not clustered; clusters are described by its words.
   * @defaultValue none
   */
  text?: string | null;
  /**
   * What to do with missing values of a table: put the `mean` or `median` of their column in their place, or `drop` the rows
   * that have them.
   * @defaultValue none, an error
   */
  impute?: 'mean' | 'median' | 'drop' | null;
  /**
   * Of a text table: its characters, such as `utf-8`, `cp1252` or `utf-16le`.
   * @defaultValue UTF-8, or found out
   */
  encoding?: string | null;
  /**
   * Of a text table: what is between its columns: a character, `tab`, or `blanks` for any number of them.
   * @defaultValue found out
   */
  sep?: string | null;
  /**
   * Of a text table: what is before the decimals of its numbers.
   * @defaultValue found out
   */
  decimal?: '.' | ',' | null;
  /**
   * Columns of categories to turn into columns of 0 and 1, one for each category but the most frequent one.
   * @defaultValue none
   */
  oneHot?: string | string[] | null;
  /**
   * Width × height in pixels to which the images of a folder are scaled: a number for both, or text such as `32x24`. Each from 1
   * to 1024.
   * @defaultValue their own, which must be the same for all
   */
  imageSize?: number | string | null;
  /**
   * Leave out images of a folder that cannot be decoded; else they are an error. `images.txt` in the run directory says which are
   * left.
   * @defaultValue false
   */
  skipBad?: boolean;
  /**
   * Transform of the rows before clustering: `center` subtracts the mean, `normalize` scales rows to unit length, `standard`
   * scales columns to variance 1, `min-max` scales each column to the range 0 to 1, `min-max-global` all of them by one range,
   * `pca:AXES` projects onto that many principal axes, `pca:0.95` onto the fewest that hold this share of the variance, `none` keeps rows as they are. `auto` is `standard`, but for more than 32 columns it is what suits the likelihood.
   * @defaultValue `auto`
   */
  transform?:
    | 'auto'
    | 'center'
    | 'normalize'
    | 'standard'
    | 'min-max'
    | 'min-max-global'
    | 'none'
    | `pca:${number}`;
  /**
   * Approximate number of rows to train on, a whole number; 0 trains on all rows. All rows are labelled in any case. The default
   * grows with K.
   * @defaultValue max(20000, 1000·D); 40000 with an encoder
   */
  sample?: number | null;
  /**
   * Number of times to repeat the run afterwards, each on another half of the sample, from 2 to 100: `replicates` in the
   * result then says how far K and the clusters depend on the rows drawn. Changes nothing else.
   * @defaultValue none
   */
  replicates?: number | null;
  /**
   * Also compute the responsibilities (N×K, float32), written to `responsibilities.npy` in the run directory.
   * @defaultValue false
   */
  soft?: boolean;
  /**
   * A quantile, above 0 and below 1, such as 0.99: rows farther from the centre than that share of the rows of their cluster are −1
   * in the column `cluster_or_outlier` of `labels.csv`.
   * @defaultValue none, no such column
   */
  outliers?: number | null;
  /**
   * Also write `labels.parquet`, the same table as `labels.csv`.
   * @defaultValue false
   */
  labelsParquet?: boolean;
  /**
   * Random seed: a whole number from 0 to 2^64 − 1, above 2^53 as text or bigint. The same seed gives the same bytes.
   * @defaultValue 0
   */
  seed?: number | bigint | string;
  /**
   * Number S of data shards, from 1 to the number of rows; auto: 8, fewer below 4,000 rows. More workers than shards are idle.
   * Changes the result.
   * @defaultValue auto
   */
  shards?: number | 'auto';
  /**
   * What makes rows a cluster: `gaussian`, a Gaussian distribution; `graph`, the graph of nearest neighbours, for embeddings of
   * many columns. `auto` decides by the data.
   * @defaultValue `auto`
   */
  likelihood?: 'auto' | 'gaussian' | 'graph';
  /**
   * About how many clusters are wanted, from 2: the graph likelihood takes a resolution for them, and where more are found, those whose
   * union costs least are joined. A mixture has no more than the evidence supports. Not with `resolution`.
   * @defaultValue none, the data decide
   */
  clusters?: number | null;
  /**
   * Resolution γ of the graph likelihood, above 0 and below 512; a larger one finds more clusters.
   * @defaultValue that at which partitions of other samples agree most
   */
  resolution?: number | null;
  /**
   * Concentration α of the Dirichlet process; above 0. A larger value favours more clusters.
   * @defaultValue 10
   */
  alpha?: number;
  /**
   * Covariance of each cluster: a full D×D matrix, or only its diagonal.
   * @defaultValue `full`
   */
  covariance?: 'full' | 'diag';
  /**
   * Scale matrix Ψ of the normal-inverse-Wishart prior: `learned` c·(ν − D − 1) times the mean covariance of the clusters, which
   * is learned during the run, `data-cov` c·Cov(X), `isotropic` c·I, `data-std` c·diag(std(X)), with c from `priorScale`.
   * @defaultValue `learned`
   */
  priorScaleChoice?: 'learned' | 'data-cov' | 'isotropic' | 'data-std';
  /**
   * Factor c of the prior's scale matrix Ψ; above 0.
   * @defaultValue 1 for learned, 0.3 for data-cov, else 0.005
   */
  priorScale?: number;
  /**
   * Degrees of freedom ν of the prior; at least D + 1, and above it if Ψ is learned.
   * @defaultValue 2·D + 1 for learned, else D + 2
   */
  priorNu?: number | null;
  /**
   * Pseudo-count κ of the prior mean, in rows; above 0.
   * @defaultValue 0.0001
   */
  priorKappa?: number;
  /**
   * Constant that is added to the proportion n_k/n of each cluster; at least 0.
   * @defaultValue 0
   */
  weightSmoothing?: number;
  /**
   * Number of rows n₀ to which the Hastings ratios of splits and merges are tempered: the statistics of the
   * n rows trained on are multiplied by ζ = min(1, n₀/n). At least 0; 0 disables tempering.
   * @defaultValue max(10000, 1000·D, max(100, 5·D)·K)
   */
  coarsening?: number | null;
  /**
   * Number of initial clusters, from 1 to the number of rows trained on.
   * @defaultValue 1
   */
  initK?: number;
  /**
   * Widths of the clustering net's hidden layers: an array, or text such as `50,50`. Each from 1 to 99999.
   * @defaultValue 50; 256 with the graph likelihood
   */
  hidden?: number[] | string | null;
  /**
   * Adam learning rate of the clustering net; above 0.
   * @defaultValue 0.01
   */
  lr?: number;
  /**
   * Adam learning rate of the sub-clustering nets; above 0.
   * @defaultValue 0.01
   */
  subLr?: number;
  /**
   * Rows per local step of the clustering net, from 1 to 1048576. If the smallest shard has less than five batches, batches
   * are smaller: a tenth of its rows, but at least 16.
   * @defaultValue 128
   */
  batchSize?: number;
  /**
   * Optimizer steps on each shard between two averages of the weights, from 1 to 100000, but at most the number of batches
   * of the smallest shard (sub-clustering nets: at most 10). With 1, gradients are averaged instead of weights.
   * @defaultValue 10
   */
  localSteps?: number;
  /**
   * Loss of the clustering net (docs/algorithm.md, section 5).
   * @defaultValue `kl`
   */
  clusterLoss?: 'kl' | 'isotropic' | 'diag';
  /**
   * Loss of the sub-clustering nets (docs/algorithm.md, section 5).
   * @defaultValue `isotropic`
   */
  subLoss?: 'isotropic' | 'kl';
  /**
   * Features that are learned first, and clustered in place of the rows: `autoencoder`, from all rows, for raw images and other
   * rows of many columns.
   * @defaultValue none
   */
  encoder?: 'none' | 'autoencoder';
  /**
   * Widths of the encoder's hidden layers; the decoder has the same in reverse.
   * @defaultValue 500,500,2000
   */
  encoderHidden?: readonly number[];
  /**
   * Numbers in the code of a row, from 1 to 1024, fewer than the columns.
   * @defaultValue 10, or half of the columns
   */
  latent?: number | null;
  /**
   * Passes of the encoder over all rows; at least 1.
   * @defaultValue 12
   */
  encoderEpochs?: number;
  /**
   * Largest Adam learning rate of the encoder, above 0: it rises in half an epoch, and falls to 0 along a cosine.
   * @defaultValue 0.0015
   */
  encoderLr?: number;
  /**
   * Rows in a step of the encoder; at least 1.
   * @defaultValue 64
   */
  encoderBatch?: number;
  /**
   * Local steps of the encoder on each of its shards (two of the run's) between two averages, about; fewer at first; at least 1.
   * @defaultValue 512
   */
  encoderSteps?: number;
  /**
   * Standard deviation of noise that is added to the encoder's inputs, which have variance 1: it learns to remove it. At least 0.
   * @defaultValue 0.5
   */
  encoderNoise?: number;
  /**
   * How often the encoder learns from the clusters of its codes, which are clustered again each time, from 0; fewer where they no longer
   * change.
   * @defaultValue 0
   */
  alternations?: number;
  /**
   * Passes of the encoder over all rows in each alternation; at least 1.
   * @defaultValue 2
   */
  alternationEpochs?: number;
  /**
   * Training schedule. `paper` is that of the DeepDPM paper; it also changes the defaults of other options (docs/flags.md).
   * @defaultValue `fast`
   */
  schedule?: 'fast' | 'paper';
  /**
   * Maximum number of epochs, at least 1.
   * @defaultValue 500
   */
  maxEpochs?: number;
  /**
   * Number of epochs between a split step and the next merge step, and the reverse; at least 1. Epochs in which the mixture
   * stays frozen because the net still learns the clusters of the step before do not count.
   * @defaultValue 6
   */
  splitMergeEvery?: number;
  /**
   * Number of epochs for which the mixture is frozen after a change of K, while the nets train; at least 0. In the
   * schedule `fast` it stays frozen for longer, unless this is 0, where the net has not yet learned the clusters.
   * @defaultValue 2
   */
  freeze?: number;
  /**
   * Stop training once split and merge steps change nothing any more, or only undo each other. If false, all `maxEpochs` epochs
   * are run.
   * @defaultValue true
   */
  earlyStop?: boolean;
}

/**
 * How a run is computed, monitored and saved. None of these options changes the result, except that `backend` and `mixed`
 * affect its last bits.
 */
export interface RunOptions {
  /**
   * The run directory (docs/run-directory.md).
   * @defaultValue `runs/NAME-OF-THE-DATA`, or the first free `runs/NAME-2` …; for `resume`, the run's own
   */
  out?: string;
  /**
   * Overwrite the run in `out`. If false, a directory that is not empty is rejected.
   * @defaultValue false
   */
  force?: boolean;
  /**
   * Draw pictures of the run and `report.html`, in the folder `report` of the run directory (docs/report.md).
   * @defaultValue true
   */
  report?: boolean;
  /**
   * Number of worker processes on this machine; −1: one per core, −2: all cores but one (at most `shards`). Not with `gpus` or `bind`.
   * @defaultValue one per core, at most `shards`
   */
  workers?: number;
  /**
   * Start workers on these GPUs: `all`, `none`, or comma-separated numbers as in nvidia-smi (`0,2`). Not with `workers` or
   * `bind`.
   * @defaultValue none
   */
  gpus?: string;
  /**
   * Number of workers on each of `gpus`, from 1 to 64.
   * @defaultValue 1
   */
  perGpu?: number;
  /**
   * Compute backend. `auto` selects CUDA or else TensorFlow on the CPU if they are set up (`dpmesh setup`), otherwise wasm.
   * Different backends give results that differ in their last bits.
   * @defaultValue `auto`; for `resume`, that of the run
   */
  backend?: 'auto' | 'wasm' | 'cpu' | 'tensorflow' | 'webgpu';
  /**
   * Reject with a `UserError` if no GPU can be used, instead of computing on the CPU.
   * @defaultValue false
   */
  requireGpu?: boolean;
  /**
   * Index of the adapter for the backend `webgpu`, from 0 (`dpmesh doctor` lists adapters).
   * @defaultValue 0
   */
  gpu?: number;
  /**
   * Start no workers; instead listen at this address, `tcp://HOST:PORT`, for workers that are started elsewhere. Port
   * `*`: any free one.
   */
  bind?: string;
  /** With `bind`: a folder made by `dpmesh keygen`. Connections are encrypted, and only workers with its keys may join. */
  keys?: string;
  /**
   * With `bind`: allow an address that other machines can reach, without encryption or keys.
   * @defaultValue false
   */
  insecure?: boolean;
  /**
   * Seconds of silence after which a worker's shards are reassigned to other workers; above 0.
   * @defaultValue 5
   */
  heartbeatTimeout?: number;
  /**
   * Maximum number of seconds between checkpoints, at least 0; 0 writes one every epoch. Split and merge steps always write
   * one.
   * @defaultValue 30
   */
  checkpointEvery?: number;
  /**
   * Accept workers of different numeric identities. The last bits of the result then depend on which worker computes what.
   * @defaultValue false
   */
  mixed?: boolean;
  /**
   * Let workers read the data file themselves if they can. If false, the coordinator sends them the rows.
   * @defaultValue true
   */
  sharedFiles?: boolean;
  /**
   * Serve the live page and metrics at this `HOST:PORT`. True: at 127.0.0.1:9464, or at a free port if that one is in use.
   * @defaultValue false
   */
  http?: boolean | string;
  /** Token required for the page, its rows and to change the run over HTTP, not for metrics and health. Mandatory unless `http` is a loopback address. */
  httpToken?: string;
  /**
   * Seconds for which page and metrics stay available after the run, from 0 to 1e6.
   * @defaultValue 0
   */
  linger?: number;
  /** Stops the run: what has been computed is saved in the run directory, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
  /** Called with messages for people, such as the address of the page. Warnings are events. */
  log?: (line: string) => void;
  /** Called with how far the reading of a table or of images is, many times a second: a text that the next one replaces. */
  status?: (text: string) => void;
}

/** Options of `train`. */
export interface TrainOptions extends ModelOptions, RunOptions {
  /**
   * The rows to cluster, N of at least 2. Rows in memory are written to a temporary file, which is removed after the run.
   */
  data: Data;
  /**
   * True classes, one per row. They are used for the scores only, not for training. If they are a column of the data
   * file, that column is not clustered.
   */
  labels?: LabelData | null;
}

/** Options of `resume`. */
export interface ResumeOptions extends RunOptions {
  /** The run directory of the run to resume. */
  run: string;
  /** The checkpoint file to resume from; by default the newest that can be read. */
  from?: string;
  /** The same rows as before. Needed if they were in memory, or if their file has moved. */
  data?: Data;
  /** The true classes. Needed if they were in memory, or if their file has moved. */
  labels?: LabelData | null;
  /**
   * Another limit than the run's: it goes on beyond the old one, or where it was asked to end early, also if it is finished. The
   * result has the same bytes as that of a run with this limit from the start. Not with `alternations`.
   */
  maxEpochs?: number;
  /**
   * Train no further: all rows are labelled as of the newest checkpoint. Of an encoder that still learned, the codes are clustered.
   * @defaultValue false
   */
  finish?: boolean;
}

/** Options of `cut`. */
export interface CutOptions {
  /** The directory of a finished run. */
  run: string;
  /** The number of clusters that are left, from 1 to that of the run. */
  clusters: number;
  /**
   * Write the labels to this file, by its ending: .npy (int32, N), or a table with what names the rows of the run, .csv or .parquet.
   */
  out?: string;
  /** Overwrite an existing file. If false, it is an error. */
  force?: boolean;
}

/** Options of `predict`. */
export interface PredictOptions {
  /** The directory of a finished run. */
  run: string;
  /** The rows to label, with as many columns as the run's own data. Arrays must not change until the promise settles. */
  data: Data;
  /** Leave out images of a folder that cannot be decoded; else they are an error. */
  skipBad?: boolean;
  /**
   * Write the labels to this file, by its ending: .npy (int32, N), which is read again when `labels` are first accessed, or a table
   * with the columns of `labels.csv`, as far as they are known: .csv or .parquet.
   */
  out?: string;
  /** Also compute responsibilities, N×K, float32: true keeps them in memory, a path writes them to that .npy file. */
  soft?: boolean | string;
  /**
   * Write the paths of the images to this text file, one a line, in the order of the labels. Only where `data` is a folder of
   * images.
   */
  images?: string;
  /**
   * Label with so many clusters instead of those of the run, from 1 to their number: those that `cut` gives, joined by the tree of
   * merges. Responsibilities of clusters that are joined are added.
   */
  clusters?: number;
  /** Overwrite existing files. If false, they are an error. */
  force?: boolean;
  /** Cancels the call: no files are written, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
  /**
   * Called with messages for people, on how this differs from the run: another backend, or a CSV column that is left out.
   */
  log?: (line: string) => void;
  /** Called with how far reading and labelling are, many times a second: a text that the next one replaces. */
  status?: (text: string) => void;
}

/** Options of `evaluate`. */
export interface EvaluateOptions {
  /** Predicted labels, one per row. */
  pred: LabelData;
  /** True classes of the same rows, in the same order. */
  labels: LabelData;
}

/** Options of `synth`. */
export interface SynthOptions {
  /**
   * Number of clusters, from 1 to 10,000.
   * @defaultValue 15
   */
  clusters?: number;
  /**
   * Number of points to draw, from 1 to 2^40.
   * @defaultValue 10000
   */
  points?: number;
  /**
   * Number of dimensions, from 1 to 1024. clusters·dim² may be at most 2^26.
   * @defaultValue 2
   */
  dim?: number;
  /**
   * Random seed: a whole number from 0 to 2^64 − 1, above 2^53 as text or bigint. The same seed gives the same bytes.
   * @defaultValue 0
   */
  seed?: number | bigint | string;
  /** Write the points to this .npy file (float32, points × dim) instead of keeping them in memory. Requires `labels`. */
  out?: string;
  /** Write the cluster of each point to this .npy file (int32). Requires `out`. */
  labels?: string;
  /** Overwrite existing files. If false, they are an error. */
  force?: boolean;
  /** Called repeatedly with the number of points done so far. */
  onProgress?: (done: number) => void;
  /** Cancels the call: no files are written, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
}

/** The default address of the live page and metrics. Prometheus configurations in dashboards/ expect this port. */
export const DEFAULT_HTTP = { host: '127.0.0.1', port: 9464 };

/** What each of `RunOptions` is. */
export const RUN_OPTION_KINDS: OptionKinds<RunOptions> = {
  out: 'output',
  force: 'boolean',
  report: 'boolean',
  workers: 'number',
  gpus: 'string',
  perGpu: 'number',
  backend: 'string',
  requireGpu: 'boolean',
  gpu: 'number',
  bind: 'string',
  keys: 'string',
  insecure: 'boolean',
  heartbeatTimeout: 'number',
  checkpointEvery: 'number',
  mixed: 'boolean',
  sharedFiles: 'boolean',
  http: ['boolean', 'string'],
  httpToken: 'string',
  linger: 'number',
  signal: 'signal',
  log: 'function',
  status: 'function',
};
/** The names of `RunOptions`. */
export const RUN_OPTIONS = Object.keys(RUN_OPTION_KINDS) as (keyof RunOptions)[];
