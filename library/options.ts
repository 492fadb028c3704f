/** The options of the public functions. Their names and defaults are those of the command line's flags (docs/flags.md). */

/** Rows in memory: row-major, `values.length / columns` rows. */
export interface Rows {
  values: Float32Array | Float64Array;
  /** Values in a row. */
  columns: number;
}

/** Rows to cluster: the path of an .npy, IDX (also .gz) or CSV file, or rows in memory. */
export type Data = string | Rows;

/** A class for each row: the path of a 1-D .npy or IDX file, `file.csv:column`, or whole numbers in memory. */
export type LabelData = string | ArrayLike<number>;

/** What the result depends on, besides the data. `null` stands for the default. */
export interface ModelOptions {
  /**
   * What is done to the rows first: `center`, `normalize` (unit rows), `standard`, `min-max`, `none`, or `pca:AXES`.
   * @defaultValue `center`
   */
  transform?: 'center' | 'normalize' | 'standard' | 'min-max' | 'none' | `pca:${number}`;
  /**
   * Rows to train on; all rows get labels anyway; 0: all.
   * @defaultValue max(20000, 1000·D)
   */
  sample?: number | null;
  /**
   * Write `responsibilities.npy` too: N×K, float32.
   * @defaultValue false
   */
  soft?: boolean;
  /**
   * The same seed gives the same bytes. A whole number from 0 to 2^64 − 1; above 2^53 as text or bigint.
   * @defaultValue 0
   */
  seed?: number | bigint | string;
  /**
   * Logical shards of the data, S: no more workers than this are of use. Changes the result.
   * @defaultValue 8
   */
  shards?: number;
  /**
   * Concentration α of the Dirichlet process; above 0.
   * @defaultValue 10
   */
  alpha?: number;
  /**
   * Covariance of a cluster.
   * @defaultValue `full`
   */
  covariance?: 'full' | 'diag';
  /**
   * Scale matrix Ψ of the prior: c·Cov(X), c·I, or c·diag(std(X)).
   * @defaultValue `data-cov`
   */
  priorScaleChoice?: 'data-cov' | 'isotropic' | 'data-std';
  /**
   * The factor c of Ψ; above 0.
   * @defaultValue 0.3 for data-cov, else 0.005
   */
  priorScale?: number;
  /**
   * Degrees of freedom ν of the prior; at least D + 1.
   * @defaultValue D + 2
   */
  priorNu?: number | null;
  /**
   * Pseudo-count κ of the prior mean, in points; above 0.
   * @defaultValue 0.0001
   */
  priorKappa?: number;
  /**
   * Added to the proportion of each cluster.
   * @defaultValue 0
   */
  weightSmoothing?: number;
  /**
   * Points n₀ that split and merge ratios are tempered to, ζ = min(1, n₀/n); 0: no tempering.
   * @defaultValue max(10000, 1000·D)
   */
  coarsening?: number | null;
  /**
   * Clusters to start from.
   * @defaultValue 1
   */
  initK?: number;
  /**
   * Widths of the clustering net's hidden layers.
   * @defaultValue 50
   */
  hidden?: number[] | string;
  /**
   * Learning rate (Adam) of the clustering net.
   * @defaultValue 0.01
   */
  lr?: number;
  /**
   * Learning rate (Adam) of the sub-clustering nets.
   * @defaultValue 0.01
   */
  subLr?: number;
  /**
   * Rows in a local step; fewer where a shard has less than five batches.
   * @defaultValue 128
   */
  batchSize?: number;
  /**
   * Local steps of each shard between two averages; 1: average gradients.
   * @defaultValue 10
   */
  localSteps?: number;
  /**
   * Loss of the clustering net.
   * @defaultValue `kl`
   */
  clusterLoss?: 'kl' | 'isotropic' | 'diag';
  /**
   * Loss of the sub-clustering nets.
   * @defaultValue `isotropic`
   */
  subLoss?: 'isotropic' | 'kl';
  /**
   * `paper` takes the paper's schedule and the other defaults of docs/flags.md.
   * @defaultValue `fast`
   */
  schedule?: 'fast' | 'paper';
  /**
   * Epochs at most.
   * @defaultValue 200
   */
  maxEpochs?: number;
  /**
   * Epochs between a split step and a merge step.
   * @defaultValue 6
   */
  splitMergeEvery?: number;
  /**
   * Epochs for which the mixture stays as it is after a change of K.
   * @defaultValue 2
   */
  freeze?: number;
  /**
   * Stop when splits and merges change nothing more.
   * @defaultValue true
   */
  earlyStop?: boolean;
}

