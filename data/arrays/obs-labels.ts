import type { Dataset, File, Group } from 'h5wasm/node';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { nearest } from '../nearest.ts';
import { CHUNK_ELEMENTS } from '../npy.ts';
import {
  attemptHdf5,
  attribute,
  closeHdf5,
  datasetIn,
  isDataset,
  isGroup,
  isNumeric,
  isText,
  numbersOf,
  objectIn,
  openHdf5,
  textsOf,
} from './hdf5.ts';

/** A column of `obs` of an .h5ad file, or a list in another HDF5 file, as labels. */

/** The name of a class, or its number; '' where there is none. */
export type Label = string | number;

const MOST_LISTED = 20;
/** Also columns of pandas that may be missing are in a group: of values, and whether they are missing. */
interface Column {
  values: Dataset;
  categories?: Label[];
  mask?: Dataset;
}

/** The labels of all rows, in order, slice by slice. Rejects with a UserError if there is no such column. */
export const obsLabels = (path: string, name: string | undefined): AsyncGenerator<Label[]> =>
  slicesOf(path, (file) => columnOf(path, file, name));

/** What names the rows of an AnnData, its obs_names: their column in `obs`; null if there are not so many. */
export function obsIndex(file: File, rows: number): string | null {
  const obs = objectIn(file, 'obs');
  if (!obs || !isGroup(obs)) return null;
  const name = String(attribute(obs, '_index') ?? '_index');
  return columnIn(obs, name)?.values.shape?.join() === String(rows) ? name : null;
}

/** The texts of a column of `obs`, in order, slice by slice. */
export async function* obsTexts(path: string, name: string): AsyncGenerator<string[]> {
  for await (const labels of slicesOf(path, (file) => columnIn(objectIn(file, 'obs') as Group, name)!))
    yield labels.map(String);
}

async function* slicesOf(path: string, find: (file: File) => Column): AsyncGenerator<Label[]> {
  const file = await openHdf5(path);
  try {
    const column = attemptHdf5(path, () => find(file));
    const [rows] = column.values.shape!;
    if (!rows) return;
    for (const { from, to } of ranges(rows, CHUNK_ELEMENTS)) {
      await yieldToEventLoop();
      yield attemptHdf5(path, () => labelsOf(column, from, to));
    }
  } finally {
    closeHdf5(file);
  }
}

function columnOf(path: string, file: File, name: string | undefined): Column {
  const obs = objectIn(file, 'obs');
  const names = (obs && isGroup(obs) ? obs : file).keys().filter((key) => !key.startsWith('_'));
  const example = `${path}:${names[0] ?? 'NAME'}`;
  const listed = `${names.slice(0, MOST_LISTED).join(', ')}${names.length > MOST_LISTED ? ', …' : ''}`;
  if (name === undefined)
    throw new UserError(oneLine(`${path} has several columns (${listed}): choose one, as in ${example}`));
  const column = (obs && isGroup(obs) && columnIn(obs, name)) || columnIn(file, name);
  if (column && column.values.shape?.length === 1) return column;
  const similar = nearest(name, names).join(', ');
  throw new UserError(
    oneLine(
      column
        ? `${path}:${name} has ${column.values.shape?.length} dimensions, not one label per row: name a column of obs (${listed})`
        : `${path} has no column ${name}${similar && ` (did you mean ${similar}?)`}; it has ${listed || 'none'}`,
    ),
  );
}

function columnIn(group: Group, name: string): Column | null {
  const found = objectIn(group, name);
  if (!found) return null;
  if (isDataset(found)) {
    // As AnnData wrote them before version 0.7.
    const categories = datasetIn(group, `__categories/${name}`);
    return isNumeric(found) || isText(found)
      ? { values: found, ...(categories && { categories: allOf(categories) }) }
      : null;
  }
  const [codes, categories, values, mask] = ['codes', 'categories', 'values', 'mask'].map((part) =>
    datasetIn(found, part),
  );
  if (codes && categories) return { values: codes, categories: allOf(categories) };
  return values && mask ? { values, mask } : null;
}

const allOf = (dataset: Dataset): Label[] => partOf(dataset, 0, dataset.shape?.[0] ?? 0);

function partOf(dataset: Dataset, from: number, to: number): Label[] {
  if (isText(dataset)) return textsOf(dataset, from, to);
  return from < to ? Array.from(numbersOf(dataset, [from, to])) : [];
}

function labelsOf({ values, categories, mask }: Column, from: number, to: number): Label[] {
  const part = partOf(values, from, to);
  const missing = mask && numbersOf(mask, [from, to]);
  return part.map((value, i) => {
    if (missing?.[i] || Number.isNaN(value)) return '';
    return categories ? (categories[value as number] ?? '') : value;
  });
}
