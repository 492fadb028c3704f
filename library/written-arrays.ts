import { statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { createNpy, readNpy } from '../data/npy.ts';

/** Arrays of results that are in files until a program asks for them. */

/** A function that throws a UserError once the path leads to another file than now. `since`: what has happened now. */
export function sameFile(path: string, since: string): () => void {
  const stamp = stampOf(path);
  return () => {
    if (stampOf(path) !== stamp)
      throw new UserError(
        `${path} has been replaced or removed since ${since}; read the arrays of a result before that`,
      );
  };
}

/** Reads the .npy file that was written now, once it is asked to. UserError if it is another one by then. */
export function npyReader<Values>(path: string): () => Values {
  const assertSame = sameFile(path, 'it was written');
  return () => {
    assertSame();
    return readNpy(path).data as Values;
  };
}

/** An array that is written in pieces, each from its first element on: to an .npy file, or without a path to memory. */
export function createSink<Values extends Int32Array | Float32Array>(
  path: string | undefined,
  dtype: '<i4' | '<f4',
  shape: number[],
  replace: boolean,
) {
  const length = shape.reduce((a, b) => a * b, 1);
  if (path === undefined) {
    const values = (dtype === '<i4' ? new Int32Array(length) : new Float32Array(length)) as Values;
    const write = (piece: Values, first: number) => values.set(piece, first);
    return { write, finish() {}, abort() {}, read: () => values };
  }
  const file = createNpy(path, dtype, shape, { replace });
  let read: () => Values;
  return {
    write: (piece: Values, first: number) => file.write(piece, first),
    /** Gives the file its name. */
    finish() {
      file.finish();
      read = npyReader(path);
    },
    /** Removes an incomplete file. */
    abort: file.abort,
    read: () => read(),
  };
}

/** Identifies the content of a file, cheaply. */
function stampOf(path: string): string {
  const stat = statusOf(path);
  return stat ? [stat.dev, stat.ino, stat.size, stat.mtimeMs].join('/') : 'missing';
}

/** Adds properties that are read on first access. They are not enumerable, so printing and copying the object omits them. */
export function withArrays<T extends object, Arrays extends Record<string, unknown>>(
  object: T,
  readers: { [Name in keyof Arrays]: () => Arrays[Name] },
): T & Arrays {
  for (const [name, read] of Object.entries(readers) as [string, () => unknown][]) {
    let cached: { value: unknown } | null = null;
    Object.defineProperty(object, name, {
      get() {
        cached ??= { value: read() };
        return cached.value;
      },
    });
  }
  return object as T & Arrays;
}
