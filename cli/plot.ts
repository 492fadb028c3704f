import { oneLine } from '../base/text.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'plot [folder]';
export const words = ['run'];
export const describe =
  'draw pictures of a run and report.html: clusters, map, tree, K and losses per epoch, true classes';
export const builder = {
  run: { type: 'string', demandOption: true, requiresArg: true, describe: 'run directory' },
  out: {
    type: 'string',
    requiresArg: true,
    describe: 'output folder',
    defaultDescription: '<run>/report',
  },
  labels: {
    type: 'string',
    requiresArg: true,
    describe: 'true classes: 1-D .npy, IDX, file.csv:column, or file.npz:array',
    defaultDescription: 'those of the run',
  },
} as const satisfies Flags;
export const examples = [
  ['plot runs/x', 'draw runs/x/report again'],
  ['plot runs/x --labels y.npy', 'with true classes'],
  ['plot runs/x --out pictures', 'into another folder'],
] as const;

export async function handler({ run, out, labels }: FlagValues<typeof builder>): Promise<void> {
  const { openRun } = await import('../library/open-run.ts');
  const { path, pictures, notes } = await (await openRun(run)).draw({ out, labels });
  for (const note of notes) console.error(oneLine(`dpmesh: ${note}`));
  console.log(oneLine(`${path}: ${pictures.join(', ')}`));
}
