import { UserError } from '../base/user-error.ts';

/** Data without rows. */
export class NoRows extends UserError {}

/** What is known of a table besides its rows. */
export interface TableFacts {
  /** What missing values of each column became; null if nothing was imputed. */
  fill: (number | null)[] | null;
  /** By column of categories, these; a column of 0 and 1 for each but the first, the most frequent one. */
  categories: Record<string, string[]>;
  /** Rows, from 0, that were left out for missing values. */
  dropped: number[];
  /** The names of columns that are neither clustered nor kept beside the rows. */
  leftOut: string[];
  /** Those of them, by names or numbers, that nobody asked to leave out: they name or number rows, or are dates. */
  aside: string[];
  /** How many missing values were filled, and where, for people; null if none were. */
  filled: string | null;
  /** What people should know of what was read; null if there is nothing. */
  note: string | null;
  /** Of several files that are one table: their names and bytes, in their order; empty for one file. */
  parts: { name: string; bytes: number }[];
}

/** How rows that come over a network are best read: several requests at a time, each of many rows. */
export interface Latency {
  /** Nearby rows are read in one request, if the gap between them and their total span are at most this, bytes. */
  readonly gapBytes: number;
  readonly spanBytes: number;
  /** Bytes, and requests, that may be under way. */
  readonly aheadBytes: number;
  readonly requests: number;
}

/** Data rows as float32 in file order, read on demand, whatever the format of the file. */
export interface Source {
  readonly rows: number;
  readonly dim: number;
  /** The element type in the file, for messages: `float32`, `>f8`, `uint8`, `csv` … */
  readonly dtype: string;
  /** The shape of a row in the file, where it is not flat: [28,28] for an image. */
  readonly shape?: readonly number[];
  /** Of a folder of images: their paths below it, by row. */
  readonly images?: readonly string[];
  /** A file that has the rows, where that is another than the one that was opened: a decoded copy. */
  readonly file?: string;
  /** The name of the array, of a file that has several, where it is read in place. */
  readonly array?: string;
  /** Of a file that has several arrays: the first of all, with their shapes, for people. */
  readonly arrays?: readonly string[];
  /** The column that names the rows where none is chosen: of an .h5ad its obs_names. */
  readonly id?: string;
  /** The names of the columns; null or undefined where they have none. */
  readonly names?: readonly string[] | null;
  /** The columns, from 0, in whose place stand their logarithms; undefined where there are none. */
  readonly logged?: readonly number[];
  /** Of a table: what became of its missing values and categories. */
  readonly table?: TableFacts;
  /** What describes the rows, if there is such a thing: `read` gives it in their order, slice by slice, `name` is for messages. */
  readonly described?: { readonly name: string; read(): AsyncGenerator<string[]> };
  /** The text in a column of a table, by its name or number, in the order of the rows, slice by slice. UserError without such a column. */
  texts?(column: string): AsyncGenerator<string[]>;
  /**
   * Rows `start … start+count−1`, row-major, `count·dim` float32. `into`, of that length, may be used for them, which spares an
   * allocation. Rejects with a UserError if the file is truncated.
   */
  read(start: number, count: number, into?: Float32Array<ArrayBuffer>): Promise<Float32Array>;
  /** One row in float64, without rounding to float32 (except for tables and HDF5, whose cache is float32). */
  stored(row: number): Promise<Float64Array>;
  /** How rows are best read, if they come over a network. */
  readonly latency?: Latency;
  /** Throws, or rejects with, a UserError if the file is not the one that was opened any more, or has changed. Not for rows in memory. */
  assertSameFile?(): void | Promise<void>;
  close(): void;
}
