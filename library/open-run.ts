import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { eventsIn, linesOf } from '../coordinator/storage/event-log.ts';
import { readRunFile } from '../coordinator/storage/run-file.ts';
import type { Labels } from '../data/labels.ts';
import { runFiles } from '../data/run-files.ts';
import { readSavedMixture } from '../data/saved-mixture.ts';
import type { TimedEvent } from '../view/events.ts';
import { labelsOf } from './arrays.ts';
import type { LabelData } from './options.ts';
import { resultOf } from './read-result.ts';
import type { RunResult } from './result.ts';

/** The fitted mixture, in the coordinates of the transformed rows. Arrays are row-major. */
export interface FittedMixture {
  readonly k: number;
  readonly dim: number;
  /** K, sum 1. */
  readonly weights: Float64Array;
  /** K × D. */
  readonly means: Float64Array;
  /** K × D × D; K × D (the diagonals) with `covariance: 'diag'`. */
  readonly covariances: Float64Array;
  /** Rows of each cluster, K. */
  readonly counts: Float64Array;
}

export interface DrawOptions {
  /**
   * The folder for the pictures.
   * @defaultValue `report` in the run directory
   */
  out?: string;
  /**
   * True classes, for the confusion matrix.
   * @defaultValue those of the run
   */
  labels?: LabelData;
}

/** The pictures that were drawn. */
export interface DrawnReport {
  /** Of report.html, which has them all. */
  readonly path: string;
  /** Their names: each is there as NAME.svg and NAME.png. */
  readonly pictures: readonly string[];
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

/** What is in a run directory. */
export interface SavedRun {
  readonly directory: string;
  /** The version of dpmesh that began it. */
  readonly version: string;
  /** The options of the run, all of them, by the names of `TrainOptions`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly rows: number;
  readonly columns: number;
  /** Null while it is not finished: `resume` goes on with it. */
  readonly result: RunResult | null;
  /** Its events until now, read piece by piece. */
  events(): Generator<TimedEvent>;
  /** The mixture that was fitted. @throws {UserError} where the run is not finished */
  mixture(): FittedMixture;
  /** Draws its pictures and report.html. @throws {UserError} (rejection) where there is nothing to draw yet */
  draw(options?: DrawOptions): Promise<DrawnReport>;
}

/**
 * Opens a run directory for reading; the run may still be under way.
 *
 * @throws {UserError} (rejection) where `directory` is not that of a run
 */
export async function openRun(directory: string): Promise<SavedRun> {
  const version = dpmeshVersion();
  const { dpmesh, config, data, result, files } = readRunFile(directory, version);
  const report = join(directory, 'report', 'report.html');
  const finished = result !== null && existsSync(join(directory, 'labels.npy'));
  return {
    directory,
    version: dpmesh,
    options: config,
    rows: data.rows,
    columns: data.dim,
    result: finished
      ? resultOf(result, directory, {
          soft: config.soft === true,
          report: existsSync(report) ? report : null,
        })
      : null,
    *events() {
      for (const line of linesOf(eventsIn(directory))) yield JSON.parse(line) as TimedEvent;
    },
    mixture() {
      if (!finished)
        throw new UserError(`${directory} is not finished; go on with: dpmesh resume ${directory}`);
      const { k, dim, weights, means, covariances, counts } = readSavedMixture(runFiles(directory, files));
      return { k, dim, weights, means, covariances, counts };
    },
    async draw({ out, labels } = {}) {
      const { writeReport } = await import('../coordinator/report/report.ts');
      const given = labels === undefined ? undefined : await fitting(labels, directory, data.rows);
      return writeReport(directory, { version, out, labels: given });
    },
  };
}

/** Labels that are asked for must fit; those of the run need not be there any more. */
async function fitting(data: LabelData, run: string, rows: number): Promise<Labels> {
  const labels = await labelsOf(data, 'labels');
  if (labels.codes.length !== rows)
    throw new UserError(
      `--labels ${typeof data === 'string' ? data : 'in memory'} has ${labels.codes.length} labels, the run ${run} is of ${rows} rows`,
    );
  return labels;
}
