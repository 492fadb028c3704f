import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import type { ArrayFile } from '../npy.ts';
import type { Source } from '../source.ts';

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

/** The number of the part that has a row, given the first row of each part and the end. */
function partWith(row: number, starts: readonly number[]): number {
  let [low, high] = [0, starts.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Arrays whose rows follow each other, as one. Closes them, with a UserError, unless their rows have the same shape; so does `close`. */
export function inARow(path: string, parts: { name: string; source: Source }[]): Source {
  const sources = parts.map(({ source }) => source);
  const close = () => {
    for (const source of sources) source.close();
  };
  const [{ dim, dtype, shape, latency }] = sources;
  const shapeOf = (source: Source) => `${source.dtype} [${source.shape ?? source.dim}]`;
  const other = sources.findIndex((source) => shapeOf(source) !== shapeOf(sources[0]));
  if (other >= 0) {
    close();
    throw new UserError(
      `${path} has arrays of different rows (${parts[0].name}: ${shapeOf(sources[0])}, ${parts[other].name}: ${shapeOf(sources[other])}): name those to read with a pattern`,
    );
  }
  const starts = [0];
  for (const source of sources) starts.push(starts.at(-1)! + source.rows);
  const rows = starts.at(-1)!;
  return {
    ...{ rows, dim, dtype, shape, latency, close },
    async read(start, count, into) {
      if (!(start >= 0 && count >= 0 && start + count <= rows))
        throw new RangeError(
          `rows ${start} to ${start + count} are outside of ${path}, which has ${rows} rows`,
        );
      let part = partWith(start, starts);
      if (start + count <= starts[part + 1]) return sources[part].read(start - starts[part], count, into);
      const all = into ?? new Float32Array(count * dim);
      for (let row = start; row < start + count; part++) {
        const own = Math.min(starts[part + 1], start + count) - row;
        const target = all.subarray((row - start) * dim, (row - start + own) * dim);
        const values = await sources[part].read(row - starts[part], own, target);
        if (values !== target) target.set(values);
        row += own;
      }
      return all;
    },
    stored(row) {
      const part = partWith(row, starts);
      return sources[part].stored(row - starts[part]);
    },
  };
}
