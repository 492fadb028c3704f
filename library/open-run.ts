import { dpmeshVersion } from '../base/package.ts';
import { UserError } from '../base/user-error.ts';
import { linesOf } from '../run/event-log.ts';
import { eventIn, type TimedEvent } from '../run/events.ts';
import { notFinished, placeOf } from '../run/finished-run.ts';
import { kindsOf } from '../run/option.ts';
import { readSavedMixture } from '../run/row-files.ts';
import { isSameRun, readRunFile } from '../run/run-file.ts';
import { hasLabels, runFiles } from '../run/run-files.ts';
import { eventsIn } from '../run/run-path.ts';
import { assertOptions, fixedPaths } from './arguments.ts';
import { DRAW } from './command-options.ts';
import type { LabelData } from './inputs.ts';
import { labelsOf } from './label-data.ts';
import { type RunResult, reportOf, resultOf } from './result.ts';

/**
 * The fitted Gaussian mixture, in the coordinates of the transformed rows. With the graph likelihood it only describes the clusters.
 * Arrays are row-major, float64.
 */
export interface FittedMixture {
  /** Number K of components. Components that no row is assigned to are included. */
  readonly k: number;
  /** Number D of dimensions: columns after the transform. */
  readonly dim: number;
  /** Mixture weights, K, with sum 1. */
  readonly weights: Float64Array;
  /** Means, K × D. */
  readonly means: Float64Array;
  /** Covariances, K × D × D; with `covariance: 'diag'` or the graph likelihood only the diagonals, K × D. */
  readonly covariances: Float64Array;
  /** Number of rows assigned to each component, K. */
  readonly counts: Float64Array;
}

/** Options of `SavedRun.draw`. */
export interface DrawOptions {
  /**
   * The folder for pictures and report.html. Files of the same names are replaced.
   * @defaultValue `report` in the run directory
   */
  out?: string;
  /**
   * True classes, one per row, for the confusion matrix.
   * @defaultValue those of the run
   */
  labels?: LabelData;
}

/** A report that was drawn. */
export interface DrawnReport {
  /** The path of report.html, which contains all pictures. */
  readonly path: string;
  /** The names of the pictures; each is written as NAME.svg and NAME.png. */
  readonly pictures: readonly string[];
  /** What was left out and why, a sentence each. */
  readonly notes: readonly string[];
}

/** The contents of a run directory. */
export interface SavedRun {
  /** The path of the run directory. */
  readonly directory: string;
  /** The version of dpmesh that wrote it. */
  readonly version: string;
  /** All options that the result depends on, with defaults filled in, by their names in `TrainOptions`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Number of rows of the data. */
  readonly rows: number;
  /** Number of columns of the data. */
  readonly columns: number;
  /** The result; null if the run is not finished (`resume` continues it). */
  readonly result: RunResult | null;
  /** The events so far, in order. The file is read line by line. */
  events(): Generator<TimedEvent>;
  /** Reads the fitted mixture. @throws {UserError} if the run is not finished */
  mixture(): FittedMixture;
  /** Draws pictures of the run and report.html. @throws {UserError} (rejection) if there is nothing to draw yet */
  draw(options?: DrawOptions): Promise<DrawnReport>;
}

/**
 * Opens a run directory for reading. The run may be finished, stopped, or still running. What is read later throws a
 * `UserError` if the directory has another run by then.
 *
 * @throws {UserError} (rejection) if `directory` is not a run directory
 */
export async function openRun(directory: string): Promise<SavedRun> {
  if (typeof directory !== 'string') throw new UserError('openRun needs the path of a run directory');
  const version = dpmeshVersion();
  const paths = fixedPaths();
  const run = placeOf(paths.fix(directory));
  const opened = readRunFile(run === paths.fix(directory) ? directory : run);
  const { dpmesh, config, data, result, files } = opened;
  const assertSame = () => {
    if (!isSameRun(opened, readRunFile(run)))
      throw new UserError(`${directory} has another run than when it was opened: open it again`);
  };
  const finished = result !== null && hasLabels(run);
  return {
    directory,
    version: dpmesh,
    options: config,
    rows: data.rows,
    columns: data.dim,
    result: finished
      ? resultOf(result, run, { files, soft: config.soft, report: reportOf(run), shown: directory })
      : null,
    *events() {
      assertSame();
      const path = eventsIn(run);
      let number = 0;
      for (const line of linesOf(path)) {
        number++;
        const event = eventIn(line) as Partial<TimedEvent> | null;
        if (typeof event?.time !== 'string')
          throw new UserError(
            `${path}: line ${number} is not an event of a run; restore the file from a copy`,
          );
        yield event as TimedEvent;
      }
    },
    mixture() {
      if (!finished) throw notFinished(directory);
      assertSame();
      const { k, dim, weights, means, covariances, counts } = readSavedMixture(runFiles(run, files));
      return { k, dim, weights, means, covariances, counts };
    },
    async draw(options = {}) {
      assertOptions('draw', options, kindsOf(DRAW));
      const [out, given] = [paths.fix(options.out), paths.fixInput(options.labels)];
      return paths.naming(async () => {
        assertSame();
        const { writeReport } = await import('../page/report/draw.ts');
        const { READ_FILES } = await import('../run/read-files.ts');
        const labels = given === undefined ? undefined : await labelsOf(given, 'labels');
        if (labels && labels.codes.length !== data.rows)
          throw new UserError(
            `--labels ${typeof given === 'string' ? given : 'in memory'} has ${labels.codes.length} labels, but the run ${run} has ${data.rows} rows`,
          );
        const { path, pictures, notes } = await writeReport(run, { version, out, labels }, READ_FILES);
        return { path: paths.asGiven(path), pictures, notes: notes.map(paths.asGiven) };
      });
    },
  };
}
