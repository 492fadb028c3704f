import type { RunOptions } from '../../library/options.ts';
import type { FollowOwnOptions } from '../../library/run-options.ts';

/** Options of `follow`. */
export interface FollowOptions
  extends FollowOwnOptions,
    Pick<RunOptions, 'workers' | 'gpus' | 'perGpu' | 'backend' | 'requireGpu' | 'gpu' | 'signal' | 'log'> {
  /** The directory of a finished run. */
  run: string;
  /**
   * Where files of rows arrive, with the columns of the run's own: a folder, a pattern such as `incoming/*.parquet`, or `s3://bucket/folder/`; a topic,
   * `kafka://host:port/topic` (with the package `@platformatic/kafka`). Or rows themselves as lines of CSV or JSON, such as `process.stdin`.
   */
  data: string | AsyncIterable<Uint8Array>;
  /**
   * The folder of the follow: its state, the labels of each part, and the last two updates.
   * @defaultValue <run>-follow
   */
  out?: string;
  /**
   * HOST:PORT at which Prometheus finds metrics, at /metrics.
   * @defaultValue none
   */
  http?: string;
}

/** What has become of a batch of parts. */
export interface FollowedBatch {
  /** The directory of the newest run, whose clusters the labels are. */
  readonly run: string;
  /** The number of this update; 0: it is the run that is followed. */
  readonly update: number;
  /** It has taken these rows in; else they wait for the next one (`lazy`). */
  readonly trained: boolean;
  /** The parts, and the files of their labels. */
  readonly parts: readonly string[];
  readonly labels: readonly string[];
  /** Number of rows of these parts. */
  readonly rows: number;
  /** Number of clusters. */
  readonly k: number;
  /** Since the batch before, the ids of clusters that are new, and of those that are there no longer. */
  readonly born: readonly number[];
  readonly gone: readonly number[];
  /** How the rows are unlike those before; null if they are not. */
  readonly alarm: string | null;
  /** Number of parts that are there by now and were not taken yet. */
  readonly waiting: number;
  /** What it took, in seconds. */
  readonly seconds: number;
}
