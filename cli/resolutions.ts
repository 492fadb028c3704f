import { UserError } from '../base/user-error.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'resolutions [folder]';
export const words = ['run'];
export const describe =
  'resolutions that a run of the graph likelihood tried: the clusters at each, and how well samples agree';
export const builder = {
  run: { type: 'string', demandOption: true, requiresArg: true, describe: 'run directory' },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of a table' },
} as const satisfies Flags;
export const examples = [
  ['resolutions runs/x', 'resolution, clusters, agreement'],
  ['train x.npy --resolution 2', 'another run, with one of them'],
  ['train x.npy --clusters 60', 'another run, with one that has about so many clusters'],
] as const;

/** Prints the resolutions in the events of a run. UserError where none were tried. */
export async function handler({ run, json }: FlagValues<typeof builder>): Promise<void> {
  const { openRun } = await import('../library/open-run.ts');
  const events = [...(await openRun(run)).events()];
  const tried = events.findLast((event) => event.type === 'resolutions');
  if (!tried)
    throw new UserError(
      `${run} tried no resolutions: it has a Gaussian mixture, has not come so far, or is of an earlier version; --likelihood graph tries them`,
    );
  const { points, chosen } = tried;
  if (json) {
    console.log(JSON.stringify({ run, points, chosen }));
    return;
  }
  console.log('resolution  clusters  agreement');
  for (const { resolution, k, stability } of points)
    console.log(
      `${resolution.toPrecision(3).padStart(10)}  ${String(Math.round(k)).padStart(8)}  ${stability.toFixed(3).padStart(9)}${resolution === chosen ? '  chosen' : ''}`,
    );
}
