import type { Flags, FlagValues } from './flag.ts';

export const command = 'predict';
export const describe = 'label new rows with the net of a finished run';
export const builder = {
  run: { type: 'string', demandOption: true, requiresArg: true, describe: 'run directory' },
  data: {
    type: 'string',
    demandOption: true,
    requiresArg: true,
    describe: 'rows: .npy, IDX or CSV, as in training',
  },
  out: { type: 'string', demandOption: true, requiresArg: true, describe: 'labels: .npy, int32' },
  soft: { type: 'string', requiresArg: true, describe: 'responsibilities too: .npy, float32, N×K' },
  force: { type: 'boolean', default: false, describe: 'replace files that exist' },
} as const satisfies Flags;

export async function handler(args: FlagValues<typeof builder>): Promise<void> {
  const { run, data, out, soft } = args;
  const { assertDistinctFiles } = await import('../base/same-file.ts');
  const { assertNotOfRun } = await import('../coordinator/storage/run-path.ts');
  assertDistinctFiles({ '--out': out, '--soft': soft }, { '--data': data });
  assertNotOfRun(run, { '--out': out, '--soft': soft });
  const { predict } = await import('../worker/predict.ts');
  const { rows, k } = await predict({ ...args, log: console.error });
  console.log(`${args.out}: labels of ${rows} rows, clusters 0 to ${k - 1}`);
}
