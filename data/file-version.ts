import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ioError } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

/**
 * Differs when the content of a file may, or when another one has its name: also by inode and the time of its last change,
 * which no program can set, as `cp -p` sets the modification time. UserError if there is no such file.
 */
export function fileVersion(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return JSON.stringify([resolve(path), ...[ino, size, mtimeNs, ctimeNs].map(String)]);
  } catch (error) {
    throw ioError(path, 'read', error);
  }
}

/** Throws a UserError if the file is not as it was when it had this version. */
export function assertVersion(path: string, version: string, versionOf = fileVersion): void {
  if (versionOf(path) !== version)
    throw new UserError(`${path} changed while it was being read: start again once it is complete`);
}
