/** What pages say of a config. */

/** Options that are off without a value; the others without one follow from the data. */
const OFF = new Set(['labels', 'drop', 'id', 'text', 'impute', 'oneHot', 'replicates', 'outliers']);

/** `none`, `all` or, where the value follows from the data, `chosen`. */
export function unsetText(option: string, chosen: string): string {
  if (option === 'columns') return 'all';
  return OFF.has(option) ? 'none' : chosen;
}

/** The files with the labels, in the run directory. */
export const labelFiles = ({ labelsParquet }: Record<string, unknown>): string =>
  ['labels.npy', 'labels.csv', ...(labelsParquet === true ? ['labels.parquet'] : [])].join(', ');
