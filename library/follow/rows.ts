import { closeSync, createReadStream, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createAtomicFile, makeFolder } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { isTableName } from '../../data/file-names.ts';
import { openNpy } from '../../data/npy.ts';
import { formatOf, tableFileAt } from '../../data/open.ts';
import type { FoundPart } from '../../data/parts.ts';
import { isRemote } from '../../data/remote/address.ts';
import { areOneTable } from '../../data/tables/open-table.ts';
import { tableForModel } from '../../run/rows-for-model.ts';
import type { TrainedModel } from '../../run/trained-model.ts';

/** The rows of an update: a folder with copies of its parts, in their order, so that these may change or go while it is computed. */

/** The name of the copy of a part. `place`: among all parts. */
export const copyName = (place: number, name: string): string =>
  `${String(place).padStart(8, '0')}-${name.replace(/[^\w.-]/g, '_').slice(-80)}`;

/** Copies a part into the folder, durably; the hash of its bytes. UserError if it cannot be read. */
export async function copyPart(
  { path }: FoundPart,
  to: string,
  signal?: AbortSignal,
): Promise<{ sha256: string; bytes: number }> {
  makeFolder(join(to, '..'));
  const file = createAtomicFile(to);
  let bytes = 0;
  const take = (piece: Uint8Array, at: number) => {
    file.write(piece, at);
    bytes = at + piece.length;
  };
  try {
    if (isRemote(path)) {
      const { openRemote } = await import('../../data/remote/remote-file.ts');
      await (await openRemote(path, { signal })).copy(take, signal);
    } else for await (const piece of createReadStream(path)) take(piece, bytes);
    const sha256 = await file.sha256();
    file.finish();
    return { sha256, bytes };
  } catch (error) {
    file.abort();
    throw error;
  }
}

/** The copies in the folder, in their order. */
const copiesIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => /^\d{8}-/.test(name))
    .sort()
    .map((name) => join(folder, name));

/** Can these two copies be read as one data set: tables of the same columns, or arrays of the same type and shape? */
export async function fitTogether(
  first: string,
  next: string,
  trained: TrainedModel,
  run: string,
): Promise<boolean> {
  const [format, other] = [first, next].map(formatOf);
  if (format !== other) return false;
  if (format === 'npy') return typeOf(first) === typeOf(next);
  const [table, more] = await Promise.all([first, next].map(tableFileAt));
  if (!table || !more || ![first, next].every(isTableName)) return false;
  const version = () => table.version() + more.version();
  const both = { ...table, parts: [first, next], version };
  return areOneTable(both, tableForModel(trained, run));
}

function typeOf(path: string): string {
  const file = openNpy(path);
  closeSync(file.fd);
  const { dtype, shape, fortran } = file;
  // Columns that follow each other cannot be joined row by row.
  return JSON.stringify([dtype.descr, shape.slice(1), fortran && path]);
}

/** The path of all rows in the folder as one data set: of a single copy, or the folder. */
export function joined(folder: string): string {
  const copies = existsSync(folder) ? copiesIn(folder) : [];
  if (!copies.length)
    throw new UserError(
      `${folder} has no rows of the batch that its follow has begun: restore it, or follow into another --out`,
    );
  return copies.length === 1 ? copies[0] : folder;
}

/** A problem with a copy, as one of the part that people know. */
export const namingPart = (error: unknown, copy: string, path: string): unknown =>
  error instanceof UserError && error.message.includes(copy)
    ? new UserError(
        error.message.replaceAll(copy, () => path),
        { cause: error },
      )
    : error;
