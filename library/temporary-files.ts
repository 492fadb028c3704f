import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempted } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { writeNpy } from '../data/npy.ts';
import { fixedPaths } from './arguments.ts';
import { assertRows, type Data, int32Labels, type LabelData } from './inputs.ts';

/** Data in a program's memory as files, for code that reads files. */

/** The files that `withFiles` makes. */
const TEMPORARY = /[\\/]dpmesh-\w{6}[\\/](data|labels)\.npy$/;

/** Throws a UserError if the run had such an input in memory, and it is given as its temporary file, now removed. */
export function assertNotInMemory(inputs: { data: Data; labels: LabelData | null }, run: string): void {
  for (const [name, path] of Object.entries(inputs))
    if (typeof path === 'string' && TEMPORARY.test(path) && !existsSync(path))
      throw new UserError(
        `${run} was started with ${name} in a program's memory: resume it from a program that passes the same ${name} again`,
      );
}

/** Absolute paths of the inputs of a run. */
export interface InputPaths {
  data: string;
  labels: string | null | undefined;
  /** Some of them were arrays. */
  inMemory: boolean;
  /** Replaces the paths of temporary files in a message by `data` and `labels`, others by what the caller gave. */
  withNames(text: string): string;
}

const isPath = (value: unknown): value is string | null | undefined =>
  typeof value === 'string' || value == null;

/**
 * Calls `work` with paths of the data and labels. Arrays are written to temporary files, which are removed when it
 * settles. `paths`: in which those of the inputs, and what else `work` may name in an error, are fixed.
 */
export function withFiles<T>(
  inputs: { data: Data; labels?: LabelData | null },
  work: (inputs: InputPaths) => Promise<T>,
  { asGiven, fixInput, naming } = fixedPaths(),
): Promise<T> {
  const [data, labels] = [fixInput(inputs.data), fixInput(inputs.labels)];
  return naming(async () => {
    if (typeof data === 'string' && isPath(labels))
      return work({ data, labels, inMemory: false, withNames: asGiven });
    const { path, remove } = temporaryFolder();
    const [dataFile, labelsFile] = [join(path, 'data.npy'), join(path, 'labels.npy')];
    const withNames = (text: string) =>
      asGiven(text.replaceAll(dataFile, 'data').replaceAll(labelsFile, 'labels'));
    try {
      if (typeof data !== 'string') {
        assertRows(data);
        const { values, columns } = data;
        const dtype = values instanceof Float32Array ? '<f4' : '<f8';
        writeNpy(dataFile, dtype, [values.length / columns, columns], values);
      }
      if (!isPath(labels)) writeNpy(labelsFile, '<i4', [labels.length], int32Labels(labels, 'labels'));
      return await work({
        data: typeof data === 'string' ? data : dataFile,
        labels: isPath(labels) ? labels : labelsFile,
        inMemory: true,
        withNames,
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(withNames(error.message), { exitCode: error.exitCode });
    } finally {
      remove();
    }
  });
}

/** A folder that is removed by `remove`, or else when the process exits. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = attempted(tmpdir(), 'written', () => mkdtempSync(join(tmpdir(), 'dpmesh-')));
  const clear = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', clear);
  return {
    path,
    remove() {
      process.off('exit', clear);
      clear();
    },
  };
}
