/** The formats of data by the names of files, and tables also by their first bytes. */

export type TableFormat = 'csv' | 'parquet' | 'arrow' | 'json lines';

/** How the formats are recognized: by the first bytes of a file, or text by the file's name. */
export const BINARY_TABLES: { format: TableFormat; magic: string; names: RegExp; called: string }[] = [
  { format: 'parquet', magic: 'PAR1', names: /\.(parquet|pq)$/i, called: 'Parquet' },
  { format: 'arrow', magic: 'ARROW1', names: /\.(feather|arrow|ipc)$/i, called: 'Arrow (Feather version 2)' },
];
const TEXT_TABLES: [RegExp, TableFormat][] = [
  [/\.(csv|tsv|txt)(\.(gz|zst|zstd))?$/i, 'csv'],
  [/\.(jsonl|ndjson|json)(\.(gz|zst|zstd))?$/i, 'json lines'],
];

/** The format of a table of text by its name; null for another one. */
export const textFormatOf = (path: string): TableFormat | null =>
  TEXT_TABLES.find(([name]) => name.test(path))?.[1] ?? null;

/** Is this the name of a table of text? */
export const isTextName = (path: string): boolean => textFormatOf(path) !== null;

/** Is this the name of a table? */
export const isTableName = (path: string): boolean =>
  BINARY_TABLES.some(({ names }) => names.test(path)) || isTextName(path);

/** Is this the name of a container of arrays? */
export const isContainerName = (path: string): boolean => /\.(npz|safetensors|h5ad|h5|hdf5)$/i.test(path);
