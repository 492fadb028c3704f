/** What is known of single rows and of what clusters are, as `clusters.json` of the run directory has it. */

/** A row that is shown for a cluster. */
export interface NamedRow {
  row: number;
  /** What names it in the data. */
  id?: string;
}

/** A cluster: which rows are typical of it, which are doubtful, and what sets it apart. */
export interface ClusterDetails {
  cluster: number;
  size: number;
  share: number;
  /** The rows nearest to its centre. */
  exemplars: NamedRow[];
  /** The rows that are nearest to another cluster. */
  border: NamedRow[];
  /** Columns in which it differs from all other rows: by so many standard deviations. */
  apart: { name: string; difference: number }[];
  words: string[];
  texts: string[];
}

/** A row of the data: `GET /api/rows`. */
export interface RowContent extends NamedRow {
  /** As a data URI, where rows are images. */
  image?: string;
  /** The first columns; of no image. */
  values?: number[];
}

/** `GET /api/rows?rows=1,2,3` */
export interface RowContents {
  /** Names of the first columns; null where they have none. */
  names: string[] | null;
  rows: RowContent[];
}

/** The details in a parsed `clusters.json`, by cluster; what is not as expected is left out, as another version may have written it. */
export function clusterDetailsIn(file: unknown): Map<number, ClusterDetails> {
  const found = new Map<number, ClusterDetails>();
  for (const one of list(record(file).clusters)) {
    const own = record(one);
    if (!isCount(own.cluster)) continue;
    found.set(own.cluster, {
      cluster: own.cluster,
      size: number(own.size) ?? 0,
      share: number(own.share) ?? 0,
      exemplars: list(own.exemplars).flatMap(namedRow),
      border: list(own.border).flatMap(namedRow),
      apart: list(own.apart).flatMap((column) => {
        const { name, column: place, difference } = record(column);
        const by = number(difference);
        return by === null ? [] : [{ name: text(name) ?? `column ${String(place)}`, difference: by }];
      }),
      words: list(own.words).flatMap((word) => text(record(word).word) ?? text(word) ?? []),
      texts: list(own.texts).flatMap((one) => text(one) ?? []),
    });
  }
  return found;
}

/** The telling words of a cluster, by which it is found; empty where there are none. */
export const wordsText = (details: ClusterDetails | undefined): string => details?.words.join(', ') ?? '';

function namedRow(value: unknown): NamedRow[] {
  const { row, id } = record(value);
  return isCount(row) ? [{ row, ...(text(id) !== null && { id: text(id)! }) }] : [];
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const number = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
