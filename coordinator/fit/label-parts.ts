import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { isDraft } from '../../base/drafts.ts';
import { attempted, makeFolder, readWhole, realPath, remove, writeFile } from '../../base/files.ts';
import { SHA256_BYTES } from '../../base/hash.ts';
import { yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { createNpy } from '../../data/npy.ts';
import { PARTS, PARTS_INDEX, type PartsIndex, partName, rowsIn, SEEN, stemOf } from '../../data/row-parts.ts';
import { elementCount } from '../../model/arrays.ts';
import { isUnchanged, renumberLabels } from '../../model/order.ts';
import {
  ALL_COLUMNS,
  columnShape,
  type FinalNumbers,
  type OptionalColumns,
  rowColumns,
} from '../../model/row-columns.ts';
import { decode, encode } from '../../proto/codec.ts';
import { MAX_MESSAGE } from '../../proto/task-limits.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { sealed, unsealed } from '../../run/checkpoint.ts';
import type { RunDirectory } from '../../run/run-directory.ts';

/**
 * What there is of each row in parts that workers write, `--labels-out shards`. Until all rows are labelled, parts lie in a folder of `labels`
 * whose name says what they were labelled by, each with the other results of its rows: a run that was killed goes on from them.
 */

/** The parts of rows `from … to−1` that workers write. */
export interface LabelParts {
  /** The results of these rows that were saved; null if there are none. */
  saved(from: number, to: number): Tensors | null;
  /** The columns of these rows, of whose files `hashes` has the SHA-256. UserError if a file is not that. */
  read(from: number, to: number, has: OptionalColumns, hashes: Uint8Array): Tensors;
  /** Saves the other results of these rows. `failed` gets the error if that is not possible. */
  save(from: number, to: number, results: Tensors, failed: (error: Error) => void): void;
  /** Gives the files their places, clusters and components their `numbers`, and writes the index. May be repeated. */
  finish(numbers: FinalNumbers): Promise<void>;
}

/** Lets workers see the folder that they write to. UserError if one does not. */
export async function showFolder({
  out,
  server,
}: {
  out: RunDirectory;
  server: { show(folder: { path: string; token: string }): Promise<void> };
}): Promise<void> {
  const path = join(out.path, PARTS);
  const token = randomBytes(16).toString('hex');
  makeFolder(path);
  await writeFile(join(path, SEEN), [Buffer.from(token)], { before: out.assertThere });
  await server.show({ path: realPath(path), token });
}

/** Removes what is only needed until all rows are labelled. Workers that come later still look for the file by which they see the folder. */
export function removeUnfinishedParts({ path }: RunDirectory): void {
  const folder = join(path, PARTS);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (/^[0-9a-f]{16}$/.test(name) || isDraft(name)) remove(join(folder, name));
}

/** The parts of a pass over all rows, in the folder with the name `key`. */
export function labelParts(out: RunDirectory, key: string): LabelParts {
  const [folder, unfinished] = [join(out.path, PARTS), join(out.path, PARTS, key)];
  /** By their first rows. */
  const parts = new Map<number, PartsIndex['parts'][number]>();
  const saving: Promise<number>[] = [];
  out.assertThere();
  makeFolder(unfinished);
  const sumsOf = (from: number, to: number) => join(unfinished, partName('sums', from, to));
  /** Where a file is: it may have its final place already. */
  const placeOf = (name: string) =>
    existsSync(join(unfinished, name)) ? join(unfinished, name) : join(folder, name);

  /** Writes the file once more, as a late worker may still write the other one: this one has the numbers. Returns its SHA-256. */
  async function renumbered(name: string, rows: number, numbers: readonly number[]): Promise<string> {
    const written = readWhole(join(unfinished, name), MAX_MESSAGE, { within: out.path });
    const values = rowsIn(written, '<i4', rows);
    if (!isUnchanged(numbers)) renumberLabels(values, numbers);
    const file = createNpy(join(folder, name), '<i4', [rows]);
    file.write(values, 0);
    const sha256 = await file.sha256();
    file.finish();
    return sha256;
  }

  return {
    saved(from, to) {
      const path = sumsOf(from, to);
      if (!existsSync(path)) return null;
      try {
        const frames = unsealed(readWhole(path, MAX_MESSAGE, { within: out.path }))();
        return decode(z.object({}), frames).tensors;
      } catch {
        return null;
      }
    },
    read(from, to, has, hashes) {
      const files: Record<string, { file: string; sha256: string }> = {};
      const tensors: Tensors = {};
      for (const [i, [tensor, column]] of rowColumns(has).entries()) {
        const file = partName(column.file, from, to);
        const bytes = readWhole(placeOf(file), MAX_MESSAGE, { within: out.path });
        const hash = createHash('sha256').update(bytes).digest();
        if (!hash.equals(hashes.subarray(i * SHA256_BYTES, (i + 1) * SHA256_BYTES)))
          throw new UserError(`${placeOf(file)} is not as it was written`);
        files[stemOf(column.file)] = { file, sha256: hash.toString('hex') };
        const shape = columnShape(column, to - from);
        tensors[tensor] = nd(rowsIn(bytes, column.dtype, elementCount(shape)) as Int32Array, ...shape);
      }
      parts.set(from, { from, to, ...files } as PartsIndex['parts'][number]);
      return tensors;
    },
    save(from, to, results, failed) {
      const saved = sealed(encode({}, results)).then((frames) =>
        writeFile(sumsOf(from, to), frames, { before: out.assertThere }),
      );
      saved.catch(failed);
      saving.push(saved);
    },
    async finish(numbers) {
      await Promise.all(saving);
      const inOrder = [...parts.values()].sort((a, b) => a.from - b.from);
      const index: PartsIndex = { rows: inOrder.at(-1)!.to, parts: [] };
      for (const { from, to, ...own } of inOrder) {
        await yieldToEventLoop();
        out.assertThere();
        const files = { ...own };
        for (const [column, { file: whole }] of ALL_COLUMNS) {
          const stem = stemOf(whole) as keyof typeof own;
          const name = own[stem]?.file;
          if (name === undefined) continue;
          const renumbering = numbers[column];
          if (renumbering)
            files[stem] = { file: name, sha256: await renumbered(name, to - from, renumbering) };
          else if (existsSync(join(unfinished, name)))
            attempted(name, 'written', () => renameSync(join(unfinished, name), join(folder, name)));
        }
        index.parts.push({ from, to, ...files });
      }
      out.json(PARTS_INDEX, index);
    },
  };
}
