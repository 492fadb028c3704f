import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import type { ArrayFile } from '../npy.ts';

/** A file that holds several arrays, each by its name. */
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

/** What an array of a container is called in messages, and by `--labels`. */
export const memberPath = (path: string, name: string) => oneLine(`${path}:${name}`);

/** Pickles of Python are programs rather than data: they are never opened. */
export const pickleError = (path: string) =>
  new UserError(
    `${path} is a pickle (as torch.save and pickle.dump write), which can run any code and so is never opened: save the array with safetensors.torch.save_file or numpy.save`,
  );
