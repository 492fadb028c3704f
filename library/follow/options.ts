import { JSON_OUTPUT } from '../../library/command-options.ts';
import type { RunOptions } from '../../library/options.ts';
import type { FollowOwnOptions } from '../../library/run-options.ts';
import { between, input, integer, inWords, output, seconds, text, yesOrNo } from '../../run/domains.ts';
import { of, option } from '../../run/option.ts';
import { UPDATE_OPTIONS } from '../../run/options.ts';
import { RUN_OPTIONS } from '../../run/session-options.ts';

/** How `follow` takes rows in. */
export const FOLLOW_OPTIONS = {
  ...of('Data', {
    batchRows: option(inWords(integer(1), 'a whole number of rows, at least 1'), {
      help: 'rows that are enough for an update',
      fast: 10_000,
    }),
    every: option(seconds({ canBe0: true }), { help: 'seconds after which fewer are enough', fast: 60 }),
    lazy: option(inWords(between(0, 1), 'a share of the weight, above 0 and below 1, such as 0.1'), {
      help: 'train only once new rows have this share of the weight of all, such as 0.1, or are unlike those before; until then they only get labels',
      defaultText: 'each batch is trained on',
    }),
    halfLife: UPDATE_OPTIONS.halfLife,
  }),
  ...of('Run', {
    once: option(yesOrNo(), { help: 'take what is there, and end', fast: false }),
  }),
};

const { once, ...taking } = FOLLOW_OPTIONS;
const { workers, gpus, perGpu, backend, requireGpu, gpu } = RUN_OPTIONS;
const { fast: _, ...backendOfRun } = { ...backend, defaultText: 'that of the run' };
/** How its updates compute. */
export const COMPUTING = { workers, gpus, perGpu, backend: backendOfRun, requireGpu, gpu };

/** All that the command has. */
export const FOLLOW = {
  ...of('Data', {
    data: option(input(), {
      help: "where files of rows arrive, with the columns of the run: a folder, a pattern in quotes, such as 'incoming/*.parquet', s3://BUCKET/FOLDER/, a topic, kafka://HOST:PORT/TOPIC, or - for lines of CSV or JSON on standard input",
      isRequired: true,
    }),
  }),
  ...taking,
  ...of('Run', {
    out: option(output(), {
      help: 'folder of the follow: the labels of each file, and the last two updates',
      defaultText: '<run>-follow',
    }),
    once,
    json: { ...JSON_OUTPUT, help: 'print a line of JSON for each batch' },
  }),
  ...COMPUTING,
  ...of('Monitoring', {
    http: option(text(), {
      help: 'HOST:PORT at which Prometheus finds metrics, such as 127.0.0.1:9464',
      defaultText: 'none',
    }),
  }),
};

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
