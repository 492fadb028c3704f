import { UserError } from '../../base/user-error.ts';
import { areParts, isRemote, parseAddress } from './address.ts';
import { type CopyOptions, copyOf } from './local-copy.ts';

/**
 * What `work` makes of data at a path or an address. It gets a place to read from: the path itself; the address of an .npy that is read in
 * place, block by block; or the path of a copy in the cache, made once, of any other file, and with `whole` of each. A UserError names
 * the data as they were given.
 */
export async function atPlace<T>(
  data: string,
  { whole = false, ...options }: CopyOptions & { whole?: boolean },
  work: (place: string) => T | Promise<T>,
): Promise<T> {
  if (!isRemote(data)) return work(data);
  const place = await placeOf(data, options, whole);
  try {
    return await work(place);
  } catch (error) {
    if (!(error instanceof UserError) || !error.message.includes(place)) throw error;
    throw new UserError(error.message.replaceAll(place, parseAddress(data).name), {
      exitCode: error.exitCode,
      cause: error.cause,
    });
  }
}

async function placeOf(data: string, options: CopyOptions, whole: boolean): Promise<string> {
  if (areParts(data)) return (await import('./folder.ts')).placeOfParts(data, options, whole);
  const { isInPlace, openRemote } = await import('./remote-file.ts');
  const file = await openRemote(data, { signal: options.signal });
  return !whole && isInPlace(file) ? data : copyOf(file, options);
}
