import type { Flags, FlagValues } from './flag.ts';

/** Hungarian matching beyond this takes minutes, and such labels are hardly labels. */
const MOST_PAIRS = 2 ** 25;

export const command = 'evaluate';
export const describe = 'compare a clustering with true labels: NMI, ARI, ACC';
export const builder = {
  pred: { type: 'string', demandOption: true, describe: 'predicted labels: .npy, IDX, or file.csv:column' },
  labels: { type: 'string', demandOption: true, describe: 'true labels, in the same order' },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of a table' },
} as const satisfies Flags;

/** Prints the metrics of two label files; a UserError if they cannot be read or are not of the same rows. */
export async function handler(args: FlagValues<typeof builder>): Promise<void> {
  const { readLabels } = await import('../data/labels.ts');
  const { UserError } = await import('../base/user-error.ts');
  const { accuracy, ari, contingency, nmi } = await import('../model/scores.ts');

  const pred = await readLabels(args.pred);
  const truth = await readLabels(args.labels);
  if (pred.codes.length !== truth.codes.length)
    throw new UserError(
      `${args.pred} has ${pred.codes.length} labels, ${args.labels} has ${truth.codes.length}: ` +
        'they must be of the same rows',
    );
  if (pred.names.length * truth.names.length > MOST_PAIRS)
    throw new UserError(
      `${args.pred} has ${pred.names.length} different labels, ${args.labels} has ${truth.names.length}: ` +
        'too many to compare; are both files of labels?',
    );

  const table = contingency(pred.codes, truth.codes);
  const scores = { nmi: nmi(table), ari: ari(table), acc: accuracy(table) };
  const { clusters: k, classes, rows } = table;
  if (args.json) {
    console.log(JSON.stringify({ ...scores, k, classes, rows }));
    return;
  }
  for (const [name, score] of Object.entries(scores))
    console.log(`${name.toUpperCase().padEnd(6)}${score.toFixed(4)}`);
  console.log(`K     ${k} (${classes} true)\nrows  ${rows}`);
}
