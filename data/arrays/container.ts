import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { elementCount } from '../../model/arrays.ts';
import { nearest } from '../column-names.ts';
import { type ArrayFile, tuple } from '../npy.ts';

/** Files that hold several arrays, each by its name, and which of them is taken. */

export interface Container {
  readonly path: string;
  /** The names of all arrays in it. */
  readonly names: readonly string[];
  /** The name of the array that is meant by this one; null if there is none. */
  find(name: string): string | null;
  /** The array that is taken where none is named, whatever others there are. */
  readonly usual?: string;
  /** The shape of an array; null where it cannot be told without the error that `open` would throw. */
  shapeOf(name: string): Promise<readonly number[] | null>;
  /** `isKnown`: another process has looked at its checksum, or compares what is read. */
  open(name: string, isKnown?: boolean): Promise<ContainedArray>;
  close(): void;
}

/** An array of a container, opened. */
export interface ContainedArray {
  file: ArrayFile;
  /** The decoded copy in the cache, where the file is that. */
  copy?: string;
  /** The names of its columns; null where they have none. */
  names?: readonly string[] | null;
  /** What names its rows, slice by slice, and what that is called. */
  rowNames?: { title: string; texts(): AsyncGenerator<string[]> };
}

/** An array of a container, its name, and the first ones of all with their shapes. */
export type Member = ContainedArray & { array: string; arrays: readonly string[] };

/** What is looked for in a container. */
export interface Wanted {
  /** What is wanted, in words for messages. */
  what: string;
  /** How to name one, for messages. */
  how: string;
  isIt(shape: readonly number[]): boolean;
}

export const ROWS: Wanted = {
  what: 'array of rows × columns',
  how: '--columns NAME',
  isIt: (shape) => shape.length >= 2,
};

export const LABELS: Wanted = {
  what: 'array of one label per row',
  how: 'its name after the file, as in FILE:NAME',
  isIt: (shape) => shape.length === 1 || (shape.length === 2 && shape[1] === 1),
};

/** The expected size of rows. */
export type ExpectedSize = Readonly<{ rows: number; dim: number }>;

/** Names of arrays that a message lists. */
const MOST_LISTED = 20;

/** What an array of a container is called in messages, and by `--labels`. */
export const memberPath = (path: string, name: string) => oneLine(`${path}:${name}`);

/**
 * Opens the array called `name`; if that is null, the usual one, or the only one that is wanted. Rejects with a UserError if
 * there is none, or if they are several; or if it has another size than `expected`, before anything is unpacked.
 */
export async function openMember(
  container: Container,
  name: string | null,
  wanted: Wanted,
  expected?: ExpectedSize,
): Promise<Member> {
  const array = name === null ? await onlyOne(container, wanted) : await named(container, name);
  const shape = expected && (await container.shapeOf(array));
  if (shape && (shape[0] !== expected.rows || elementCount(shape.slice(1)) !== expected.dim))
    throw new UserError(
      `${memberPath(container.path, array)} has shape ${tuple(shape)}, not (${expected.rows}, ${expected.dim})`,
    );
  return {
    ...(await container.open(array, expected !== undefined)),
    array,
    arrays: await described(container),
  };
}

async function named(container: Container, name: string): Promise<string> {
  const found = container.find(name);
  if (found !== null) return found;
  const { path, names } = container;
  const similar = names.length > MOST_LISTED ? `; similar names: ${nearest(name, names).join(', ')}` : '';
  throw new UserError(oneLine(`${path} has no array ${name}${similar}; it has ${await listed(container)}`));
}

async function onlyOne(container: Container, { what, how, isIt }: Wanted): Promise<string> {
  const { path, names, usual } = container;
  if (usual !== undefined) return usual;
  if (!names.length) throw new UserError(`${path} has no arrays: save it again with data`);
  const fitting: string[] = [];
  for (const name of names) {
    const shape = await container.shapeOf(name);
    if (shape && isIt(shape)) fitting.push(name);
  }
  if (fitting.length === 1) return fitting[0];
  // One that cannot be used has an error that says why.
  if (names.length === 1) return names[0];
  const problem = fitting.length ? `has more than one ${what}` : `has no ${what}`;
  throw new UserError(
    oneLine(`${path} ${problem}: choose one with ${how}; it has ${await listed(container)}`),
  );
}

/** The first arrays of a container, with their shapes. */
async function described(container: Container): Promise<string[]> {
  const parts: string[] = [];
  for (const name of container.names.slice(0, MOST_LISTED)) {
    const shape = await container.shapeOf(name);
    parts.push(shape ? `${name} ${tuple(shape)}` : name);
  }
  return parts;
}

async function listed(container: Container): Promise<string> {
  const { names } = container;
  const parts = await described(container);
  return `${parts.join(', ') || 'none'}${names.length > MOST_LISTED ? `, … (${names.length} in all)` : ''}`;
}

/** Pickles of Python, which are programs rather than data: they are never opened. */

const PROTOCOL = 0x80;
const NEWEST = 5;

/** Is it a pickle, by its first bytes (from protocol 2 on) or by its name? */
export const isPickle = (path: string, head: Uint8Array) =>
  (head[0] === PROTOCOL && head[1] >= 2 && head[1] <= NEWEST) || /\.(pkl|pickle|pt|pth|joblib)$/i.test(path);

export const pickleError = (path: string) =>
  new UserError(
    `${path} is a pickle (as torch.save and pickle.dump write), which can run any code and so is never opened: save the array with safetensors.torch.save_file or numpy.save`,
  );
