// Written by `npm run options` from the tables of options.

/** Options that determine the result, together with the data. One that is left out has its default: that of the schedule `fast` is shown. D is the number of columns after `transform`, K that of clusters. */
export interface ModelOptions {
  /** Columns of a table to cluster by, by name (also a*) or number from 1, comma-separated; the array of an .npz, safetensors or .h5ad file. @defaultValue all but names, numbers and dates of rows */
  columns?: string | readonly string[] | null;
  /** Columns of a table to leave out, as in `columns`. @defaultValue none */
  drop?: string | readonly string[] | null;
  /** Column of a table that names the rows: not clustered, kept in the output. @defaultValue none */
  id?: string | null;
  /** Column of a table with the text of each row: not clustered, used to describe clusters by keywords, typical texts and names. @defaultValue none */
  text?: string | null;
  /** File with the texts of the rows, where the data have none: .txt (also .txt.gz) with a line for each row, or a table, of which `text` names the column; also an address. @defaultValue none */
  texts?: string | null;
  /** Words in fewer texts are no keywords (a whole number, at least 1). @defaultValue 1 */
  minDf?: number;
  /** Weigh keywords by BM25, which has less of words that are in the texts of all clusters. @defaultValue false */
  bm25Weighting?: boolean;
  /** Weigh keywords by the square root of how often they are, so that frequent ones count less. @defaultValue false */
  reduceFrequentWords?: boolean;
  /** Missing values of a table: mean or median of their column in their place, or drop the rows that have them. @defaultValue none, an error */
  impute?: 'mean' | 'median' | 'drop' | null;
  /** Of a text table: its characters, such as utf-8, cp1252 or utf-16le. @defaultValue UTF-8, or found out */
  encoding?: string | null;
  /** Of a text table: what is between its columns. @defaultValue found out */
  sep?: string | null;
  /** Of a text table: what is before the decimals of its numbers. @defaultValue found out */
  decimal?: '.' | ',' | null;
  /** Columns of categories: within a cluster each category has a probability, independent of the other columns (transforms that mix columns, and more than 32 columns: as columns of 0 and 1). @defaultValue none */
  categorical?: string | readonly string[] | null;
  /** Columns of positive numbers to cluster by their logarithms, by name (also a*) or number from 1; auto: those with a long tail, which would be cut into several clusters. @defaultValue none */
  logarithm?: string | readonly string[] | null;
  /** Width × height in pixels to which the images of a folder are scaled, such as 28 or 32x24. @defaultValue their own, which must be the same for all */
  imageSize?: number | string | null;
  /** Leave out images of a folder that cannot be decoded. @defaultValue false */
  skipBad?: boolean;
  /** Input transform: center, normalize (unit rows), standard, min-max, min-max-global (one range for all columns), none, pca:<axes>, pca:<share> (as many axes as hold that share of the variance); auto: standard, or what suits an embedding (paper schedule: normalize, of up to 4 columns center). @defaultValue auto */
  transform?:
    | 'auto'
    | 'center'
    | 'normalize'
    | 'standard'
    | 'min-max'
    | 'min-max-global'
    | 'none'
    | `pca:${number}`;
  /** Approximate number of rows to train on; 0: all. All rows are labelled (a whole number, at least 0). @defaultValue max(20000, 1000·D); 40000 with an encoder */
  sample?: number | null;
  /** Graph likelihood: near copies of a row are rows of the graph too, not one row that weighs as much as they do. @defaultValue false */
  keepCopies?: boolean;
  /** How often the run is repeated afterwards, each time on another half of the sample, such as 8: how far K and the clusters depend on the rows (a whole number from 2 to 100). @defaultValue none */
  replicates?: number | null;
  /** Also write responsibilities.npy, N×K. @defaultValue false */
  soft?: boolean;
  /** Also write which component of the mixture each row is in: components.npy, and a column of tables. @defaultValue false */
  components?: boolean;
  /** Also write labels.parquet, the same table as labels.csv. @defaultValue false */
  labelsParquet?: boolean;
  /** File: the coordinator writes labels, confidences and distances; shards: workers write them, in parts, into the run directory, which they have to see; without labels.csv. @defaultValue file */
  labelsOut?: 'file' | 'shards';
  /** Random seed; the same seed gives the same bytes. @defaultValue 0 */
  seed?: number | bigint | string;
  /** Number S of data shards; auto: 8, fewer below 4,000 rows, for an encoder one for 131,072 rows; at most so many workers train; changes the result. @defaultValue auto */
  shards?: number | 'auto';
  /** What makes rows a cluster: a Gaussian distribution, or the graph of nearest neighbours, for embeddings of many columns; auto: decided by the data. @defaultValue auto */
  likelihood?: 'auto' | 'gaussian' | 'graph';
  /** About how many clusters are wanted: the graph likelihood takes a resolution for them, and more than these are joined; a mixture has no more than the evidence supports (a whole number from 2 to 100000). @defaultValue none, the data decide */
  clusters?: number | null;
  /** Resolution γ of the graph likelihood; a larger one finds more clusters (above 0 and below 512). @defaultValue that at which partitions of other samples agree most */
  resolution?: number | null;
  /** Clusters of any shape: components of a Gaussian mixture are joined where the rows between them show no valley of density; off: each component is a cluster. @defaultValue auto */
  shapes?: 'auto' | 'off';
  /** Rows that are in no cluster get the label -1: where a Gaussian mixture has evidence of such, they are a background of even density. @defaultValue false */
  noise?: boolean;
  /** Concentration α of the Dirichlet process (above 0). @defaultValue 10 */
  alpha?: number;
  /** Covariance of each cluster. @defaultValue full */
  covariance?: 'full' | 'diag';
  /** Scale matrix Ψ of the prior: learned from the clusters, c·Cov(X), c·I, or c·diag(std(X)). @defaultValue learned */
  priorScaleChoice?: 'learned' | 'data-cov' | 'isotropic' | 'data-std';
  /** Factor c of the prior’s scale matrix Ψ (above 0). @defaultValue 1 for learned, 0.3 for data-cov, else 0.005 */
  priorScale?: number;
  /** Temper split and merge ratios to n₀ points, ζ = min(1, n₀/n); 0: no tempering (at least 0). @defaultValue max(10000, 1000·D, max(100, 5·D)·K) */
  coarsening?: number | null;
  /** Number K of initial clusters (a whole number, at least 1). @defaultValue 1 */
  initK?: number;
  /** Widths of the clustering net’s hidden layers, such as 50 or 50,50. @defaultValue 50; 256 with the graph likelihood */
  hidden?: readonly number[] | number | string | null;
  /** Adam learning rate of the clustering net (above 0). @defaultValue 0.01 */
  lr?: number;
  /** Adam learning rate of the sub-clustering nets (above 0). @defaultValue 0.01 */
  subLr?: number;
  /** Rows per local step; fewer if a shard has less than five batches (a whole number from 1 to 1048576). @defaultValue 128 */
  batchSize?: number;
  /** Local steps H on each shard between two averages; 1: average gradients (a whole number from 1 to 100000). @defaultValue 10 */
  localSteps?: number;
  /** Learn features first, from all rows, and cluster these: autoencoder, for raw images and other rows of many columns. @defaultValue none */
  encoder?: 'none' | 'autoencoder';
  /** Widths of the encoder’s hidden layers; the decoder has the same in reverse. @defaultValue 500,500,2000 */
  encoderHidden?: readonly number[] | number | string;
  /** Numbers in the latent vector of a row, which is clustered in its place (a whole number from 1 to 1024). @defaultValue 10, or half of the columns */
  latent?: number | null;
  /** Passes of the encoder over all rows (a whole number, at least 1). @defaultValue 12 */
  encoderEpochs?: number;
  /** Largest Adam learning rate of the encoder: it rises in half an epoch, and falls to 0 along a cosine (above 0). @defaultValue 0.0015 */
  encoderLr?: number;
  /** Rows in a step of the encoder (a whole number from 1 to 1048576). @defaultValue 64 */
  encoderBatch?: number;
  /** Local steps of the encoder on each of its shards (two of the run’s) between two averages, about; fewer at first (a whole number from 1 to 100000). @defaultValue 512 */
  encoderSteps?: number;
  /** How often the encoder learns from the clusters of its latent vectors, which are clustered again each time; fewer where they no longer change (a whole number, at least 0). @defaultValue 0 */
  alternations?: number;
  /** Training schedule: fast, or that of the DeepDPM paper; also sets other defaults (docs/flags.md). @defaultValue fast */
  schedule?: 'fast' | 'paper';
  /** Maximum number of epochs (a whole number, at least 1). @defaultValue 500 */
  maxEpochs?: number;
  /** Epochs from one split or merge step to the next, not counting those in which the mixture waits for the net (a whole number, at least 1). @defaultValue 6 */
  splitMergeEvery?: number;
  /** Epochs for which the mixture is frozen at least after K changes (fast: longer, until the net has learned the clusters; 0: never) (a whole number, at least 0). @defaultValue 2 */
  freeze?: number;
  /** Stop once split and merge steps change nothing any more, or only undo each other; `earlyStop: false`: never. @defaultValue true */
  earlyStop?: boolean;
}

