import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { backendOfIdentity } from '../base/identity.ts';
import { UserError } from '../base/user-error.ts';
import { product } from './npy.ts';
import type { Transform } from './transform.ts';

/** What a finished run has learnt. */
export interface Trained {
  transform: Transform;
  /** Weights and biases of each layer in turn. */
  net: { values: Float32Array; shape: number[] }[];
  /** The backend that it was trained on. */
  backendName: string;
  /** A column of its CSV that was no data but --labels. */
  leftOut: string | null;
}

/** The transform and the layers behind it, from `model/` of a run directory. UserError if it has none. */
export function readTrained(run: string): Trained {
  const folder = join(run, 'model');
  try {
    const { normalize, input, dim, columns, scale, offset } = JSON.parse(
      readFileSync(join(folder, 'transform.json'), 'utf8'),
    );
    const [{ weights: described }] = JSON.parse(
      readFileSync(join(folder, 'model.json'), 'utf8'),
    ).weightsManifest;
    const bytes = readFileSync(join(folder, 'weights.bin'));
    let at = 0;
    const arrays = (described as { shape: number[] }[]).map(({ shape }) => {
      const size = product(shape);
      const values = new Float32Array(
        bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + 4 * size),
      );
      at += 4 * size;
      return { values, shape };
    });
    const [{ values: kernel }, { values: bias }, ...net] = arrays;
    // The same backend gives the same bits as the run's own full pass.
    const { identity, data } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    return {
      net,
      leftOut: data?.leftOut ?? null,
      backendName: backendOfIdentity(String(identity)),
      transform: {
        normalize,
        input,
        dim,
        columns: columns && Int32Array.from(columns),
        weights: columns
          ? Float32Array.from(columns as number[], (column, d) => kernel[column * dim + d])
          : kernel,
        bias,
        scale: Float64Array.from(scale),
        offset: Float64Array.from(offset),
      },
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new UserError(missing(run));
    throw new UserError(`--run ${run} is not the directory of a finished run: ${(error as Error).message}`);
  }
}

function missing(run: string): string {
  if (existsSync(join(run, 'run.json')))
    return `--run ${run} is not finished; go on with: dpmesh resume ${run}`;
  return `--run ${run} is not the directory of a finished run (there is no ${join(run, 'run.json')}); name the --out of a run`;
}
