import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/user-error.ts';
import { elementCount } from '../model/arrays.ts';
import type { Transform } from './transform.ts';

/** What is needed to apply the model of a finished run to other data. */
export interface TrainedModel {
  transform: Transform;
  /** The weights and biases of the clustering net, W₁, b₁, W₂, b₂, … */
  net: { values: Float32Array; shape: number[] }[];
  /** The compute backend it was trained on. */
  backendName: string;
  /** The column of the CSV that was used for --labels and is not data. */
  leftOut: string | null;
}

/** Reads transform and net from `model/` of a run directory. Throws a UserError if the run is not finished. */
export function readTrainedModel(run: string): TrainedModel {
  const folder = join(run, 'model');
  try {
    const { normalize, input, dim, columns, scale, offset } = JSON.parse(
      readFileSync(join(folder, 'transform.json'), 'utf8'),
    );
    const [{ weights: descriptions }] = JSON.parse(
      readFileSync(join(folder, 'model.json'), 'utf8'),
    ).weightsManifest;
    const bytes = readFileSync(join(folder, 'weights.bin'));
    let position = 0;
    const arrays = (descriptions as { shape: number[] }[]).map(({ shape }) => {
      const size = elementCount(shape);
      const values = new Float32Array(
        bytes.buffer.slice(bytes.byteOffset + position, bytes.byteOffset + position + 4 * size),
      );
      position += 4 * size;
      return { values, shape };
    });
    const [{ values: kernel }, { values: bias }, ...net] = arrays;
    // With the same backend, labels have the same bits as those of the run.
    const { identity, data } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    return {
      net,
      leftOut: data?.leftOut ?? null,
      backendName: String(identity).split('/')[0],
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
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code!))
      throw new UserError(missingModel(run));
    throw new UserError(`--run ${run} is not the directory of a finished run: ${(error as Error).message}`);
  }
}

function missingModel(run: string): string {
  if (existsSync(join(run, 'run.json')))
    return `--run ${run} is not finished: continue it with dpmesh resume ${run}`;
  return `--run ${run} is not the directory of a finished run (${join(run, 'run.json')} does not exist): give the --out of a run`;
}
