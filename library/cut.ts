import { join } from 'node:path';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { CHUNK_ELEMENTS } from '../data/npy.ts';
import { LABELS } from '../data/row-parts.ts';
import type { NextSplit } from '../model/hierarchy/dendrogram.ts';
import { NOISE } from '../model/order.ts';
import { createLabelTable, labelFormatOf, NUMBERED, rowNames } from '../run/label-file.ts';
import { kindsOf, settingsOf } from '../run/option.ts';
import { cutOf, type JoinedCluster, type RunCut } from '../run/passes/cut.ts';
import { BACKGROUND } from '../run/row-files.ts';
import { readFinishedRun } from '../run/run-file.ts';
import { openRows, type RunFiles } from '../run/run-files.ts';
import { assertNotOfRun } from '../run/run-path.ts';
import { assertOptions, assertWritable, fixedPaths } from './arguments.ts';
import { CUT } from './command-options.ts';
import { createSink, sameFile, withArrays } from './written-arrays.ts';

/** Options of `cut`. */
export interface CutOptions {
  /** The directory of a finished run. */
  run: string;
  /** The number of clusters that are left, from 1 to that of the run. */
  clusters: number;
  /**
   * Write the labels to this file, by its ending: .npy (int32, N), or .csv or .parquet, with what names the rows of the run.
   */
  out?: string;
  /** Overwrite an existing file. If false, it is an error. */
  force?: boolean;
}

/** The clusters of a run joined to fewer. */
export interface Cut {
  /** Number N of rows. */
  readonly rows: number;
  /** The clusters, numbered by size: 0 has the most rows. */
  readonly clusters: readonly JoinedCluster[];
  /**
   * Below the tree: which clusters of the run would split next, the first in front. Empty where none has parts of enough rows.
   */
  readonly next: readonly NextSplit[];
  /** The cluster of each row, N. Computed, or with an .npy file as `out` read from that, on first access. */
  readonly labels: Int32Array;
}

/**
 * Joins clusters of a finished run by its tree of merges, those first whose union costs least, until `clusters` are left. Nothing is
 * trained or read again, and the run stays as it is.
 *
 * @throws {UserError} (rejection) if the run is not finished, has fewer clusters or no tree (its clusters are too flat), or if
 *   `out` exists and `force` is not set
 */
export async function cut(options: CutOptions): Promise<Cut> {
  assertOptions('cut', options, kindsOf(CUT), ['run', 'clusters']);
  const { run, clusters, out, force } = settingsOf(CUT, options);
  assertNotOfRun(run, { '--out': out });
  assertWritable({ '--out': out }, force);
  const format = out === undefined ? null : labelFormatOf(out);
  const paths = fixedPaths();
  const [folder, path] = [paths.fix(run), paths.fix(out)];
  return paths.naming(async () => {
    const own = readFinishedRun(folder, ({ about, files }) => {
      const { result, data, config, ids } = about;
      const { rows } = data;
      return cutOf({ files, k: result.k, rows, ids, coarsening: config.coarsening }, clusters);
    });
    const { files, rows, groups, next } = own;
    const properties = { rows, clusters: groups, next };
    if (path === undefined || format !== '.npy') {
      const assertSame = sameFile(join(files.run, 'labels.npy'), 'the cut was made');
      if (path !== undefined) await writeCutTable(path, files, force, joinedLabels(own));
      return withArrays(properties, {
        labels() {
          assertSame();
          const labels = new Int32Array(rows);
          for (const { start, own: piece } of joinedLabels(own)) labels.set(piece, start);
          return labels;
        },
      });
    }
    const labels = createSink<Int32Array>(path, '<i4', [rows], force);
    try {
      for (const { start, own: piece } of joinedLabels(own)) {
        await yieldToEventLoop();
        labels.write(piece, start);
      }
      labels.finish();
    } catch (error) {
      labels.abort();
      throw error;
    }
    return withArrays(properties, { labels: labels.read });
  });
}

/** The labels of the run, joined, in pieces from row `start` on. UserError for a label that is not of the tree. */
function* joinedLabels({ files, rows, place, numberOf }: RunCut) {
  const labels = openRows(files.run, LABELS, '<i4', rows);
  try {
    // Once it is open, as another may take its place.
    files.assertIntact('labels.npy');
    const hasNoise = files.has(BACKGROUND);
    for (const { from, to } of ranges(rows, CHUNK_ELEMENTS)) {
      const read = labels.read(from, to - from);
      const own = Int32Array.from(read, (label) => place[numberOf(label)] ?? NOISE);
      if (own.some((group, i) => group === NOISE && !(hasNoise && read[i] === NOISE)))
        throw files.damaged('labels.npy', 'it has clusters that the tree has not');
      yield { start: from, own };
    }
  } finally {
    labels.close();
  }
}

/** Writes the table to `path`, .csv or .parquet. UserError where what names the rows of the run has changed since it was written. */
async function writeCutTable(
  path: string,
  files: RunFiles,
  force: boolean,
  pieces: ReturnType<typeof joinedLabels>,
): Promise<void> {
  const names = await rowNames(files);
  const how = { hasIds: names !== null, force };
  const table = await createLabelTable(path, names?.title ?? NUMBERED, ['cluster'], how);
  try {
    for (const { start, own } of pieces)
      table.write({ start, ids: names && (await names.next(own.length)), columns: { cluster: own } });
    table.end();
    table.finish();
  } catch (error) {
    table.abort();
    throw error;
  } finally {
    names?.close();
  }
}
