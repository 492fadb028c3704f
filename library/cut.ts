import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import { createAtomicFile } from '../base/files.ts';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { CHUNK_ELEMENTS } from '../data/npy.ts';
import { LABELS } from '../data/row-parts.ts';
import { cutAt, type NextSplit } from '../model/hierarchy/dendrogram.ts';
import type { FinishedRun } from '../run/finished-run.ts';
import { NUMBERED, rowNames } from '../run/label-names.ts';
import {
  csvTable,
  LABEL_FORMATS,
  type LabelColumn,
  type LabelFormat,
  parquetTable,
} from '../run/label-table.ts';
import { type RunFile, readFinishedRun } from '../run/run-file.ts';
import { numberOfLabel, openRows, type RunFiles } from '../run/run-files.ts';
import { assertNotOfRun } from '../run/run-path.ts';
import { CLUSTERS, readSavedClusters, type SavedClusters } from '../run/saved-clusters.ts';
import { readSavedTree } from '../run/saved-tree.ts';
import { TREE } from '../run/tree.ts';
import { assertOptions, assertWritable, fixedPaths } from './arguments.ts';
import { createSink, sameFile, withArrays } from './result.ts';

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

/** A cluster of a cut. */
export interface JoinedCluster {
  /** Number of rows. */
  readonly rows: number;
  /** The labels of the clusters of the run that it was joined from, ascending. */
  readonly from: readonly number[];
  /** The height in the tree of the last of these joins (docs/run-directory.md); null for a cluster that is one of the run. */
  readonly height: number | null;
  /** What it is called; absent where nothing sets it apart. */
  readonly name?: string;
  /** In runs with texts: its most telling words. */
  readonly words?: readonly string[];
  /** In runs with texts: typical ones. */
  readonly texts?: readonly string[];
}

/** The clusters of a run joined to fewer. */
export interface Cut {
  /** Number N of rows. */
  readonly rows: number;
  /** The clusters, numbered by size: 0 has the most rows. */
  readonly clusters: readonly JoinedCluster[];
  /**
   * Below the tree: which clusters of the run would split next, the first in front. Empty where none has parts of enough rows, and in
   * runs of earlier versions.
   */
  readonly next: readonly NextSplit[];
  /** The cluster of each row, N. Computed, or with an .npy file as `out` read from that, on first access. */
  readonly labels: Int32Array;
}

/**
 * Joins clusters of a finished run by its tree of merges, those first whose union costs least, until `clusters` are left. Nothing is
 * trained or read again, and the run stays as it is.
 *
 * @throws {UserError} (rejection) if the run is not finished, has fewer clusters or no tree, as those of earlier versions, or if
 *   `out` exists and `force` is not set
 */
