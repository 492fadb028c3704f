import { JSON_OUTPUT, SYNTH } from '../library/command-options.ts';
import { text } from '../run/domains.ts';
import { option } from '../run/option.ts';
import { defineCommand } from './flags.ts';
import { interruptible } from './process.ts';

/** Commands of data and labels alone: scores of a clustering, and drawn points to try it with. */

/** Prints the scores of two label files. UserError if they cannot be read or differ in length. */
export const evaluate = defineCommand({
  command: 'evaluate [clusters] [classes]',
  words: ['pred', 'labels'],
  describe: 'compare a clustering with true labels: NMI, ARI, ACC',
  options: {
    pred: option(text(), {
      help: 'predicted labels: 1-D .npy, IDX, file.csv:column, or file.npz:array',
      isRequired: true,
    }),
    labels: option(text(), { help: 'true labels, in the same order', isRequired: true }),
    json: JSON_OUTPUT,
  },
  examples: [
    ['evaluate runs/x/labels.npy y.npy', 'the labels of a run and true classes'],
    ['evaluate a.npy table.csv:kind', 'true classes in a column of a table'],
    ['evaluate a.npy b.npy --json', 'two clusterings of the same rows, as JSON'],
  ],
  async handler({ pred, labels, json }) {
    const { evaluate } = await import('../library/evaluate.ts');
    const { k, classes, rows, ...scores } = await evaluate({ pred, labels });
    if (json) return void console.log(JSON.stringify({ ...scores, k, classes, rows }));
    for (const [name, score] of Object.entries(scores))
      console.log(`${name.toUpperCase().padEnd(6)}${score.toFixed(4)}`);
    console.log(`K     ${k} (${classes} true)\nrows  ${rows}`);
  },
});

/** Writes both files and prints a summary. UserError for an invalid value, or a file that exists and no `--force`. */
export const synth = defineCommand({
  command: 'synth',
  describe: 'write points drawn from a random Gaussian mixture, and their true labels',
  options: { ...SYNTH, json: JSON_OUTPUT },
  examples: [
    ['synth --out g.npy --labels g_labels.npy', '10,000 points of 15 clusters'],
    ['synth --out g.npy --labels y.npy --clusters 30 --dim 16 --points 1000000', 'larger'],
  ],
  async handler({ out, labels, clusters, dim, points, seed, force, json }) {
    const { synth } = await import('../library/synth.ts');
    const { createDisplay } = await import('./progress.ts');
    const { line, status, end } = createDisplay(0);
    let told = performance.now();
    const onProgress = (done: number) => {
      const text = `${done} of ${points} points`;
      status(text);
      // In a log, a line now and then.
      if (process.stderr.isTTY || performance.now() - told < 5000) return;
      told = performance.now();
      line(text);
    };
    const { bestNmi, judged } = await interruptible((signal) =>
      synth({ out, labels, clusters, dim, points, seed, force, signal, onProgress }),
    ).finally(end);
    if (json)
      return void console.log(JSON.stringify({ out, labels, points, dim, clusters, seed, bestNmi, judged }));
    console.log(`${out}: ${points} points of ${dim} dimensions, float32`);
    console.log(`${labels}: their clusters, 0 to ${clusters - 1}, int32`);
    const where = judged < points ? `, on ${judged} of the points` : '';
    console.log(`best possible NMI ${bestNmi.toFixed(4)} (posterior under the true parameters${where})`);
  },
});
