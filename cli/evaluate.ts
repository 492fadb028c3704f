import type { Flags, FlagValues } from './flag.ts';

export const command = 'evaluate [clusters] [classes]';
export const words = ['pred', 'labels'];
export const describe = 'compare a clustering with true labels: NMI, ARI, ACC';
export const builder = {
  pred: {
    type: 'string',
    demandOption: true,
    describe: 'predicted labels: 1-D .npy, IDX, file.csv:column, or file.npz:array',
  },
  labels: { type: 'string', demandOption: true, describe: 'true labels, in the same order' },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of a table' },
} as const satisfies Flags;
export const examples = [
  ['evaluate runs/x/labels.npy y.npy', 'the labels of a run and true classes'],
  ['evaluate a.npy table.csv:kind', 'true classes in a column of a table'],
  ['evaluate a.npy b.npy --json', 'two clusterings of the same rows, as JSON'],
] as const;

/** Prints the scores of two label files. UserError if they cannot be read or differ in length. */
export async function handler({ pred, labels, json }: FlagValues<typeof builder>): Promise<void> {
  const { evaluate } = await import('../library/evaluate.ts');
  const { k, classes, rows, ...scores } = await evaluate({ pred, labels });
  if (json) {
    console.log(JSON.stringify({ ...scores, k, classes, rows }));
    return;
  }
  for (const [name, score] of Object.entries(scores))
    console.log(`${name.toUpperCase().padEnd(6)}${score.toFixed(4)}`);
  console.log(`K     ${k} (${classes} true)\nrows  ${rows}`);
}
