import { realpathSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';
import { firstBlockHash } from '../data/blocks.ts';
import { openSource } from '../data/open.ts';
import type { Source } from '../data/source.ts';
import type { Layout } from '../model/layout.ts';

/** Whether a file lies below a folder, once all symbolic links are followed. Throws where one of them is not there. */
export function isBelow(root: string, path: string): boolean {
  const way = relative(realpathSync(root), realpathSync(path));
  // Absolute: on another drive.
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** A reader of the data file that a coordinator names, if it lies below `root` and is the same file; else null. */
export async function openVisible(
  root: string,
  file: { path: string; firstBlock: string },
  layout: Layout,
  log: (line: string) => void,
): Promise<Source | null> {
  let source: Source | null = null;
  try {
    if (!isBelow(root, file.path)) return null;
    source = await openSource(file.path, { expected: layout });
    const same = source.rows === layout.rows && source.dim === layout.dim;
    if (same && (await firstBlockHash(source, layout)) === file.firstBlock) return source;
    log(`${file.path} differs from the coordinator's; asking it for rows`);
  } catch {
    log(`${file.path} cannot be read here; asking the coordinator for rows`);
  }
  source?.close();
  return null;
}
