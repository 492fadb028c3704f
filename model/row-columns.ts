/**
 * What there is of each row, in one table: a worker computes it (tasks/full-pass/compute.ts), the coordinator or the workers write it to files of a
 * run directory, and what reads a run opens these. Schemas, files, parts and readers follow from this table, and from its numbers the columns of
 * tables and the outputs of `serve`.
 */

export interface RowColumn {
  /** In the run directory; in parts, the name begins with this. */
  file: `${string}.npy`;
  dtype: '<i4' | '<f4' | '|b1';
  /** Numbers of a row. */
  width: 1 | 2;
  /** What a worker may return. */
  values: 'clusters' | 'components' | 'any' | 'not negative' | 'finite' | 'flags';
  /** Some runs do not have it. */
  isOptional: boolean;
  /** Of a number that follows from the responsibilities of the row, which begin in `r` at `from`, and from the cluster that it is in, −1 of noise. */
  of?(r: Float32Array, from: number, k: number, cluster: number): number;
}

/** By the names of the tensors, and of columns of tables, in the order of the hashes that a worker returns of the files that it has written. */
export const ROW_COLUMNS = {
  /** The cluster. */
  labels: { file: 'labels.npy', dtype: '<i4', width: 1, values: 'clusters', isOptional: false },
  /** The component of the mixture, in the order of `mixture/`, of runs that are asked for it; −1 of noise. */
  component: { file: 'components.npy', dtype: '<i4', width: 1, values: 'components', isOptional: true },
  /** The responsibility of the row's cluster, or of noise: what those of clusters lack to 1. */
  confidence: {
    ...{ file: 'confidences.npy', dtype: '<f4', width: 1, values: 'any', isOptional: false },
    of(r, from, k, cluster) {
      if (cluster >= 0) return r[from + cluster];
      let noise = 1;
      for (let c = 0; c < k; c++) noise -= r[from + c];
      return Math.max(0, noise);
    },
  },
  /** From the centre of the row's cluster. */
  distance: { file: 'distances.npy', dtype: '<f4', width: 1, values: 'not negative', isOptional: false },
  /** Of the row under the whole mixture; runs by the graph likelihood have none. */
  log_density: { file: 'log-densities.npy', dtype: '<f4', width: 1, values: 'finite', isOptional: true },
  /** Where it is on the map. */
  map: { file: 'map.npy', dtype: '<f4', width: 2, values: 'finite', isOptional: true },
  /** 1 for rows that were set apart before training. */
  outliers: { file: 'outliers.npy', dtype: '|b1', width: 1, values: 'flags', isOptional: true },
} as const satisfies Record<string, RowColumn>;

export type RowColumnName = keyof typeof ROW_COLUMNS;
/** The names of the columns of a kind. */
type NameOf<Kind> = {
  [Name in RowColumnName]: (typeof ROW_COLUMNS)[Name] extends Kind ? Name : never;
}[RowColumnName];
/** Which of the optional columns a run has. */
export type OptionalColumns = Record<NameOf<{ isOptional: true }>, boolean>;
export const NONE_OPTIONAL: OptionalColumns = {
  ...{ component: false, log_density: false, map: false, outliers: false },
};
export const ALL_COLUMNS = Object.entries(ROW_COLUMNS) as [RowColumnName, RowColumn][];
const namesWhere = <Name extends RowColumnName>(is: (column: RowColumn) => boolean): readonly Name[] =>
  ALL_COLUMNS.map(([name]) => name).filter((name): name is Name => is(ROW_COLUMNS[name]));

/** What is one number of each row, in every run. */
export type RowNumber = NameOf<{ dtype: '<f4'; width: 1; isOptional: false }>;
export const ROW_NUMBERS = namesWhere<RowNumber>(
  ({ dtype, width, isOptional }) => dtype === '<f4' && width === 1 && !isOptional,
);

/** Those that follow from responsibilities. */
export type SoftNumber = NameOf<Required<Pick<RowColumn, 'of'>>>;
export const SOFT_NUMBERS = namesWhere<SoftNumber>((column) => column.of !== undefined);
export const forSoftNumbers = <T>(of: (name: SoftNumber) => T) =>
  Object.fromEntries(SOFT_NUMBERS.map((name) => [name, of(name)])) as Record<SoftNumber, T>;

/** These numbers of n rows, which are in these clusters and have the responsibilities `r`, [n,K]. */
export function softNumbers(clusters: ArrayLike<number>, r: Float32Array) {
  const k = r.length / clusters.length;
  return forSoftNumbers((name) =>
    Float32Array.from(clusters, (cluster, i) => ROW_COLUMNS[name].of(r, i * k, k, cluster)),
  );
}

/** The columns of a run that has these optional ones. */
export const rowColumns = (has: OptionalColumns): [RowColumnName, RowColumn][] =>
  ALL_COLUMNS.filter(([name, { isOptional }]) => !isOptional || has[name as keyof OptionalColumns]);

/** Of the columns that have numbers of clusters or components: what these are in the files of a run, by the numbers that workers have for them. */
export type FinalNumbers = Partial<Record<RowColumnName, readonly number[]>>;

/** The shape of a column of so many rows. */
export const columnShape = ({ width }: Pick<RowColumn, 'width'>, rows: number): number[] =>
  width === 1 ? [rows] : [rows, width];

interface ArrayOf {
  '<i4': Int32Array;
  '<f4': Float32Array;
  '|b1': Uint8Array;
}
/** The values of a column in memory; null where the run does not have it. */
export type RowValues = {
  [Name in RowColumnName]:
    | ArrayOf[(typeof ROW_COLUMNS)[Name]['dtype']]
    | ((typeof ROW_COLUMNS)[Name]['isOptional'] extends true ? null : never);
};
