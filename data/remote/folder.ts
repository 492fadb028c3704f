import { createHash } from 'node:crypto';
import { copyFileSync, lstatSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import pMap from 'p-map';
import { draftOf } from '../../base/drafts.ts';
import { attempted, hasNoLinks, mkdirp, remove } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { inARow } from '../arrays/container.ts';
import { cacheFolder, copyName } from '../cache.ts';
import { isTableName } from '../file-names.ts';
import { type FoundPart, isArrayName, partsAt } from '../parts.ts';
import type { Source } from '../source.ts';
import { type CopyOptions, copyOf, keepUsed, progressLine } from './local-copy.ts';
import { openRemote, openRemoteNpy } from './remote-file.ts';

/** The objects of a store below `s3://bucket/folder/`, or in it by a pattern of names, as one data set. */

/** Objects that are opened or copied at a time: each takes some round trips. */
const AT_ONCE = 16;
/** Enough for the header of an .npy: that of each of thousands stays in memory. */
const HEAD_BYTES = 1 << 12;

/** The tables in the folder, not below it; without any, the arrays. UserError if there are neither. */
async function rowParts(address: string, signal?: AbortSignal): Promise<FoundPart[]> {
  const all = await partsAt(address, signal);
  const parts = all.filter(({ name, bytes }) => !name.includes('/') && bytes > 0);
  const tables = parts.filter(({ name }) => isTableName(name));
  const found = tables.length ? tables : parts.filter(({ name }) => isArrayName(name));
  if (!found.length)
    throw new UserError(
      `${address} has no tables (.parquet, .csv, .jsonl …) and no .npy files: check the address; a folder ends with /, and what is below it in other folders is not read`,
    );
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Opens the arrays at the address, of which blocks are read in place. UserError if they are not .npy, or their rows differ. */
export async function openRemoteArrays(address: string): Promise<Source> {
  const parts = await rowParts(address);
  const opened = await pMap(
    parts,
    async ({ name, path }) => ({ name, source: await openRemoteNpy(path, HEAD_BYTES) }),
    { concurrency: AT_ONCE },
  );
  const source = inARow(address, opened);
  return {
    ...source,
    async assertSameFile() {
      await pMap(opened, async (part) => part.source.assertSameFile!(), { concurrency: AT_ONCE });
    },
  };
}

/** Where the data of several objects are read: the address itself if they are arrays, unless `whole`; else a folder of copies. */
export async function placeOfParts(
  address: string,
  { log = () => {}, signal }: CopyOptions,
  whole: boolean,
): Promise<string> {
  const parts = await rowParts(address, signal);
  if (!whole && parts.every(({ name }) => isArrayName(name))) return address;
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = progressLine(`${address}: copied`, total, log);
  let done = 0;
  const copies = await pMap(
    parts,
    async ({ name, path, bytes }) => {
      const file = await openRemote(path, { signal, headBytes: HEAD_BYTES });
      const copy = await copyOf(file, { signal });
      progress((done += bytes));
      return { name, copy };
    },
    { concurrency: AT_ONCE, signal },
  );
  return folderOfCopies(address, copies);
}

/** A folder of the cache in which these copies have their names. The same copies have the same folder. */
function folderOfCopies(address: string, copies: { name: string; copy: string }[]): string {
  const key = createHash('sha256')
    .update(JSON.stringify([address, copies]))
    .digest('hex');
  const folder = join(cacheFolder(), copyName(key, 'parts'));
  mkdirp(folder, 0o700);
  keepUsed(folder);
  attempted(folder, 'written', () => {
    for (const { name, copy } of copies) {
      const path = join(folder, name);
      if (isSameFile(path, copy)) continue;
      // Its copy was removed from the cache, and made again.
      if (lstatSync(path, { throwIfNoEntry: false })) remove(path);
      try {
        nameAlso(copy, path);
      } catch (error) {
        // Another process has just done so.
        if (!isSameFile(path, copy)) throw error;
      }
    }
  });
  return folder;
}

/** Gives the copy this path too, on a file system without links by a copy of its own. */
function nameAlso(copy: string, path: string): void {
  try {
    symlinkSync(copy, path);
  } catch (error) {
    if (!hasNoLinks(error)) throw error;
    const draft = draftOf(path);
    copyFileSync(copy, draft);
    renameSync(draft, path);
  }
}

/** Are both one file, or copies? What differs in content is in another folder, so that a copy is known by its size. */
function isSameFile(path: string, copy: string): boolean {
  const [a, b] = [path, copy].map((one) => statSync(one, { throwIfNoEntry: false }));
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
  return (
    a !== undefined && b !== undefined && (isLink ? a.dev === b.dev && a.ino === b.ino : a.size === b.size)
  );
}
