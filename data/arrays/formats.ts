import { UserError } from '../../base/user-error.ts';
import {
  type Container,
  type ExpectedSize,
  isPickle,
  type Member,
  openMember,
  pickleError,
  ROWS,
  type Wanted,
} from './container.ts';
import { isHdf5 } from './hdf5.ts';
import { isZip } from './npz.ts';
import { isSafetensors } from './safetensors.ts';

/** The formats of containers: how they are recognized, and opened. */

const CONTAINERS = ['npz', 'safetensors', 'hdf5'] as const;
export type ContainerFormat = (typeof CONTAINERS)[number];

export const isContainer = (format: string): format is ContainerFormat =>
  (CONTAINERS as readonly string[]).includes(format);

/** Is this the name of a container? */
export const isContainerName = (path: string) => /\.(npz|safetensors|h5ad|h5|hdf5)$/i.test(path);

/** Bytes at the start of a file by which its format is recognized. */
export const HEAD_BYTES = 16;

/** The format of a container, by its first bytes, else by its name; null for other files. Throws a UserError for a pickle. */
export function containerFormat(path: string, head: Buffer): ContainerFormat | null {
  if (isZip(head)) return 'npz';
  if (isHdf5(head)) return 'hdf5';
  if (isSafetensors(head) || /\.safetensors$/i.test(path)) return 'safetensors';
  if (isPickle(path, head)) throw pickleError(path);
  if (/\.npz$/i.test(path)) return 'npz';
  return /\.(h5ad|h5|hdf5)$/i.test(path) ? 'hdf5' : null;
}

/** Opens a container. Rejects with a UserError if it is damaged or truncated. */
async function openContainer(format: ContainerFormat, path: string): Promise<Container> {
  switch (format) {
    case 'npz':
      return (await import('./npz.ts')).openNpz(path);
    case 'safetensors':
      return (await import('./safetensors.ts')).openSafetensors(path);
    case 'hdf5':
      return (await import('./h5ad.ts')).openH5ad(path);
  }
}

/** Opens the array that is named, or the only one that is wanted: see `openMember`. */
export async function openArray(
  format: ContainerFormat,
  path: string,
  name: string | null,
  wanted: Wanted,
  expected?: ExpectedSize,
): Promise<Member> {
  const container = await openContainer(format, path);
  try {
    return await openMember(container, name, wanted, expected);
  } finally {
    container.close();
  }
}

/** Opens the rows × columns that `columns` names, or the only ones. UserError if it has more than one name. `run`: they are for that. */
export function openRowsIn(
  format: ContainerFormat,
  path: string,
  columns: readonly string[] | null,
  expected?: ExpectedSize,
  run?: string,
): Promise<Member> {
  if (columns && columns.length !== 1)
    throw new UserError(
      `--columns ${columns.join(',')} has ${columns.length} names, but the rows of ${path} are in one array: give its name alone`,
    );
  const wanted =
    run === undefined ? ROWS : { ...ROWS, how: `a file of it alone, or by its name in the run ${run}` };
  return openArray(format, path, columns?.[0] ?? null, wanted, expected);
}

/** Those columns if the container has an array of that name, else null. */
export async function presentIn(
  format: ContainerFormat,
  path: string,
  columns: readonly string[],
): Promise<readonly string[] | null> {
  const container = await openContainer(format, path);
  try {
    // A container with an array of its own choice, as X of an .h5ad, could have that taken for the one that is missing.
    const isNamed = container.usual !== undefined || columns.every((name) => container.find(name) !== null);
    return isNamed ? columns : null;
  } finally {
    container.close();
  }
}
