import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { attempted, statusOf } from '../base/files.ts';
import { NAME_NOT_UTF8, type OnNotUtf8, readableNames } from '../base/names.ts';
import { UserError } from '../base/user-error.ts';
import { filesLike, folderOf, isPattern, isTableName } from './file-names.ts';
import { isRemote } from './remote/address.ts';

/** Files of rows that come one after another, in a folder, by a pattern, or below an address. */

export interface FoundPart {
  /** Its path in the folder, or from where the pattern has its first wildcard: it tells parts from each other. */
  name: string;
  path: string;
  bytes: number;
  /** When it was last changed, in ISO 8601. */
  modified: string;
  /** Why it cannot be taken, where it is known. */
  problem?: string;
}

const ARRAYS = /\.(npy|npz|safetensors|h5ad|h5|hdf5)$/i;

/** What is hidden, or begins with _, is not complete, or no data. */
const isPart = (name: string) => /^[^._]/.test(name) && (isTableName(name) || ARRAYS.test(name));

/** Is this the name of an array that is read in place? */
export const isArrayName = (name: string): boolean => /\.npy$/i.test(name);

/** The .npy files in a folder or by a pattern, in the order of their names. */
export const arraysAt = (path: string): string[] =>
  (isPattern(path) ? filesLike(path) : partsIn(path)).filter(isArrayName);

/** The parts that there are now, in the order of their names. UserError if there is no such folder. */
export async function partsAt(data: string, signal?: AbortSignal): Promise<FoundPart[]> {
  if (isRemote(data)) return (await import('./remote/list.ts')).objectsAt(data, isPart, signal);
  const refused = new Set<string>();
  const refuse = (path: string) => void refused.add(path);
  const files = isPattern(data) ? filesLike(data, refuse) : partsIn(data, refuse);
  const folder = isPattern(data) ? folderOf(data) : statusOf(data)?.isDirectory() ? data : join(data, '..');
  const nameOf = (path: string) => relative(folder, path).split(sep).join('/');
  const parts = files.flatMap((path) => {
    // It may have been removed since.
    const status = statusOf(path);
    const name = nameOf(path);
    return status && !status.isDirectory()
      ? [{ name, path, bytes: status.size, modified: new Date(status.mtimeMs).toISOString() }]
      : [];
  });
  if (!refused.size) return parts;
  const about = { bytes: 0, modified: new Date(0).toISOString(), problem: NAME_NOT_UTF8 };
  const others = [...refused].map((path) => ({ name: nameOf(path), path, ...about }));
  return [...parts, ...others].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function partsIn(path: string, refuse?: OnNotUtf8): string[] {
  const status = statusOf(path);
  if (!status)
    throw new UserError(
      `${path}: there is no such file or folder; name the folder that rows come into, or a pattern in quotes, such as 'incoming/*.parquet'`,
    );
  if (!status.isDirectory()) return [path];
  const entries = attempted(path, 'read', () => readdirSync(path, { withFileTypes: true }));
  const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  return readableNames(path, names, isPart, refuse)
    .map((name) => join(path, name))
    .sort();
}
