import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { isDraft } from '../../base/drafts.ts';
import { createAtomicFile, readWhole } from '../../base/files.ts';
import { list } from '../../base/schema.ts';
import { UserError } from '../../base/user-error.ts';
import { assertReadable } from '../../run/finished-run.ts';
import { readable } from '../../run/run-files.ts';

/**
 * The manifest of a follow: which parts it has taken, and the batch that it is working on. A batch is written here before anything is computed with it,
 * so that after a kill the same one is formed; it is over with the next version of this file. So each part counts once.
 */

const count = z.int().check(z.nonnegative());
/** Such as leads to no other folder, and fits one line. What is written here is read by this. */
const partName = z.string().check(
  z.refine((name) => name.split('/').every((step) => !['', '.', '..'].includes(step))),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  z.regex(/^[^\u0000-\u001f]+$/),
);
const part = z.object({
  name: partName,
  /** Its name in the folder of rows of that update. */
  copy: z.string().check(z.regex(/^\d{8}-[\w.-]+$/)),
  bytes: count,
  modified: z.string(),
  sha256: z.string(),
  rows: count,
  /** The update that takes it in; null: it was left out, as it has no rows, or such as are there already. */
  update: z.nullable(count),
});
const schema = z.object({
  dpmesh: z.string(),
  format: count,
  /** The run that is followed: of update 1. */
  run: z.string(),
  /** Which run that was (`identityOf`). */
  base: z.string(),
  /** Updates that are complete. */
  updates: count,
  /** Parts whose labels are written, in the order in which they were taken. */
  parts: list(part),
  /** The one that is being worked on. */
  batch: z.nullable(
    z.object({
      parts: list(part),
      /** It is the last one of an update; else its rows get labels, and wait for that. */
      trains: z.boolean(),
      /** How the rows are unlike those before, where that was looked at. */
      alarm: z.nullable(z.string()),
      halfLife: z.nullable(z.number()),
    }),
  ),
  /** The topic, and the offset of each of its partitions after the parts and the batch. */
  kafka: z.optional(z.object({ topic: z.string(), offsets: list(count) })),
});

export type Part = z.infer<typeof part>;
export type Manifest = z.infer<typeof schema>;
export type Batch = NonNullable<Manifest['batch']>;

/** Bytes of the file: some hundreds for each part. A string can have twice as many. */
const MOST_BYTES = 1 << 28;
const FILE = 'follow.json';

/** The manifest in the folder; null if there is none yet. UserError if it is damaged. */
export function readManifest(folder: string): Manifest | null {
  const path = join(folder, FILE);
  if (!existsSync(path)) return null;
  const damaged = () => new UserError(`${path} is damaged: restore it, or follow into another --out`);
  let content: unknown;
  try {
    content = JSON.parse(readWhole(path, MOST_BYTES).toString());
  } catch (error) {
    throw error instanceof SyntaxError ? damaged() : error;
  }
  assertReadable(path, content);
  const { success, data } = schema.safeParse(content);
  if (!success) throw damaged();
  return data;
}

/** Throws an error, a fault of ours, unless it can be read again. */
export function writeManifest(folder: string, manifest: Manifest): void {
  const written = readable(FILE, manifest, schema);
  const content = Buffer.from(`${JSON.stringify(written)}\n`);
  const file = createAtomicFile(join(folder, FILE));
  file.write(content, 0);
  file.finish();
}

/** Bytes of a name, of 255 that a file's may have: that of its labels ends with .npy, and while they are written with a draft's ending. */
const MOST_NAME = 200;

/** Why a part of this name cannot be taken; null if it can. */
export function nameProblem(name: string): string | null {
  const steps = name.split('/');
  // They would be removed as what a process has left that was killed.
  if (steps.some(isDraft)) return 'its name is one of files that are being written';
  // There may be a file of labels of that name.
  if (steps.slice(0, -1).some((step) => /\.npy$/i.test(step)))
    return 'it is in a folder whose name ends with .npy, as those of labels do';
  if (steps.some((step) => Buffer.byteLength(step) > MOST_NAME))
    return `its name is longer than the ${MOST_NAME} bytes that leave room for that of its labels`;
  return partName.safeParse(name).success ? null : 'its name has control characters';
}

/** Parts that have labels, and wait for the next update. */
export const waitingIn = ({ parts, updates }: Manifest): Part[] =>
  parts.filter(({ update }) => update === updates + 1);

export const rowsIn = (parts: readonly Part[]): number => parts.reduce((sum, { rows }) => sum + rows, 0);

export const numbered = (what: string, number: number) => `${what}-${String(number).padStart(6, '0')}`;
/** The run directory of an update; 0: the run that is followed. */
export const directoryOf = (folder: string, run: string, update: number): string =>
  update === 0 ? run : join(folder, numbered('update', update));
