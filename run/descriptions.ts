import { type NamedRows, namesOfRows, repeatCounter } from '../data/texts/texts.ts';
import type { Name } from '../model/description/names.ts';
import type { Order } from '../model/order.ts';
import type { OptionalColumns } from '../model/row-columns.ts';
import type { Contingency } from '../model/scores.ts';
import type { RunConfig } from './config.ts';
import { csvTable, type LabelTableWriter, labelColumns, nameOfRows, parquetTable } from './label-table.ts';
import { rowSlices } from './row-files.ts';
import type { RunDirectory, StreamedFile } from './run-directory.ts';

/** `labels.csv` and `labels.parquet`: what the .npy files say of each row, side by side, with what names it. */

export const LABELS_CSV = 'labels.csv';
export const LABELS_PARQUET = 'labels.parquet';

interface LabelTablesInput {
  /** Quantiles of distances, by cluster. */
  quantiles: Float32Array;
  rows: number;
  /** Of clusters; their numbers by default. */
  ids?: readonly number[];
  /** The optional columns that there are. */
  has: OptionalColumns;
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
  { labelsParquet }: Pick<RunConfig, 'labelsParquet'>,
  { quantiles, rows, ids, has, called }: LabelTablesInput,
  each: (row: number, name: string) => void = () => {},
): Promise<void> {
  const columns = labelColumns(quantiles, ids, called, has);
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
    for await (const { start, ...slice } of rowSlices(out.path, rows, { has, ids })) {
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
  source: NamedRows,
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

/** What a full pass finds of all rows, from which a run's results are written and its clusters described. */

/** A row that is nearly as well in another cluster: `margin` is what its largest responsibility exceeds that one's by. */
export interface BorderCandidate {
  row: number;
  margin: number;
  rival: number;
}

/** What the full pass found out about the rows of each cluster, by the clusters' numbers by size. */
export interface ShownRows {
  /** The rows nearest to the centre, the nearest first. */
  exemplars: { row: number; distance: number }[][];
  /** The rows that are nearest to another cluster. */
  border: BorderCandidate[][];
  /** Of the distances of rows from the centre: [K, 1001] (model/description/distances.ts). */
  quantiles: Float32Array;
}

export interface ColumnSums {
  /** Σx of the rows of each cluster. */
  sums: Float64Array[];
  /** Σx² of all rows. */
  squares: Float64Array;
}

/** By the clusters' numbers by size. */
export interface FullPassResult {
  /** Components in the order of their clusters: for each the number before all rows were counted, in the net or mixture that the workers had. */
  order: Order;
  /** Statistics of each component, in this order, over all rows but outliers, by hard assignment. */
  T: Float64Array[];
  /** Rows with each label, outliers included. */
  counts: number[];
  /** Rows of which the silhouette is computed, with their labels. */
  sampled: { rows: Float32Array; labels: number[] };
  /** Clusters against classes; null where true labels are not known. */
  table: Contingency | null;
  /** Rows that are in no cluster: they do not count in the statistics. */
  noise: number;
  /** Other rows that are outliers: they have labels, but do not count in the statistics. */
  outliers: number;
  /** Others that are beyond the reach of the cluster that they are labelled with; 0 with the graph likelihood. */
  unexplained: number;
  /** The rows of each shard with a priority below `below` that are outliers. */
  sampledOutliers: number[][];
  /** By column, over the raw rows but outliers. */
  columns: ColumnSums;
  shown: ShownRows;
}
