import { realpathSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { firstBlockHash } from '../data/blocks.ts';
import { formatOf, openSource } from '../data/open.ts';
import { isBelowAddress, isRemote } from '../data/remote/address.ts';
import type { Source } from '../data/source.ts';
import type { Layout } from '../model/layout.ts';

/** Whether a file is inside a folder, after resolving symbolic links. Throws if either does not exist. */
export function isBelow(root: string, path: string): boolean {
  const subpath = relative(realpathSync(root), realpathSync(path));
  // Absolute: on another drive.
  return subpath !== '' && subpath !== '..' && !subpath.startsWith(`..${sep}`) && !isAbsolute(subpath);
}

/** Does one of the roots allow this file? A folder allows the files below it, a prefix of addresses the remote files below that. */
function isAllowed(roots: readonly string[], path: string): boolean {
  if (isRemote(path)) return roots.some((root) => isRemote(root) && isBelowAddress(root, path));
  return roots.some((root) => !isRemote(root) && isBelow(root, path));
}

/** What workers read for themselves: files that need not be decoded. Of others a coordinator names the copy that it has made. */
const isReadInPlace = (path: string) =>
  ['npy', 'idx', 'idx.gz', 'npz', 'safetensors'].includes(formatOf(path));

/** Opens the data file that a coordinator names. Null unless one of the `roots` allows it and it is the same file. */
export async function openVisible(
  roots: readonly string[],
  file: { path: string; firstBlock: string; array?: string },
  layout: Layout,
  log: (line: string) => void,
): Promise<Source | null> {
  let source: Source | null = null;
  const name = oneLine(file.path);
  try {
    if (!isAllowed(roots, file.path)) return null;
    // Nothing is copied from elsewhere, or decoded, at the word of a coordinator.
    if (isRemote(file.path))
      source = await (await import('../data/remote/remote-file.ts')).openRemoteNpy(file.path);
    else if (isReadInPlace(file.path))
      source = await openSource(file.path, { expected: layout, array: file.array });
    else throw new UserError('not in place');
    const same = source.rows === layout.rows && source.dim === layout.dim;
    if (same && (await firstBlockHash(source, layout)) === file.firstBlock) return source;
    log(`${name} differs from the coordinator's file; fetching rows from the coordinator`);
  } catch {
    log(`${name} cannot be read here; fetching rows from the coordinator`);
  }
  source?.close();
  return null;
}
