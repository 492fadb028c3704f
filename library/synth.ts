import { join } from 'node:path';
import { assertDistinctFiles } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { synthesize } from '../data/synth.ts';
import { isSeed, SEED_RANGE } from '../model/random.ts';
import { kindsOf } from '../run/option.ts';
import { AbortError } from './abort-error.ts';
import { assertOptions, assertWritable, fixedPaths, HOOKS, type OptionKinds, seedText } from './arguments.ts';
import { SYNTH } from './command-options.ts';
import type { Rows } from './inputs.ts';
import { temporaryFolder } from './temporary-files.ts';
import { npyReader, withArrays } from './written-arrays.ts';

/** Options of `synth`. */
export interface SynthOptions {
  /**
   * Number of clusters, from 1 to 10,000.
   * @defaultValue 15
   */
  clusters?: number;
  /**
   * Number of points to draw, from 1 to 2^40.
   * @defaultValue 10000
   */
  points?: number;
  /**
   * Number of dimensions, from 1 to 1024. clusters·dim² may be at most 2^26.
   * @defaultValue 2
   */
  dim?: number;
  /**
   * Random seed: a whole number from 0 to 2^64 − 1, above 2^53 as text or bigint. The same seed gives the same bytes.
   * @defaultValue 0
   */
  seed?: number | bigint | string;
  /** Write the points to this .npy file (float32, points × dim) instead of keeping them in memory. Requires `labels`. */
  out?: string;
  /** Write the cluster of each point to this .npy file (int32). Requires `out`. */
  labels?: string;
  /** Overwrite existing files. If false, they are an error. */
  force?: boolean;
  /** Called repeatedly with the number of points done so far. */
  onProgress?: (done: number) => void;
  /** Cancels the call: no files are written, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
}

/** Points drawn from a random Gaussian mixture. */
export interface Synthetic {
  /** Number of points. */
  readonly points: number;
  /** Dimensions of a point. */
  readonly dim: number;
  /** Number of clusters in the mixture. */
  readonly clusters: number;
  /** The seed as decimal text. */
  readonly seed: string;
  /**
   * NMI of the true labels and the labels of highest posterior probability under the true parameters, 0 to 1. A
   * clustering of the points exceeds it only by chance.
   */
  readonly bestNmi: number;
  /** Number of points on which `bestNmi` is measured. */
  readonly judged: number;
  /** The points, `points × dim`, row-major, float32. With `out`, read from that file on first access. */
  readonly data: Rows & { values: Float32Array };
  /**
   * The true cluster of each point, 0 to `clusters − 1`. With `labels` set to a path, read from that file on first
   * access.
   */
  readonly labels: Int32Array;
}

const KINDS: OptionKinds<SynthOptions> = {
  ...kindsOf(SYNTH),
  onProgress: 'function',
  signal: HOOKS.signal,
};
/** Numbers that are kept in memory at the most: 2 GiB. */
const MAX_IN_MEMORY = 2 ** 29;

/**
 * Draws points from a random mixture of well-separated Gaussians, with their true labels: test data. The arrays stay in
 * memory, or are written to the files `out` and `labels`.
 *
 * @throws {UserError} (rejection) if a value is out of range, or a file exists and `force` is not set
 * @throws {AbortError} (rejection) if `signal` is aborted
 */
export async function synth(options: SynthOptions = {}): Promise<Synthetic> {
  assertOptions('synth', options, KINDS);
  const { clusters = 15, points = 10_000, dim = 2, force = false, onProgress, signal } = options;
  const seed = seedText(options.seed ?? 0);
  if (!isSeed(seed)) throw new UserError(`--seed ${seed} must be ${SEED_RANGE}`);
  const paths = fixedPaths();
  const { out, labels } = options;
  if ((out === undefined) !== (labels === undefined))
    throw new UserError('synth: set both out and labels, or neither of them');
  const outputs = { '--out': out, '--labels': labels };
  for (const [flag, path] of Object.entries(outputs))
    if (path !== undefined && !path.endsWith('.npy'))
      throw new UserError(`${flag} must end in .npy, not be ${path}`);
  assertWritable(outputs, force);
  assertDistinctFiles(outputs, {});
  if (out === undefined && points * dim > MAX_IN_MEMORY)
    throw new UserError(`synth: ${points} × ${dim} numbers do not fit in memory; set out and labels`);
  const temporary = out === undefined ? temporaryFolder() : null;
  try {
    const [x, y] = temporary
      ? ['x.npy', 'y.npy'].map((name) => join(temporary.path, name))
      : [paths.fix(out!), paths.fix(labels!)];
    const { bestNmi, judged } = await paths.naming(() =>
      synthesize({ clusters, dim, points, seed, out: x, labels: y, force, signal, onProgress }),
    );
    const values = npyReader<Float32Array>(x);
    const readers = { data: () => ({ values: values(), columns: dim }), labels: npyReader<Int32Array>(y) };
    const synthetic: Synthetic = withArrays({ points, dim, clusters, seed, bestNmi, judged }, readers);
    // Read the arrays before their files are removed.
    if (temporary) [synthetic.data, synthetic.labels];
    return synthetic;
  } catch (error) {
    throw signal?.aborted ? new AbortError('synth was stopped', { cause: signal.reason }) : error;
  } finally {
    temporary?.remove();
  }
}
