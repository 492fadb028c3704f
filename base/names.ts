import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { attempted } from './files.ts';
import { escapedName } from './text.ts';
import { UserError } from './user-error.ts';

/** Names of files that are not UTF-8, as from an archive of another system: Node.js shows other characters for their bytes, and so finds no file. */

const NOT_UTF8 = '\ufffd';

/** Takes a path of a file whose name is not UTF-8, with its other bytes as in `a\\xff.csv`. */
export type OnNotUtf8 = (path: string) => void;

/**
 * The names that are `wanted`, without those that are not UTF-8: `refuse` is called with paths of these, where they are files, or folders if
 * `areFolders`. By default it throws a UserError, as rows would be missing without a word. `names`: all of the folder.
 */
export function readableNames(
  folder: string,
  names: readonly string[],
  wanted: (name: string) => boolean,
  refuse: OnNotUtf8 = refuseName,
  areFolders = false,
): string[] {
  const kept = names.filter(wanted);
  if (!kept.some((name) => name.includes(NOT_UTF8))) return kept;
  const raw = attempted(folder, 'read', () => readdirSync(folder || '.', 'buffer'));
  const undecodable = raw.filter((name) => !Buffer.from(name.toString()).equals(name));
  for (const name of undecodable)
    if (wanted(name.toString()) && isFolder(folder, name) === areFolders)
      refuse(join(folder, withBytes(name)));
  const unreadable = new Set(undecodable.map(String));
  return kept.filter((name) => !unreadable.has(name));
}

function isFolder(folder: string, name: Buffer): boolean {
  const path = Buffer.concat([Buffer.from(`${folder || '.'}/`), name]);
  return attempted(folder, 'read', () => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true);
}

function refuseName(path: string): never {
  throw new UserError(`${escapedName(path)}: ${NAME_NOT_UTF8}; rename it`);
}

export const NAME_NOT_UTF8 = 'its name is not UTF-8';

/** Of the decoded text, each character that stands for other bytes is replaced by these. */
function withBytes(name: Buffer): string {
  let text = '';
  for (let at = 0; at < name.length; ) {
    const length = [1, 2, 3, 4].find((bytes) => isCharacter(name.subarray(at, at + bytes))) ?? 0;
    text += length ? name.toString('utf8', at, at + length) : `\\x${name[at].toString(16)}`;
    at += length || 1;
  }
  return text;
}

function isCharacter(bytes: Buffer): boolean {
  const text = bytes.toString();
  return [...text].length === 1 && Buffer.from(text).equals(bytes);
}
