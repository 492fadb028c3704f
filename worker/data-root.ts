import { realpathSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';

/** Whether a file lies below a folder, once all symbolic links are followed. Throws where one of them is not there. */
export function isBelow(root: string, path: string): boolean {
  const way = relative(realpathSync(root), realpathSync(path));
  // Absolute: on another drive.
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
