import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LOG_DENSITIES, MAP, PARTS_INDEX, ROW_COMPONENTS, type StemOf, stemOf } from '../data/row-parts.ts';
import type { EvidenceForK } from '../model/gaussian/evidence-for-k.ts';
import { ROW_COLUMNS, ROW_NUMBERS, type RowNumber } from '../model/row-columns.ts';
import { readRowColumn } from '../run/row-files.ts';
import {
  type FileHashes,
  readRunComponents,
  readRunDensities,
  readRunLabels,
  readRunMap,
  readRunResponsibilities,
  recordedHashes,
  runFiles,
} from '../run/run-files.ts';
import {
  type ClusterDescription,
  readSavedClusters,
  readUpdateSummary,
  type UpdateSummary,
} from '../run/saved-clusters.ts';
import type { Alternation, Replicates, Scores, Stability, Summary } from '../run/summary.ts';
import { sameFile, withArrays } from './written-arrays.ts';

/** The result of a run for programs, whose arrays are read from the run directory on first access. It does not know how they were computed. */

/** The result of a run. */
export interface RunResult {
  /** Number of clusters that have rows. */
  readonly k: number;
  /**
   * The cluster of each row, N, from 0 to k − 1. Clusters are numbered by size: 0 has the most rows, and none has more than
   * the one before it. Of an update they are ids, `update.ids`. Read from `labels.npy`, or from parts, on first access.
   */
  readonly labels: Int32Array;
  /** The component of each row, N, as `mixture/` has them, −1 of noise; null without `components`. Read from `components.npy` on first access. */
  readonly components: Int32Array | null;
  /**
   * Responsibilities, N×K, row-major, where K includes empty clusters, which come last; null without `soft`. Read from
   * `responsibilities.npy` on first access.
   */
  readonly responsibilities: Float32Array | null;
  /** The largest responsibility of each row, N, 0 to 1; lower for rows that no Gaussian cluster explains. Read from `confidences.npy` on first access. */
  readonly confidences: Float32Array;
  /** The Mahalanobis distance of each row from the centre of its cluster, N. Read from `distances.npy` on first access. */
  readonly distances: Float32Array;
  /**
   * The log density of each row under the mixture, N; null with the graph likelihood. Read from `log-densities.npy` on
   * first access.
   */
  readonly logDensities: Float32Array | null;
  /** Where each row is on the map, N×2, row-major. Read from `map.npy` on first access. */
  readonly map: Float32Array;
  /** What each cluster is, by its number. Read from `clusters.json` on first access. */
  readonly clusters: readonly ClusterDescription[];
  /** Of an update, the ids of clusters, what became of them, and drift; null of another run. Read from `lineage.json` on first access. */
  readonly update: UpdateSummary | null;
  /** Scores of the clustering. */
  readonly scores: Scores;
  /** Loss of the clustering net in the last epoch that trained it; null if none did. */
  readonly loss: number | null;
  /** Number N of rows of the data. */
  readonly rows: number;
  /**
   * Number of rows that were set apart before training. They lie so far from all others that they would have hidden the
   * clusters. They get labels too, mostly that of the nearest cluster; `outliers.npy` in the run directory says which they are.
   */
  readonly outliers: number;
  /** With `noise`: number of rows that are in no cluster, whose label is −1. */
  readonly noise: number;
  /** Number of columns of the data. */
  readonly columns: number;
  /** Number of training epochs. */
  readonly epochs: number;
  /** Number of rounds, in all sessions: exchanges between coordinator and workers. */
  readonly rounds: number;
  /** The largest number of workers at one time. */
  readonly workers: number;
  /** Wall-clock time from the first round to the result, in seconds, added over all sessions. */
  readonly seconds: number;
  /**
   * How much K and the clusters depend on the rows drawn; null without `replicates`, and if the run was stopped
   * before their end.
   */
  readonly replicates: Replicates | null;
  /**
   * With the graph likelihood, how much clusters depend on chance at the resolution of the run; null with the Gaussian one, and where
   * partitions of no resolution agree (K is 1).
   */
  readonly stability: Stability | null;
  /**
   * How nearly K would be another: the closest decisions on splits and merges; null with the graph likelihood, and
   * where `clusters` has decided on K.
   */
  readonly evidence: EvidenceForK | null;
  /** What each clustering of an encoder's latent vectors found; null without alternations. */
  readonly alternations: readonly Alternation[] | null;
  /**
   * Reasons to doubt the result, a sentence each: what was seen, such as a single cluster, and what to try. Empty for most runs.
   */
  readonly notes: readonly string[];
  /** The run directory (docs/run-directory.md). */
  readonly directory: string;
  /** The path of report.html; null if none was drawn. */
  readonly report: string | null;
}

/** The path of the report of a run; null if none was drawn. */
export function reportOf(directory: string): string | null {
  const path = join(directory, 'report', 'report.html');
  return existsSync(path) ? path : null;
}

/**
 * The public result of the run in `directory`. Its arrays are read from there on first access: UserError then for a file that
 * has another hash than in `files`, by default those of its run.json. `shown`: the directory as the caller knows it.
 */
export function resultOf(
  summary: Summary,
  directory: string,
  about: { soft: boolean; report: string | null; files?: FileHashes; shown?: string },
): RunResult {
  const { soft, report, files, shown = directory } = about;
  const { nmi, ari, acc, silhouette, rows, dim, k, loss, epochs, rounds, workers, seconds } = summary;
  const { outliers, noise, notes, replicates, stability, evidence, alternations = null } = summary;
  const properties = {
    k,
    scores: { nmi, ari, acc, silhouette },
    ...{ loss, rows, outliers, noise, columns: dim, epochs, rounds, workers, seconds },
    ...{ replicates, stability, evidence, alternations, notes, directory: shown, report },
  };
  // As they are now: the caller may change its folder, and a later run may replace this one.
  const path = resolve(directory);
  const [labels, responsibilities] = ['labels.npy', 'responsibilities.npy'].map((name) => join(path, name));
  const isWhole = existsSync(labels);
  const assertSame = sameFile(isWhole ? labels : join(path, PARTS_INDEX), 'the run ended');
  const own = () => {
    assertSame();
    return runFiles(path, files ?? recordedHashes(path));
  };
  const rowColumn = (name: string) => {
    own().assertIntact(name);
    return readRowColumn(path, name, rows);
  };
  return withArrays(properties, {
    labels() {
      own().assertIntact('labels.npy');
      return readRunLabels(path, rows);
    },
    components() {
      own().assertIntact(ROW_COMPONENTS);
      return readRunComponents(path, rows);
    },
    responsibilities() {
      if (!soft) return null;
      own().assertIntact('responsibilities.npy');
      return readRunResponsibilities(responsibilities, rows, k);
    },
    ...rowNumbers(rowColumn),
    logDensities() {
      own().assertIntact(LOG_DENSITIES);
      return readRunDensities(path, rows);
    },
    map() {
      own().assertIntact(MAP);
      return readRunMap(path, rows);
    },
    update: () => readUpdateSummary(own()),
    clusters() {
      return readSavedClusters(own()).clusters;
    },
  });
}

type RowNumberName = StemOf<(typeof ROW_COLUMNS)[RowNumber]>;
/** Readers of the numbers of each row. A result has them by the names of their files. */
const rowNumbers = (read: (file: string) => Float32Array) =>
  Object.fromEntries(
    ROW_NUMBERS.map((name) => ROW_COLUMNS[name].file).map((file) => [stemOf(file), () => read(file)]),
  ) as { [Name in RowNumberName]: () => RunResult[Name] };
