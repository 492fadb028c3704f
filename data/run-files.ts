import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openFile, readFully, readWhole } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { elementCount } from '../model/arrays.ts';
import { type ArrayFile, openNpy, readNpy, tuple } from './npy.ts';

/**
 * The result files of a run, read with distrust: they may be damaged, and the run directory may come from elsewhere. So only
 * regular files in it are opened, lengths and shapes are checked, and hashes where run.json has them.
 */

/** SHA-256 in hexadecimal, by the file's path in the run directory. */
export type FileHashes = Record<string, string>;

/** No run.json or other JSON file of a run is longer. Bytes. */
export const MOST_JSON = 64 << 20;
const CHUNK_BYTES = 1 << 20;

/** The files that run.json has hashes of. */
const HASHED = [
  ...['model.json', 'weights.bin', 'transform.json'].map((name) => `model/${name}`),
  ...['weights', 'means', 'covariances', 'counts'].map((name) => `mixture/${name}.npy`),
];

/** The hashes of a run's model and mixture, as they are on the disk. */
export function hashesOf(run: string): FileHashes {
  return Object.fromEntries(HASHED.map((name) => [name, sha256(join(run, name), run)]));
}

function sha256(path: string, run: string): string {
  const { fd, size } = openFile(path, { within: run });
  try {
    const hash = createHash('sha256');
    const chunk = Buffer.alloc(Math.min(size, CHUNK_BYTES));
    for (let at = 0; at < size; at += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, size - at));
      readFully({ fd, path }, part, at);
      hash.update(part);
    }
    return hash.digest('hex');
  } finally {
    closeSync(fd);
  }
}

/** The files of a finished run. All methods throw a UserError for one that is missing, or not as it should be. */
export interface RunFiles {
  readonly run: string;
  json(name: string): unknown;
  /** A file of this many bytes. */
  bytes(name: string, length: number): Buffer;
  /** A float64 array with a shape that `fits`; `expected` says in words which one does. */
  array(
    name: string,
    fits: (shape: readonly number[]) => boolean,
    expected: string,
  ): { shape: number[]; data: Float64Array };
  /** The error for a file with this problem. */
  damaged(name: string, problem: string): UserError;
}

/** `hashes`: those that run.json has; a run of an earlier version has none. */
export function runFiles(run: string, hashes: FileHashes = {}): RunFiles {
  const damaged = (name: string, problem: string) => {
    const again = `dpmesh train --config ${join(run, 'run.json')} --out ELSEWHERE`;
    return new UserError(
      `${join(run, name)} is damaged (${problem}): restore it from a copy of the run, or repeat the run: ${again}`,
    );
  };
  function pathOf(name: string): string {
    const path = join(run, name);
    if (!existsSync(path)) throw damaged(name, 'it is missing');
    return path;
  }
  /** Its path, if the content has the hash of run.json. */
  function intact(name: string): string {
    const path = pathOf(name);
    if (Object.hasOwn(hashes, name) && sha256(path, run) !== hashes[name])
      throw damaged(name, 'its SHA-256 is not the one that run.json has');
    return path;
  }
  return {
    run,
    damaged,
    json(name) {
      const text = readWhole(intact(name), MOST_JSON, { within: run }).toString();
      try {
        return JSON.parse(text);
      } catch (error) {
        throw damaged(name, (error as Error).message);
      }
    },
    bytes(name, length) {
      const path = pathOf(name);
      const { fd, size } = openFile(path, { within: run });
      closeSync(fd);
      if (size !== length) throw damaged(name, `${size} bytes instead of ${length}`);
      return readWhole(intact(name), length, { within: run });
    },
    array(name, fits, expected) {
      const path = pathOf(name);
      const file = openNpy(path, path, { within: run });
      try {
        const { shape, dtype } = file;
        if (dtype.descr !== '<f8' || file.fortran || !fits(shape))
          throw damaged(name, `${dtype.descr} of shape ${tuple(shape)} instead of <f8 of ${expected}`);
        const length = file.offset + elementCount(shape) * dtype.size;
        const { size } = fstatSync(file.fd);
        if (size !== length) throw damaged(name, `${size} bytes instead of ${length}`);
      } finally {
        closeSync(file.fd);
      }
      const { shape, data } = readNpy(intact(name), { within: run });
      return { shape, data: data as Float64Array };
    },
  };
}

/** Opens a run's `labels.npy`. UserError unless it has a label for each of these rows. The caller has to close `fd`. */
export function openRunLabels(path: string, rows: number): ArrayFile {
  const file = openNpy(path, path, { within: dirname(path) });
  const { shape, dtype, fd } = file;
  if (dtype.descr === '<i4' && shape.length === 1 && shape[0] === rows) return file;
  closeSync(fd);
  throw runFiles(dirname(path)).damaged(
    'labels.npy',
    `${dtype.descr} of shape ${tuple(shape)} instead of <i4 of ${tuple([rows])}`,
  );
}

/** All labels of a run. UserError unless there is one for each of these rows. */
export function readRunLabels(path: string, rows: number): Int32Array {
  closeSync(openRunLabels(path, rows).fd);
  return readNpy(path, { within: dirname(path) }).data as Int32Array;
}