/** The options of the command line for how a run is computed, monitored and saved. */
export interface ProgramOptions {
  /** Number of worker processes, −1: one per core, −2: all cores but one; does not affect the result (a whole number, at least 1, or below 0 to count from all cores). @defaultValue one per core, at most `shards` */
  workers?: number;
  /** Start workers on these GPUs: all, none, or numbers as in nvidia-smi (0,2). @defaultValue none */
  gpus?: string;
  /** Number of workers on each GPU (a whole number from 1 to 64). @defaultValue 1 */
  perGpu?: number;
  /** Compute backend; auto: CUDA or else TensorFlow on the CPU if set up (dpmesh setup), otherwise wasm. @defaultValue auto */
  backend?: 'auto' | 'wasm' | 'cpu' | 'tensorflow' | 'webgpu';
  /** End with an error (exit code 2) instead of computing without a GPU. @defaultValue false */
  requireGpu?: boolean;
  /** Index of the adapter for webgpu, from 0 (dpmesh doctor lists adapters) (a whole number, at least 0). @defaultValue 0 */
  gpu?: number;
  /** Run directory. @defaultValue runs/<data> */
  out?: string;
  /** Overwrite the run directory. @defaultValue false */
  force?: boolean;
  /** Draw pictures of the run and report.html in its folder report; `report: false`: none. @defaultValue true */
  report?: boolean;
  /** Seconds of silence after which a worker’s shards are reassigned (a number of seconds above 0). @defaultValue 5 */
  heartbeatTimeout?: number;
  /** Maximum seconds between checkpoints; 0: one per epoch. Split and merge steps always write one (a number of seconds, at least 0). @defaultValue 30 */
  checkpointEvery?: number;
  /** Accept workers of any numeric identity; bits then depend on which worker computes what. @defaultValue false */
  mixed?: boolean;
  /** Let workers read the data file themselves if they can; `sharedFiles: false`: never. @defaultValue true */
  sharedFiles?: boolean;
  /** After the run, ask a language model for names of the clusters: the address of an endpoint like OpenAI’s, such as http://localhost:11434/v1 (key: OPENAI_API_KEY); keywords and typical texts are sent there. @defaultValue none, nothing is sent */
  nameWith?: string;
  /** The model that `nameWith` asks. @defaultValue none */
  nameModel?: string;
  /** HOST:PORT of the live page and metrics; `http: false`: none. @defaultValue off; true opens it at the usual address */
  http?: boolean | string;
  /** Token required for the page, its rows and to change the run over HTTP, not for metrics; mandatory unless `http` is a loopback address. @defaultValue none */
  httpToken?: string;
  /** Seconds for which page and metrics stay available after the run (a number of seconds, at least 0). @defaultValue 0 */
  linger?: number;
  /** Start no workers; listen for workers at this address, tcp://HOST:PORT. @defaultValue none */
  bind?: string;
  /** Folder made by dpmesh keygen: encrypt connections and accept only its workers. @defaultValue none, no encryption */
  keys?: string;
  /** Allow a `bind` address that other machines can reach, without encryption or keys. @defaultValue false */
  insecure?: boolean;
}

