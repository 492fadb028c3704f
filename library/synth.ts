import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertDistinctFiles } from '../base/same-file.ts';
import { UserError } from '../base/user-error.ts';
import { readNpy } from '../data/npy.ts';
import { synthesize } from '../data/synth.ts';
import { assertKnown, seedText } from './checks.ts';
import type { Rows, SynthOptions } from './options.ts';
import { withArrays } from './read-result.ts';
import { AbortError } from './run.ts';

/** Points of a random Gaussian mixture. */
export interface Synthetic {
  readonly points: number;
  readonly dim: number;
  readonly clusters: number;
  readonly seed: string;
  /** The NMI that the posterior under the true parameters reaches: no clustering is better but by chance. */
  readonly bestNmi: number;
  /** Points that `bestNmi` is measured on. */
  readonly judged: number;
  /** The points; where there is an `out`, read from it on first use. */
  readonly data: Rows & { values: Float32Array };
  /** The cluster of each, from 0; likewise. */
  readonly labels: Int32Array;
}

const NAMES = ['clusters', 'points', 'dim', 'seed', 'out', 'labels', 'force', 'onProgress', 'signal'];

/**
 * Draws points of a random mixture of well-separated Gaussians, with their true labels: data to try things on.
 *
 * @throws {UserError} (rejection) for values out of range, and files that exist without `force`
 * @throws {AbortError} (rejection) where `signal` stopped it
 */
export async function synth(options: SynthOptions = {}): Promise<Synthetic> {
  assertKnown('synth', options, NAMES);
  const { clusters = 15, points = 10_000, dim = 2, force = false, onProgress, signal } = options;
  const seed = seedText(options.seed ?? 0);
  const value = seedOf(seed);
  const { out, labels } = options;
  if ((out === undefined) !== (labels === undefined))
    throw new UserError('synth needs both out and labels, or neither: then the arrays stay in memory');
  if (out !== undefined) assertWritable('--out', out, force);
  if (labels !== undefined) assertWritable('--labels', labels, force);
  assertDistinctFiles({ '--out': out, '--labels': labels }, {});
  const folder = out === undefined ? mkdtempSync(join(tmpdir(), 'dpmesh-')) : null;
  try {
    const [x, y] = folder ? [join(folder, 'x.npy'), join(folder, 'y.npy')] : [out!, labels!];
    const shape = { clusters, dim, points, seed: value };
    const measured = await synthesize({ ...shape, out: x, labels: y, signal, onProgress });
    const readers = {
      data: () => ({ values: readNpy(x).data as Float32Array, columns: dim }),
      labels: () => readNpy(y).data as Int32Array,
    };
    const synthetic: Synthetic = withArrays({ points, dim, clusters, seed, ...measured }, readers);
    // While the files are there.
    if (folder) [synthetic.data, synthetic.labels];
    return synthetic;
  } catch (error) {
    throw signal?.aborted ? new AbortError('synth was stopped', { cause: signal.reason }) : error;
  } finally {
    if (folder) rmSync(folder, { recursive: true, force: true });
  }
}

function seedOf(text: string): bigint {
  if (/^\d{1,20}$/.test(text) && BigInt(text) < 1n << 64n) return BigInt(text);
  throw new UserError(`--seed must be a whole number from 0 to 2^64 - 1, not ${text}`);
}

function assertWritable(flag: string, path: string, force: boolean): void {
  if (!path.endsWith('.npy')) throw new UserError(`${flag} must end in .npy, not be "${path}"`);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat && !stat.isFile()) throw new UserError(`${flag} ${path} is not a file`);
  if (stat && !force) throw new UserError(`${flag} ${path} exists already: --force replaces it`);
}
