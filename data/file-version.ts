import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ioError } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { isCopy } from './cache-pruning.ts';

/**
 * Differs when the content of a file may, or when another one has its name: also by inode and the time of its last change,
 * which no program can set, as `cp -p` sets the modification time. UserError if there is no such file.
 */
export function fileVersion(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    // The times of a copy in the cache say when it was last used.
    const times = isCopy(path) ? [] : [mtimeNs, ctimeNs];
    return JSON.stringify([resolve(path), ...[ino, size, ...times].map(String)]);
  } catch (error) {
    throw ioError(path, 'read', error);
  }
}

/** Throws a UserError if the file is not as it was when it had this version. */
export function assertVersion(path: string, version: string, versionOf = fileVersion): void {
  if (versionOf(path) !== version)
    throw new UserError(`${path} changed while it was being read: start again once it is complete`);
}
