import type { Dataset, File, Group } from 'h5wasm/node';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { elementCount } from '../../model/arrays.ts';
import { assertRoom, openCached } from '../cache.ts';
import { nearest, tellingNames } from '../column-names.ts';
import { CHUNK_ELEMENTS, createNpy, openNpy, readAppendix } from '../npy.ts';
import { type ContainedArray, type Container, memberPath } from './container.ts';
import {
  attemptHdf5,
  attribute,
  closeHdf5,
  datasetIn,
  densePieces,
  hdf5Error,
  isDataset,
  isGroup,
  isNumeric,
  isText,
  numbersOf,
  objectIn,
  openHdf5,
  type SparseMatrix,
  sparseIn,
  textsOf,
} from './hdf5.ts';

/** Matrices of AnnData (.h5ad) and other HDF5 files, which are decoded once, in slices, into a float32 .npy in the cache. */

/** Groups of AnnData in which an array is found by its name alone. */
const GROUPS = ['obsm', 'layers'];
/** Of any other file: groups in groups, and arrays, that are looked at. */
const MOST_DEPTH = 8;
const MOST_ARRAYS = 1000;
/** Bytes of a chunk of a file, which is unpacked as a whole, that are read at once. */
const MOST_CHUNK_BYTES = 1 << 26;

type Matrix = { dense: Dataset } | { sparse: SparseMatrix };

