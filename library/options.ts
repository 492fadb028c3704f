import type { Data, LabelData } from './inputs.ts';
import type { ModelOptions, ProgramOptions, UpdateOwnOptions } from './run-options.ts';

/** Options of a run in a program. Those of the command line, which are made from one table, are in run-options.ts. */

/** How a run is computed, monitored and saved. None of these options changes the result, but `backend` and `mixed` its last bits. */
export interface RunOptions extends ProgramOptions {
  /** Stops the run: what has been computed is saved in the run directory, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
  /** Called with messages for people, such as the address of the page. Warnings are events. */
  log?: (line: string) => void;
  /** Called with how far the reading of a table or of images is. The next text, many times a second, replaces this one. */
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
   * Train no further: all rows are labelled as of the newest checkpoint. Of an encoder that still learned, the latent vectors are clustered.
   * @defaultValue false
   */
  finish?: boolean;
}

/**
 * Options of `update`. `texts`: null where the new rows have none. With `refitTransform`, clusters still keep the numbers of those whose rows they have;
 * it is not for graph runs. `relabel` reads earlier rows again from where they were.
 */
export interface UpdateOptions extends UpdateOwnOptions, RunOptions {
  /** The directory of a finished run. */
  run: string;
  /** The new rows, with the columns of the run's own. Arrays must not change until the run ends. */
  data: Data;
  /** The true classes of the new rows, for evaluation only. */
  labels?: LabelData | null;
}

/** The default address of the live page and metrics. Prometheus configurations in dashboards/ expect this port. */
export const DEFAULT_HTTP = { host: '127.0.0.1', port: 9464 };