export async function cut(options: CutOptions): Promise<Cut> {
  const kinds = { run: 'string', clusters: 'number', out: 'output', force: 'boolean' } as const;
  assertOptions('cut', options, kinds, ['run', 'clusters']);
  const { run, clusters, out, force = false } = options;
  assertNotOfRun(run, { '--out': out });
  assertWritable({ '--out': out }, force);
  const format = out === undefined ? null : labelFormatOf(out);
  const paths = fixedPaths();
  const [folder, path] = [paths.fix(run), paths.fix(out)];
  return paths.naming(async () => {
    const own = cutOfRun(folder, clusters);
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

/** The rows that count in full by default, at least (docs/algorithm.md, section 1). */
const FULLY_COUNTED = 10_000;

export type RunCut = ReturnType<typeof cutOfRun>;

/**
 * The cut of a finished run, of `k` clusters and `rows` rows, at so many clusters. UserError where there is none. `run`: an absolute
 * path.
 */
export function cutOfRun(run: string, clusters: number) {
  if (!(Number.isInteger(clusters) && clusters >= 1))
    throw new UserError(`--clusters ${clusters} must be a whole number, at least 1`);
  return readFinishedRun(run, dpmeshVersion(), (opened) => cutOf(opened, clusters));
}

function cutOf({ at: run, about, files }: FinishedRun<RunFile>, clusters: number) {
  const { result, data, config, ids } = about;
  const tree = readSavedTree(files);
  if (!tree)
    throw new UserError(
      `${run} has no ${TREE}, as its clusters are too flat or an earlier version wrote it; to repeat the run: dpmesh train --config ${join(run, 'run.json')} --out ELSEWHERE`,
    );
  if (tree.clusters !== result.k) throw files.damaged(TREE, `it is of ${tree.clusters} clusters`);
  const { clusters: k, likelihood } = tree;
  const labelOf = (cluster: number) => ids?.[cluster] ?? cluster;
  const next = (tree.next ?? []).map((split) => ({ ...split, cluster: labelOf(split.cluster) }));
  if (clusters > k) {
    const below = next.length ? `; ${nextSplitText(next[0])}` : '';
    // Only where the statistics of all rows favour the split, and not all of them counted in full, do more rows help.
    const favoured = next.length > 0 && next[0].height > 0;
    const counted = config.coarsening === 0 || data.rows <= (config.coarsening ?? FULLY_COUNTED);
    const gaussian =
      favoured && !counted
        ? '--coarsening 0 --sample 0, so that all rows count in full'
        : `--likelihood graph --clusters ${clusters}, as the evidence of Gaussians supports no more`;
    const how = likelihood === 'graph' ? `--clusters ${clusters}` : gaussian;
    throw new UserError(
      `--clusters ${clusters}: ${run} has K = ${k}, where its tree ends${below}; for more clusters, train with ${how}`,
    );
  }
  const { groups, place } = cutAt(tree, clusters);
  // A pickled estimator has only the files that labels need.
  const described = existsSync(join(run, CLUSTERS)) ? readSavedClusters(files) : null;
  return {
    ...{ files, rows: data.rows, k, next, place, numberOf: numberOfLabel(ids) },
    groups: groups.map(
      ({ node, from, ...group }): JoinedCluster => ({
        ...group,
        from: from.map(labelOf).sort((a, b) => a - b),
        ...descriptionOf(node, described),
      }),
    ),
  };
}

/** What `clusters.json` says of a node of the tree. Its number in the run is no name: here clusters have others. */
function descriptionOf(node: number, described: SavedClusters | null) {
  const own = described?.clusters[node] ?? described?.joins?.find(({ join }) => join === node);
  return {
    ...(own?.name !== undefined && own.namedBy !== 'number' && { name: own.name }),
    ...(own?.words && { words: own.words.map(({ word }) => word), texts: own.texts }),
  };
}

/** Says which cluster would split next. Only evidence may be against that. */
export function nextSplitText({ cluster, sizes, height }: NextSplit): string {
  const [one, other] = sizes.map((rows) => rows.toLocaleString('en'));
  const but = height < 0 ? ', against the evidence' : '';
  return `cluster ${cluster} would split next, into about ${one} and ${other} rows${but}`;
}

/** The labels of the run, joined, in pieces from row `start` on. UserError for a label that is not of the tree. */
function* joinedLabels({ files, rows, place, numberOf }: RunCut) {
  const labels = openRows(files.run, LABELS, '<i4', rows);
  try {
    // Once it is open, as another may take its place.
    files.assertIntact('labels.npy');
    for (const { from, to } of ranges(rows, CHUNK_ELEMENTS)) {
      const own = Int32Array.from(labels.read(from, to - from), (label) => place[numberOf(label)] ?? -1);
      if (own.includes(-1)) throw files.damaged('labels.npy', 'it has clusters that the tree has not');
      yield { start: from, own };
    }
  } finally {
    labels.close();
  }
}

/** Files of labels that a user asks for. */

/** The format of a file of labels, by its ending. UserError for another one. */
export function labelFormatOf(path: string): LabelFormat {
  const ending = extname(path).toLowerCase();
  const format = LABEL_FORMATS.find((own) => own === ending);
  if (format) return format;
  throw new UserError(
    `--out ${path} must end in ${LABEL_FORMATS.join(', ').replace(/, (?=[^,]*$)/, ' or ')}`,
  );
}

/**
 * Starts a .csv or .parquet of labels. `rowsName`: of the first column, which has numbers of rows, or with `hasIds` what names them;
 * `force`: replace a file.
 */
export async function createLabelTable(
  path: string,
  rowsName: string,
  columns: readonly LabelColumn[],
  { hasIds, force }: { hasIds: boolean; force: boolean },
) {
  const { write, finish, abort } = createAtomicFile(path, { replace: force });
  let at = 0;
  const sink = {
    write(bytes: Uint8Array) {
      write(bytes, at);
      at += bytes.length;
    },
  };
  const table =
    labelFormatOf(path) === '.csv'
      ? csvTable(sink, rowsName, columns)
      : await parquetTable(sink, rowsName, columns, hasIds);
  return { ...table, finish, abort };
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
