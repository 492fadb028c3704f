import { defineCommand, numberFlag, REQUIRED, switchFlag, textFlag } from './flags.ts';
import { interruptible } from './process.ts';

/** Commands of data and labels alone: scores of a clustering, and drawn points to try it with. */

/** Prints the scores of two label files. UserError if they cannot be read or differ in length. */
export const evaluate = defineCommand({
  command: 'evaluate [clusters] [classes]',
  words: ['pred', 'labels'],
  describe: 'compare a clustering with true labels: NMI, ARI, ACC',
  builder: {
    pred: textFlag('predicted labels: 1-D .npy, IDX, file.csv:column, or file.npz:array', REQUIRED),
    labels: textFlag('true labels, in the same order', REQUIRED),
    json: switchFlag('print one JSON object instead of text'),
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
  builder: {
    out: textFlag('output file of the points: .npy, float32', REQUIRED),
    labels: textFlag('output file of the cluster of each point: .npy, int32', REQUIRED),
    clusters: numberFlag('number of clusters, at most 10,000', { default: 15 }),
    points: numberFlag('number of points; memory use does not depend on it', { default: 10_000 }),
    dim: numberFlag('number of dimensions', { default: 2 }),
    seed: textFlag('random seed; the same seed gives the same bytes', { default: '0' }),
    force: switchFlag('overwrite existing files'),
    json: switchFlag('print one JSON object instead of text'),
  },
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
