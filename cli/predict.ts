import { printable } from '../base/text.ts';
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

export async function handler({ run, data, out, soft, force }: FlagValues<typeof builder>): Promise<void> {
  const { predict } = await import('../library/predict.ts');
  const log = (line: string) => console.error(printable(line));
  const { rows, k } = await predict({ run, data, out, soft, force, log });
  console.log(printable(`${out}: labels of ${rows} rows, clusters 0 to ${k - 1}`));
}
