import { UserError } from '../base/user-error.ts';
import { createLookout, noFiles } from './follow/arrivals.ts';
import { nextBatch, nextLines } from './follow/gather.ts';
import { isDue } from './follow/lazy.ts';
import { createLines } from './follow/lines.ts';
import { rowsIn } from './follow/manifest.ts';
import { openState } from './follow/state.ts';
import { takeIn } from './follow/work.ts';
import { assertOptions, fixedPaths, type OptionKinds, RUN_OPTION_KINDS } from './inputs.ts';
import type { RunOptions } from './options.ts';

/** Options of `follow`. */
export interface FollowOptions
  extends Pick<
    RunOptions,
    'workers' | 'gpus' | 'perGpu' | 'backend' | 'requireGpu' | 'gpu' | 'signal' | 'log'
  > {
  /** The directory of a finished run. */
  run: string;
  /**
   * Where files of rows arrive, with the columns of the run's own: a folder, a pattern such as `incoming/*.parquet`, or `s3://bucket/folder/`. Or
   * rows themselves as lines of CSV or JSON, such as `process.stdin`.
   */
  data: string | AsyncIterable<Uint8Array>;
  /**
   * The folder of the follow: its state, the labels of each part, and the last two updates.
   * @defaultValue <run>-follow
   */
  out?: string;
  /**
   * Rows that are enough for an update.
   * @defaultValue 10000
   */
  batchRows?: number;
  /**
   * Seconds after which fewer are enough.
   * @defaultValue 60
   */
  every?: number;
  /**
   * Train only once new rows have this share of the weight of all, such as 0.1, or are unlike those before. Until then they only get labels.
   * @defaultValue none: each batch is trained on
   */
  lazy?: number;
  /**
   * Rows after which one counts half as much as a new one.
   * @defaultValue none: all count the same
   */
  halfLife?: number;
  /**
   * End when nothing is left to do, instead of waiting for more.
   * @defaultValue false
   */
  once?: boolean;
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

const COMPUTING = ['workers', 'gpus', 'perGpu', 'backend', 'requireGpu', 'gpu'] as const;
const OF_RUN = [...COMPUTING, 'signal', 'log'] as const;
const KINDS: OptionKinds<FollowOptions> = {
  ...{ run: 'string', data: 'any', out: 'output' },
  ...{ batchRows: 'number', every: 'number', lazy: 'number', halfLife: 'number', once: 'boolean' },
  ...(Object.fromEntries(OF_RUN.map((name) => [name, RUN_OPTION_KINDS[name]])) as Pick<
    OptionKinds<RunOptions>,
    (typeof OF_RUN)[number]
  >),
};

const MOST_SECONDS = 1e9;

/**
 * Updates a run with the rows of files as they arrive, batch by batch: an async iterable of what was done. Each part counts once, also if the process is
 * killed: called again with the same options, it goes on, to the same bytes. To end it, leave the loop, or abort `signal`: it
 * then ends between two batches.
 *
 * @throws {UserError} if there is no such run, it cannot be updated, or a part does not fit it or has changed since it was taken
 */
export async function* follow(options: FollowOptions): AsyncGenerator<FollowedBatch, void, undefined> {
  assertOptions('follow', options, KINDS, ['run', 'data']);
  const { run, data, out, signal, log = () => {} } = options;
  const { batchRows = 10_000, every = 60, lazy = null, halfLife = null, once = false } = options;
  if (typeof data !== 'string' && !(data && Symbol.asyncIterator in data))
    throw new UserError('follow: data must be a path, or an async iterable of bytes');
  if (!(Number.isInteger(batchRows) && batchRows >= 1))
    throw new UserError(`--batch-rows ${batchRows} must be a whole number of rows, at least 1`);
  if (!(every >= 0 && every <= MOST_SECONDS))
    throw new UserError(`--every ${every} must be a number of seconds, at least 0`);
  if (lazy !== null && !(lazy > 0 && lazy < 1))
    throw new UserError(`--lazy ${lazy} must be a share of the weight, above 0 and below 1, such as 0.1`);
  if (halfLife !== null && !(halfLife > 0 && Number.isFinite(halfLife)))
    throw new UserError(`--half-life ${halfLife} must be a number of rows above 0`);
  const computing = Object.fromEntries(COMPUTING.map((name) => [name, options[name]]));
  const { fix, naming, asGiven } = fixedPaths();
  const path = run.replace(/(?<=.)[\\/]+$/, '');
  const folder = fix(out ?? `${path}-follow`);
  const state = await naming(() => openState(folder, fix(path)));
  try {
    const lookout = typeof data === 'string' ? createLookout(fix(data), folder, signal) : noFiles;
    const names = state.newest().trained.names ?? [];
    const lines =
      typeof data === 'string' ? null : createLines(data, { rows: batchRows, every, names, signal });
    const told = (line: string) => log(asGiven(line));
    const next = async (): Promise<FollowedBatch | null> => {
      if (!state.manifest().batch) {
        const gathering = { state, lookout, batchRows, every, once, signal, log: told };
        const parts = await (lines ? nextLines(lines, gathering) : nextBatch(gathering));
        if (!parts) return null;
        const due = lazy === null ? { trains: true, alarm: null } : await isDue(state, parts, lazy, halfLife);
        state.save({ batch: { parts, ...due, halfLife } });
      }
      const startTime = performance.now();
      const batch = state.manifest().batch!;
      const done = await takeIn(state, batch, { ...computing, log: told });
      const { manifest, newest, labelsOf } = state;
      const seconds = (performance.now() - startTime) / 1000;
      const { complete, growing } = await lookout(new Map(manifest().parts.map((part) => [part.name, part])));
      return {
        ...{ run: asGiven(newest().path), update: manifest().updates, trained: batch.trains },
        parts: batch.parts.map(({ name }) => name),
        labels: batch.parts.map((part) => asGiven(labelsOf(part))),
        rows: rowsIn(batch.parts),
        ...{ k: newest().stream.ids.length, ...done },
        ...{ waiting: complete.length + growing.length, seconds },
      };
    };
    for (let done = await naming(next); done; done = await naming(next)) yield done;
  } finally {
    state.close();
  }
}