/** What `update` has beside the options of every run. */
export interface UpdateOwnOptions {
  /** Column of a table with the texts of the new rows, for words of clusters. @defaultValue that of the run */
  text?: string;
  /** File with the texts of the new rows: .txt (also .txt.gz) with a line for each, or a table, of which `text` names the column; also an address. @defaultValue none */
  texts?: string | null;
  /** Rows after which one counts half as much as a new one; clusters of old rows then fade (a number of rows above 0). @defaultValue none, all rows count the same */
  halfLife?: number;
  /** Estimate the transform anew, by the sample, and train from one cluster, as after a column is measured otherwise. @defaultValue false */
  refitTransform?: boolean;
  /** Label all earlier rows too, from where they were: relabelled/0.npy of the first run, 1.npy …. @defaultValue false */
  relabel?: boolean;
  /** Replace the run by the new one once this is complete, instead of `out`. @defaultValue false */
  inPlace?: boolean;
}

/** How `follow` takes rows in. */
export interface FollowOwnOptions {
  /** Rows that are enough for an update (a whole number of rows, at least 1). @defaultValue 10000 */
  batchRows?: number;
  /** Seconds after which fewer are enough (a number of seconds, at least 0). @defaultValue 60 */
  every?: number;
  /** Train only once new rows have this share of the weight of all, such as 0.1, or are unlike those before; until then they only get labels (a share of the weight, above 0 and below 1, such as 0.1). @defaultValue each batch is trained on */
  lazy?: number;
  /** Rows after which one counts half as much as a new one; clusters of old rows then fade (a number of rows above 0). @defaultValue none, all rows count the same */
  halfLife?: number;
  /** Take what is there, and end. @defaultValue false */
  once?: boolean;
}
