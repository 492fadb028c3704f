import { printable } from '../base/text.ts';
import { counted } from '../view/text.ts';
import type { Flags, FlagValues } from './flag.ts';
import { interruptible } from './signals.ts';
import { dataPathOf } from './stdin.ts';

export const command = 'predict [folder] [file]';
export const words = ['run', 'data'];
export const describe = 'label new rows with the clustering net of a finished run';
export const builder = {
  run: { type: 'string', demandOption: true, requiresArg: true, describe: 'run directory' },
  data: {
    type: 'string',
    demandOption: true,
    requiresArg: true,
    describe:
      'rows to label: a file of arrays or a table, with the columns of the training data, or a folder of images',
  },
  'skip-bad': { type: 'boolean', default: false, describe: 'leave out images that cannot be decoded' },
  out: {
    type: 'string',
    demandOption: true,
    requiresArg: true,
    describe:
      'output file of the labels: .npy, int32, or a table with their confidence and distances: .csv or .parquet',
  },
  soft: {
    type: 'string',
    requiresArg: true,
    describe: 'output file of the responsibilities: .npy, float32, N×K',
  },
  images: {
    type: 'string',
    requiresArg: true,
    describe: 'output file of the paths of images in the order of their labels: text, one a line',
  },
  clusters: {
    type: 'number',
    requiresArg: true,
    describe: 'label with so many clusters, those of dpmesh cut',
    defaultDescription: 'those of the run',
  },
  force: { type: 'boolean', default: false, describe: 'overwrite existing files' },
} as const satisfies Flags;
export const examples = [
  ['predict runs/x new.npy --out labels.npy', 'the cluster of each row of new.npy'],
  ['predict runs/x new.npy --out labels.npy --soft p.npy', 'also the probability of each cluster'],
  ['predict runs/x new.npy --out labels.npy --clusters 7', 'of 7 clusters, those of dpmesh cut'],
] as const;

export async function handler({
  run,
  data,
  skipBad,
  out,
  soft,
  images,
  clusters,
  force,
}: FlagValues<typeof builder>): Promise<void> {
  const { predict } = await import('../library/predict.ts');
  const rowsAt = await dataPathOf(data);
  const { createDisplay } = await import('./progress.ts');
  const { line: log, status, end } = createDisplay(0);
  const { rows, outliers, k } = await interruptible((signal) =>
    predict({ run, data: rowsAt, skipBad, out, soft, images, clusters, force, log, status, signal }),
  ).finally(end);
  console.log(
    printable(
      `${out}: labels of ${rows} rows, clusters 0 to ${k - 1}${outliers ? `; ${counted(outliers, 'outlier')}` : ''}`,
    ),
  );
}
