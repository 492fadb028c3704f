import type { ExpectedSize } from './npy.ts';
import type { Source } from './source.ts';
import type { TableOptions } from './tables/table-options.ts';

/** How data are opened. Apart from the readers of formats, so that what is given one need not load them all. */

/** How people are told how far reading is. */
export interface ReadingProgress {
  /** Takes a line that stays. */
  log?: (line: string) => void;
  /** Takes a text that the next one replaces, many a second. */
  status?: (text: string) => void;
}

/** How a folder of images is read. */
export interface ImageOptions {
  /** Width × height in pixels to which every image is scaled, such as `28x20`; null: all have the same. */
  size: string | null;
  /** Of each pixel; undefined: 1 if all images are grey, else 3. */
  channels?: 1 | 3;
  /** Images that cannot be decoded are left out; else they are an error. */
  skipBad: boolean;
  /** What is known of the images of a run: another folder is refused before it is decoded. `names`: undefined until it is finished. */
  expected?: { rows: number; names?: readonly string[] };
  /** What users have to know about the images. */
  warn?: (message: string) => void;
  /** Says how far decoding is. */
  log?: (line: string) => void;
  /** Called with how far the reading is, many times a second. */
  status?: (text: string) => void;
  /** Ends it. */
  signal?: AbortSignal;
}

export interface OpenOptions extends ReadingProgress {
  /** Which columns of a table are read, and how. */
  table?: TableOptions;
  /** The array to read, of a file that has several; by default the one that `table.columns` names, or the only one. */
  array?: string;
  /** How a folder of images is read. Without, a folder is refused: it may have any number of files to decode. */
  images?: ImageOptions;
  /** Columns in whose place stand their logarithms, from 0. */
  logged?: readonly number[];
  /** The expected size: another one rejects with a UserError, before a compressed file is unpacked. */
  expected?: ExpectedSize;
}

/** Opens data (`openSource` of open.ts). */
export type OpenSource = (path: string, options?: OpenOptions) => Promise<Source>;