/** Where a run is computed, and what becomes of it; none of this changes its result. */
export interface RunOptions {
  /**
   * The run directory.
   * @defaultValue `runs/NAME-OF-THE-DATA`, or the first free `runs/NAME-2` …; for `resume`, the run's own
   */
  out?: string;
  /**
   * Replace a run that is in `out`.
   * @defaultValue false
   */
  force?: boolean;
  /**
   * Draw the pictures of the run and `report.html` in its folder `report`.
   * @defaultValue true
   */
  report?: boolean;
  /**
   * Worker processes on this machine.
   * @defaultValue one a core, at most `shards`
   */
  workers?: number;
  /**
   * One worker for each of these GPUs instead of `workers`: `all`, or numbers as nvidia-smi counts (`0,2`).
   * @defaultValue none
   */
  gpus?: string;
  /**
   * Workers on each of `gpus`.
   * @defaultValue 1
   */
  perGpu?: number;
  /**
   * `auto`: CUDA, else TensorFlow, where set up (`dpmesh setup`), else wasm. Changes the last bits of the result.
   * @defaultValue `auto`; for `resume`, that of the run
   */
  backend?: 'auto' | 'wasm' | 'cpu' | 'tensorflow' | 'webgpu';
  /**
   * Reject rather than compute without a GPU.
   * @defaultValue false
   */
  requireGpu?: boolean;
  /**
   * The adapter that webgpu takes, counted from 0 (`dpmesh doctor` lists them).
   * @defaultValue 0
   */
  gpu?: number;
  /** No workers here: listen for them at this address, `tcp://HOST:PORT`. */
  bind?: string;
  /** With `bind`: the folder of `dpmesh keygen`. Connections are encrypted, and only its workers are let in. */
  keys?: string;
  /**
   * With `bind`: allow an address that other machines reach, without encryption or keys.
   * @defaultValue false
   */
  insecure?: boolean;
  /**
   * Seconds of silence after which a worker's shards are assigned to others.
   * @defaultValue 5
   */
  heartbeatTimeout?: number;
  /**
   * Seconds between checkpoints, at most; 0: one each epoch. Splits and merges always have one.
   * @defaultValue 30
   */
  checkpointEvery?: number;
  /**
   * Let in workers of any numeric identity: the bits then depend on which worker computes what.
   * @defaultValue false
   */
  mixed?: boolean;
  /**
   * Workers read the data file themselves where they can.
   * @defaultValue true
   */
  sharedFiles?: boolean;
  /**
   * `HOST:PORT` of the live page and the metrics; true: 127.0.0.1:9464, or a free port where that is taken.
   * @defaultValue false
   */
  http?: boolean | string;
  /** A token that is needed to pause, checkpoint or stop the run over HTTP; required off loopback. */
  httpToken?: string;
  /**
   * Seconds for which page and metrics stay when the run is over.
   * @defaultValue 0
   */
  linger?: number;
  /** Ends the run in order: what was computed stays in its directory, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
  /** Receives lines for people, such as the address of the page. Warnings come as events. */
  log?: (line: string) => void;
}

export interface TrainOptions extends ModelOptions, RunOptions {
  /** The rows to cluster. Rows in memory are written to a temporary file, which is removed after the run. */
  data: Data;
  /** True classes, for the scores alone: training never sees them. A column of a CSV that is the data too is left out. */
  labels?: LabelData | null;
}

export interface ResumeOptions extends RunOptions {
  /** The directory of the run. */
  run: string;
  /** A checkpoint file to go on from; by default the newest that can be read. */
  from?: string;
  /** The rows, where they are no longer where they were or were in memory. They must be the same. */
  data?: Data;
  /** True classes, likewise. */
  labels?: LabelData | null;
}

export interface PredictOptions {
  /** The directory of a finished run. */
  run: string;
  /** New rows, with as many columns as the run's own. */
  data: Data;
  /** Also write the labels to this .npy (int32), which may be larger than memory. */
  out?: string;
  /** Responsibilities too: true, or the path of an .npy (float32, N×K) to write them to. */
  soft?: boolean | string;
  /** Replace files that exist. */
  force?: boolean;
  /** Stops the work: nothing is written, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
  /** Receives lines for people: what differs from the run. */
  log?: (line: string) => void;
}

export interface EvaluateOptions {
  /** Predicted labels. */
  pred: LabelData;
  /** True classes, in the same order. */
  labels: LabelData;
}

export interface SynthOptions {
  /**
   * Clusters of the mixture.
   * @defaultValue 15
   */
  clusters?: number;
  /**
   * Points to draw.
   * @defaultValue 10000
   */
  points?: number;
  /**
   * Dimensions of a point.
   * @defaultValue 2
   */
  dim?: number;
  /**
   * The same seed gives the same bytes. A whole number from 0 to 2^64 − 1; above 2^53 as text or bigint.
   * @defaultValue 0
   */
  seed?: number | bigint | string;
  /** Write the points to this .npy (float32) instead of keeping them in memory; needs `labels`. */
  out?: string;
  /** Write the cluster of each point to this .npy (int32); needs `out`. */
  labels?: string;
  /** Replace files that exist. */
  force?: boolean;
  /** Told now and then how many points are done. */
  onProgress?: (done: number) => void;
  /** Stops the work: nothing is written, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
}

/** Where Prometheus looks by default. */
export const DEFAULT_HTTP = { host: '127.0.0.1', port: 9464 };

const runOptions: Record<keyof RunOptions, true> = {
  out: true,
  force: true,
  report: true,
  workers: true,
  gpus: true,
  perGpu: true,
  backend: true,
  requireGpu: true,
  gpu: true,
  bind: true,
  keys: true,
  insecure: true,
  heartbeatTimeout: true,
  checkpointEvery: true,
  mixed: true,
  sharedFiles: true,
  http: true,
  httpToken: true,
  linger: true,
  signal: true,
  log: true,
};
/** The names of `RunOptions`. */
export const RUN_OPTIONS = Object.keys(runOptions) as (keyof RunOptions)[];
