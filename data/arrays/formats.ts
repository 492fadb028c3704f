import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { assertSize, type ExpectedSize, tuple } from '../npy.ts';
import { nearest } from '../value-range.ts';
import { type Container, memberPath, pickleError } from './container.ts';
import { isHdf5 } from './hdf5.ts';
import { isZip } from './npz.ts';
import { isSafetensors } from './safetensors.ts';

/** Containers of arrays: how their formats are recognized, and which of their arrays is taken. */

/** How a container of each format is opened: with a UserError if it is damaged or truncated. */
const CONTAINERS = {
  npz: async (path: string): Promise<Container> => (await import('./npz.ts')).openNpz(path),
  safetensors: async (path: string): Promise<Container> =>
    (await import('./safetensors.ts')).openSafetensors(path),
  hdf5: async (path: string): Promise<Container> => (await import('./hdf5.ts')).openHdf5(path),
};
export type ContainerFormat = keyof typeof CONTAINERS;

export const isContainer = (format: string): format is ContainerFormat => format in CONTAINERS;

/** Bytes at the start of a file by which its format is recognized. */
export const HEAD_BYTES = 16;

/** Is it a pickle, by its first bytes (from protocol 2 on) or by its name? */
const isPickle = (path: string, head: Uint8Array) =>
  (head[0] === 0x80 && head[1] >= 2 && head[1] <= 5) || /\.(pkl|pickle|pt|pth|joblib)$/i.test(path);

/** The format of a container, by its first bytes, else by its name; null for other files. Throws a UserError for a pickle. */
export function containerFormat(path: string, head: Buffer): ContainerFormat | null {
  if (isZip(head)) return 'npz';
  if (isHdf5(head)) return 'hdf5';
  if (isSafetensors(head) || /\.safetensors$/i.test(path)) return 'safetensors';
  if (isPickle(path, head)) throw pickleError(path);
  if (/\.npz$/i.test(path)) return 'npz';
  return /\.(h5ad|h5|hdf5)$/i.test(path) ? 'hdf5' : null;
}

/** Which array of a container is wanted. */
interface Wanted {
  /** Null: the usual one, or the only one that fits. */
  name: string | null;
  /** Arrays of rows × columns fit, or those of one label per row. */
  kind: 'rows' | 'labels';
  /** How to name one, for messages. */
  how: string;
  /** The expected size of rows: another one is an error before anything is unpacked. */
  expected?: ExpectedSize;
}

const KINDS = {
  rows: { what: 'array of rows × columns', fits: ({ length }: readonly number[]) => length >= 2 },
  labels: {
    what: 'array of one label per row',
    fits: ({ length, 1: columns }: readonly number[]) => length === 1 || (length === 2 && columns === 1),
  },
};

/** Names of arrays that a message lists. */
const MOST_LISTED = 20;

async function withContainer<T>(
  format: ContainerFormat,
  path: string,
  use: (container: Container) => T | Promise<T>,
): Promise<T> {
  const container = await CONTAINERS[format](path);
  try {
    return await use(container);
  } finally {
    container.close();
  }
}

/**
 * Opens the array that is wanted: also its name, and the first ones of all with their shapes. Rejects with a UserError if there is none,
 * or if they are several; or if it has another size than expected.
 */
export const openArray = (format: ContainerFormat, path: string, wanted: Wanted) =>
  withContainer(format, path, async (container) => {
    const { name, expected } = wanted;
    const arrays = await described(container);
    const array = name === null ? await onlyOne(container, wanted, arrays) : named(container, name, arrays);
    const shape = expected && (await container.shapeOf(array));
    if (shape) assertSize(memberPath(path, array), shape, expected);
    return { ...(await container.open(array, expected !== undefined)), array, arrays };
  });

function named({ path, names, find }: Container, name: string, arrays: readonly string[]): string {
  const found = find(name);
  if (found !== null) return found;
  const similar = names.length > MOST_LISTED ? `; similar names: ${nearest(name, names).join(', ')}` : '';
  throw new UserError(oneLine(`${path} has no array ${name}${similar}; it has ${listed(names, arrays)}`));
}

async function onlyOne(
  { path, names, usual, shapeOf }: Container,
  { kind, how }: Wanted,
  arrays: readonly string[],
): Promise<string> {
  if (usual !== undefined) return usual;
  if (!names.length) throw new UserError(`${path} has no arrays: save it again with data`);
  const fitting: string[] = [];
  for (const name of names) {
    const shape = await shapeOf(name);
    if (shape && KINDS[kind].fits(shape)) fitting.push(name);
  }
  if (fitting.length === 1) return fitting[0];
  // One that cannot be used has an error that says why.
  if (names.length === 1) return names[0];
  const problem = `has ${fitting.length ? 'more than one' : 'no'} ${KINDS[kind].what}`;
  throw new UserError(oneLine(`${path} ${problem}: choose one with ${how}; it has ${listed(names, arrays)}`));
}

/** The first arrays of a container, with their shapes. */
async function described({ names, shapeOf }: Container): Promise<string[]> {
  const parts: string[] = [];
  for (const name of names.slice(0, MOST_LISTED)) {
    const shape = await shapeOf(name);
    parts.push(shape ? `${name} ${tuple(shape)}` : name);
  }
  return parts;
}

const listed = ({ length }: readonly string[], arrays: readonly string[]) =>
  `${arrays.join(', ') || 'none'}${length > MOST_LISTED ? `, … (${length} in all)` : ''}`;

/** Opens the rows × columns that `columns` names, or the only ones. UserError if it has more than one name. `run`: they are for that. */
export async function openRowsIn(
  format: ContainerFormat,
  path: string,
  columns: readonly string[] | null,
  expected?: ExpectedSize,
  run?: string,
) {
  if (columns && columns.length !== 1)
    throw new UserError(
      `--columns ${columns.join(',')} has ${columns.length} names, but the rows of ${path} are in one array: give its name alone`,
    );
  const how = run === undefined ? '--columns NAME' : `a file of it alone, or by its name in the run ${run}`;
  return openArray(format, path, { name: columns?.[0] ?? null, kind: 'rows', how, expected });
}

/** Those columns if the container has an array of that name, else null. */
export const presentIn = (format: ContainerFormat, path: string, columns: readonly string[]) =>
  withContainer(format, path, ({ usual, find }) =>
    // A container with an array of its own choice, as X of an .h5ad, could have that taken for the one that is missing.
    usual !== undefined || columns.every((name) => find(name) !== null) ? columns : null,
  );