/** Opens an HDF5 file. Rejects with a UserError if it is damaged or truncated. */
export async function openH5ad(path: string): Promise<Container> {
  const file = await openHdf5(path);
  try {
    const isAnnData = attemptHdf5(
      path,
      () => ['X', 'obs', 'var'].filter((name) => objectIn(file, name)).length >= 2,
    );
    const names = attemptHdf5(path, () => (isAnnData ? annDataNames(file) : namesBelow(file)));
    const matrix = (name: string) => attemptHdf5(path, () => matrixIn(file, name));
    return {
      path,
      names,
      ...(isAnnData && names.includes('X') && { usual: 'X' }),
      find: (name) =>
        [name.replace(/^\//, ''), ...(isAnnData ? GROUPS.map((group) => `${group}/${name}`) : [])].find(
          matrix,
        ) ?? null,
      shapeOf: async (name) => shapeOf(matrix(name)!),
      open: (name) => openMatrix(path, file, name, matrix(name)!),
      close: () => closeHdf5(file),
    };
  } catch (error) {
    closeHdf5(file);
    throw error;
  }
}

const annDataNames = (file: File): string[] => [
  ...['X'].filter((name) => matrixIn(file, name)),
  ...GROUPS.flatMap((name) => {
    const group = objectIn(file, name);
    return group && isGroup(group) ? namesBelow(group, `${name}/`, MOST_DEPTH) : [];
  }),
];

/** The paths of all matrices in a group and the groups in it. */
function namesBelow(group: Group, prefix = '', depth = 0): string[] {
  const names: string[] = [];
  for (const key of group.keys()) {
    if (names.length >= MOST_ARRAYS) break;
    const found = objectIn(group, key);
    if (!found) continue;
    if (matrixIn(group, key)) names.push(prefix + key);
    else if (isGroup(found) && depth < MOST_DEPTH)
      names.push(...namesBelow(found, `${prefix}${key}/`, depth + 1));
  }
  return names;
}

function matrixIn(group: Group, name: string): Matrix | null {
  const found = objectIn(group, name);
  if (!found) return null;
  if (isDataset(found)) return isNumeric(found) && found.shape ? { dense: found } : null;
  const sparse = sparseIn(found);
  return sparse && { sparse };
}

const shapeOf = (matrix: Matrix): readonly number[] =>
  'dense' in matrix ? matrix.dense.shape! : matrix.sparse.shape;

async function openMatrix(path: string, file: File, name: string, matrix: Matrix): Promise<ContainedArray> {
  const label = memberPath(path, name);
  if ('dense' in matrix && matrix.dense.metadata.virtual_sources)
    throw new UserError(`${label} lies in other files (a virtual dataset): copy it into one file`);
  const { copy, ...array } = await openCached(
    path,
    `hdf5 ${name}`,
    (target) => {
      const names = attemptHdf5(path, () => columnNames(file, name, shapeOf(matrix)));
      return decode(matrix, label, target, names);
    },
    (target) => openNpy(target, label),
  );
  const names = JSON.parse(readAppendix(array).toString());
  const isOfObs = ['X', ...GROUPS].includes(name.split('/')[0]);
  const index = isOfObs ? attemptHdf5(path, () => obsIndex(file, array.shape[0])) : null;
  const title = index?.startsWith('_') ? 'obs_names' : index;
  return {
    ...{ file: array, copy, names },
    ...(index !== null && { rowNames: { title: title!, texts: () => obsTexts(path, index) } }),
  };
}

/** The names of the columns of X and its layers; null where they have none that tell them apart. */
function columnNames(file: File, name: string, shape: readonly number[]): readonly string[] | null {
  const variables = objectIn(file, 'var');
  if (!(name === 'X' || name.startsWith('layers/')) || !variables || !isGroup(variables)) return null;
  const index = datasetIn(variables, String(attribute(variables, '_index') ?? '_index'));
  if (index?.shape?.length !== 1 || index.shape[0] !== shape[1]) return null;
  return tellingNames(textsOf(index, 0, shape[1]).map(String));
}

async function decode(
  matrix: Matrix,
  label: string,
  target: string,
  names: readonly string[] | null,
): Promise<void> {
  const shape = shapeOf(matrix);
  const width = elementCount(shape.slice(1));
  assertRoom(target, label, 4 * elementCount(shape));
  const npy = createNpy(target, '<f4', shape, { mode: 0o600 });
  const pieces = 'dense' in matrix ? slicesOf(matrix.dense) : densePieces(matrix.sparse, label);
  try {
    for await (const { start, values } of pieces) npy.write(Float32Array.from(values), start * width);
    npy.finish(shape, Buffer.from(JSON.stringify(names)));
  } catch (error) {
    npy.abort();
    throw hdf5Error(label, error);
  }
}

/** All rows of a dense matrix, in whole chunks of the file, as far as these are not huge. */
async function* slicesOf(dataset: Dataset): AsyncGenerator<{ start: number; values: ArrayLike<number> }> {
  const { shape, metadata } = dataset;
  const [rows] = shape!;
  const width = Math.max(1, elementCount(shape!.slice(1)));
  const most = Math.max(1, Math.floor((4 * CHUNK_ELEMENTS) / width));
  const chunk = metadata.chunks?.[0] ?? 1;
  const whole = chunk * Math.max(1, Math.floor(most / chunk));
  const step = chunk * width * metadata.size <= MOST_CHUNK_BYTES ? whole : most;
  if (!rows) return;
  for (const { from, to } of ranges(rows, step)) {
    await yieldToEventLoop();
    yield {
      start: from,
      values: numbersOf(dataset, [from, to], ...shape!.slice(1).map((n) => [0, n] as [number, number])),
    };
  }
}

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
  labelSlices(path, (file) => columnOf(path, file, name));

/** What names the rows of an AnnData, its obs_names: their column in `obs`; null if there are not so many. */
function obsIndex(file: File, rows: number): string | null {
  const obs = objectIn(file, 'obs');
  if (!obs || !isGroup(obs)) return null;
  const name = String(attribute(obs, '_index') ?? '_index');
  return columnIn(obs, name)?.values.shape?.join() === String(rows) ? name : null;
}

/** The texts of a column of `obs`, in order, slice by slice. */
async function* obsTexts(path: string, name: string): AsyncGenerator<string[]> {
  for await (const labels of labelSlices(path, (file) => columnIn(objectIn(file, 'obs') as Group, name)!))
    yield labels.map(String);
}

async function* labelSlices(path: string, find: (file: File) => Column): AsyncGenerator<Label[]> {
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
