import {
  csvTable,
  type LabelColumn,
  type LabelTableWriter,
  MAP_COLUMNS,
  mapColumns,
  nameOfRows,
  parquetTable,
  rounded,
} from '../../data/saved/label-table.ts';
import { type RowSlice, rowSlices } from '../../data/saved/row-files.ts';
import type { Source } from '../../data/source.ts';
import { inSlices, type RowTexts, repeatCounter, rowTexts } from '../../data/texts/texts.ts';
import { outlierScore } from '../../model/description/distances.ts';
import type { Name } from '../../model/description/names.ts';
import type { RunConfig } from '../config.ts';
import type { FullPassResult } from '../full-pass-result.ts';
import type { RunDirectory, StreamedFile } from './run-directory.ts';

/** `labels.csv` and `labels.parquet`: what the .npy files say of each row, side by side, with what names it. */

export const LABELS_CSV = 'labels.csv';
export const LABELS_PARQUET = 'labels.parquet';

type Named = Pick<Source, 'images' | 'texts' | 'id'>;

/** What names the rows: a column of a table, those of the cells of an .h5ad, or images; null: their numbers. */
export function namesOfRows(
  { images, texts, id: usual = '' }: Named,
  { data, id }: Pick<RunConfig, 'data' | 'id'>,
): RowTexts | null {
  if (images) return rowTexts(inSlices(images), data);
  const column = id ?? usual;
  return column && texts ? rowTexts(texts(column), `column ${column} of ${data}`) : null;
}

/**
 * The columns of the tables, and those of some rows; `quantiles`: of distances, by cluster; `ids`: of clusters, their numbers by default;
 * `called`: what they are called. A column that only repeated the numbers is left out.
 */
export function labelColumns(
  quantiles: Float32Array,
  outliers: number | null,
  ids: readonly number[] | null = null,
  called: readonly (Name | null)[] = [],
  hasMap = false,
) {
  const isNamed = called.some((one) => one && one.namedBy !== 'number');
  const names: LabelColumn[] = [
    'cluster',
    ...(isNamed ? (['cluster_name'] as const) : []),
    ...(['confidence', 'distance', 'outlier_score'] as const),
  ];
  if (outliers !== null) names.push('cluster_or_outlier');
  if (hasMap) names.push(...MAP_COLUMNS);
  return {
    names,
    of({ labels, confidence, distance, map, outliers: flags }: Omit<RowSlice, 'start'>) {
      // Rows that were set apart are far from all clusters.
      const score = Float64Array.from(labels, (label, i) =>
        flags?.[i] ? 1 : rounded(outlierScore(quantiles, label, distance[i])),
      );
      const shown = ids ? labels.map((label) => ids[label]) : labels;
      return {
        ...{ cluster: shown, confidence, distance, outlier_score: score },
        ...(isNamed && { cluster_name: Array.from(labels, (label) => called[label]?.name ?? '') }),
        ...(outliers !== null && {
          cluster_or_outlier: shown.map((label, i) => (score[i] > outliers ? -1 : label)),
        }),
        ...(map && mapColumns(map)),
      };
    },
  };
}

interface LabelTablesInput {
  /** Quantiles of distances, by cluster. */
  quantiles: Float32Array;
  rows: number;
  /** Of clusters; their numbers by default. */
  ids?: readonly number[];
  /** Is there an outliers.npy? */
  hasOutliers: boolean;
  /** Is there a map.npy? Runs of earlier versions have none. */
  hasMap: boolean;
  /** What clusters are called, by their numbers. */
  called: readonly (Name | null)[];
}

/** What names rows, slice by slice in their order, and the title of that column. */
interface RowTitles {
  title: string;
  next(count: number): Promise<string[]>;
  /** Rejects unless these were all. */
  end?(): Promise<void>;
}

/**
 * Writes the tables, in one pass over the finished .npy files. `titles`: null where numbers of rows are all that names them. `each` is
 * called with every row that has a name.
 */
export async function writeLabelTables(
  out: Pick<RunDirectory, 'path' | 'stream'>,
  titles: RowTitles | null,
  { outliers, labelsParquet }: Pick<RunConfig, 'outliers' | 'labelsParquet'>,
  { quantiles, rows, ids, hasOutliers, hasMap, called }: LabelTablesInput,
  each: (row: number, name: string) => void = () => {},
): Promise<void> {
  const columns = labelColumns(quantiles, outliers, ids, called, hasMap);
  const files: StreamedFile[] = [];
  const stream = (name: string) => {
    const file = out.stream(name);
    files.push(file);
    return file;
  };
  const first = titles?.title ?? nameOfRows(null);
  try {
    const tables: LabelTableWriter[] = [csvTable(stream(LABELS_CSV), first, columns.names)];
    if (labelsParquet)
      tables.push(await parquetTable(stream(LABELS_PARQUET), first, columns.names, titles !== null));
    for await (const { start, ...slice } of rowSlices(out.path, rows, { hasOutliers, hasMap, ids })) {
      const names = titles && (await titles.next(slice.labels.length));
      for (const [i, name] of names?.entries() ?? []) each(start + i, name);
      const part = { start, ids: names, columns: columns.of(slice) };
      for (const table of tables) table.write(part);
    }
    await titles?.end?.();
    for (const table of tables) table.end();
    for (const file of files) file.finish();
  } catch (error) {
    for (const file of files) file.abort();
    throw error;
  }
}

/** The same of a run that ends. Returns what names the rows of `shown`. */
export async function writeLabelFiles(
  out: RunDirectory,
  source: Named,
  config: RunConfig,
  { shown, warn, ...about }: LabelTablesInput & { shown: ReadonlySet<number>; warn(message: string): void },
): Promise<Map<number, string>> {
  const { rows } = about;
  const found = new Map<number, string>();
  const names = namesOfRows(source, config);
  const id = config.id ?? source.id ?? null;
  const counter = id !== null && names ? await repeatCounter(rows) : null;
  const title = nameOfRows(source.images ? 'image' : id);
  try {
    await writeLabelTables(out, names && { ...names, title }, config, about, (row, name) => {
      counter?.add(name);
      if (shown.has(row)) found.set(row, name);
    });
    const repeats = counter?.repeats() ?? 0;
    if (repeats)
      warn(
        `${config.id === null ? 'the file' : `--id ${id}`}: ${repeats.toLocaleString('en')} of ${rows.toLocaleString('en')} rows have the name of a row before them`,
      );
    return found;
  } finally {
    await names?.close();
  }
}

/** The rows that are shown, of all clusters. */
export const shownRows = ({ shown: { exemplars, border } }: FullPassResult): Set<number> =>
  new Set([...exemplars, ...border].flat().map(({ row }) => row));
