import { dpmeshVersion } from '../base/version.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'plot';
export const describe = 'draw a run: clusters, K and losses over epochs, sizes, confusion; report.html';
export const builder = {
  run: { type: 'string', demandOption: true, requiresArg: true, describe: 'run directory' },
  out: {
    type: 'string',
    requiresArg: true,
    describe: 'folder for the pictures',
    defaultDescription: '<run>/report',
  },
  labels: {
    type: 'string',
    requiresArg: true,
    describe: 'true classes: .npy, IDX, or file.csv:column',
    defaultDescription: 'those of the run',
  },
} as const satisfies Flags;

export async function handler(args: FlagValues<typeof builder>): Promise<void> {
  const { run, out } = args;
  const version = dpmeshVersion();
  const { writeReport } = await import('../coordinator/report/report.ts');
  const labels = args.labels === undefined ? undefined : await labelsFor(run, args.labels, version);
  const { path, pictures, notes } = await writeReport(run, { version, out, labels });
  for (const note of notes) console.error(`dpmesh: ${note}`);
  console.log(`${path}: ${pictures.join(', ')}`);
}

/** Labels that were asked for must fit, those of the run need not be there any more. */
async function labelsFor(run: string, spec: string, version: string) {
  const { readRunFile } = await import('../coordinator/storage/run-file.ts');
  const { readLabels } = await import('../data/labels.ts');
  const { UserError } = await import('../base/user-error.ts');
  const { rows } = readRunFile(run, version).data;
  const labels = await readLabels(spec);
  if (labels.codes.length !== rows)
    throw new UserError(
      `--labels ${spec} has ${labels.codes.length} labels, the run ${run} is of ${rows} rows`,
    );
  return labels;
}
