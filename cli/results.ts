import { counted } from '../base/quantities.ts';
import { indentContinuation, oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import {
  CUT,
  DRAW,
  EXPORT,
  JSON_OUTPUT,
  NAME,
  PREDICT,
  RENAME,
  RUN,
  WORDS,
} from '../library/command-options.ts';
import type { Cut } from '../library/cut.ts';
import { text } from '../run/domains.ts';
import { option } from '../run/option.ts';
import { defineCommand, pickOptions } from './flags.ts';
import { dataPathOf, interruptible, onSignal } from './process.ts';

/** The commands that use a finished run. */

export const predict = defineCommand({
  command: 'predict [folder] [file]',
  words: ['run', 'data'],
  describe: 'label new rows with the model of a finished run',
  options: PREDICT,
  examples: [
    ['predict runs/x new.npy --out labels.npy', 'the cluster of each row of new.npy'],
    ['predict runs/x new.npy --out labels.npy --soft p.npy', 'also the probability of each cluster'],
    ['predict runs/x new.npy --out labels.npy --clusters 7', 'of 7 clusters, those of dpmesh cut'],
  ],
  async handler(values) {
    const { out, components } = values;
    const { labelFormatOf } = await import('../run/label-file.ts');
    if (components && labelFormatOf(out) === '.npy')
      throw new UserError(
        '--components is a column of a table: give --out one that ends in .csv or .parquet',
      );
    const { predict } = await import('../library/predict-files.ts');
    const data = await dataPathOf(values.data);
    const { createDisplay } = await import('./progress.ts');
    const { line: log, status, end } = createDisplay(0);
    const { rows, outliers, k, ids } = await interruptible((signal) =>
      predict({ ...pickOptions(PREDICT, values), data, log, status, signal }),
    ).finally(end);
    const apart = outliers ? `; ${counted(outliers, 'outlier')}` : '';
    console.log(
      indentContinuation(
        `${out}: labels of ${rows} rows, clusters ${ids ? listed(ids) : `0 to ${k - 1}`}${apart}`,
      ),
    );
  },
});

export const exportCommand = defineCommand({
  command: 'export [folder]',
  words: ['run'],
  describe: 'write the model or the map of a finished run for other programs',
  options: EXPORT,
  examples: [
    ['export runs/x --onnx x.onnx', 'a model for ONNX Runtime, in any of its languages'],
    [
      'export runs/x --atlas x',
      'then: embedding-atlas x/rows.parquet --labels x/labels.parquet --x map_x --y map_y',
    ],
    ['export runs/x --datamapplot x.npz', 'the map, and labels from the clusters up, layer by layer'],
  ],
  async handler({ run, onnx, atlas, datamapplot, force }) {
    if (onnx === undefined && atlas === undefined && datamapplot === undefined)
      throw new UserError(
        'nothing to export: say what with --onnx FILE, --atlas FOLDER or --datamapplot FILE',
      );
    if (onnx !== undefined) {
      const { exportModel } = await import('../library/export/export.ts');
      const { columns, k } = await exportModel({ run, onnx, force });
      const input = `rows of ${counted(columns, 'column')}, float32`;
      console.log(indentContinuation(`${onnx}: ${input}, to labels of ${counted(k, 'cluster')}`));
    }
    if (atlas === undefined && datamapplot === undefined) return;
    const { exportMap } = await import('../library/export/export-map.ts');
    const { rows, layers } = await exportMap({ run, atlas, datamapplot, force });
    for (const path of [atlas, datamapplot])
      if (path !== undefined)
        console.log(
          indentContinuation(`${path}: ${counted(rows, 'row')}, names in layers of ${layers.join(', ')}`),
        );
  },
});

/** Ids that are named one by one. */
const MOST_IDS = 16;

function listed(ids: readonly number[]): string {
  const sorted = [...ids].sort((a, b) => a - b);
  return sorted.length > MOST_IDS ? `${sorted[0]} to ${sorted.at(-1)}` : sorted.join(', ');
}

export const cut = defineCommand({
  command: 'cut [folder]',
  words: ['run'],
  describe: 'join the clusters of a finished run to fewer, by its tree of merges',
  options: CUT,
  examples: [
    ['cut runs/x --clusters 7', 'which clusters join'],
    ['cut runs/x --clusters 7 --out seven.csv', 'the labels of all rows'],
    ['predict runs/x new.npy --clusters 7 --out labels.npy', 'those of new rows'],
  ],
  async handler(values) {
    const { run, clusters, out, json } = values;
    const { cut } = await import('../library/cut.ts');
    const { nextSplitText } = await import('../run/passes/cut.ts');
    const result = await cut(pickOptions(CUT, values));
    const { rows, next } = result;
    if (json) console.log(JSON.stringify({ run, rows, out: out ?? null, clusters: result.clusters, next }));
    else if (out !== undefined)
      console.log(indentContinuation(`${out}: labels of ${rows} rows, clusters 0 to ${clusters - 1}`));
    else {
      for (const line of tableOf(result)) console.log(line);
      // With fewer clusters, the next split would be the last join.
      const isWhole = result.clusters.every(({ from }) => from.length === 1);
      if (isWhole && next.length) console.log(`\n${nextSplitText(next[0])}`);
    }
  },
});

/** Of more clusters, a row of the table names only the first. */
const MOST_NAMED = 16;

function tableOf({ clusters }: Cut): string[] {
  // Of an update, those of all rows so far.
  const rows = clusters.reduce((sum, own) => sum + own.rows, 0);
  const isNamed = clusters.some(({ name }) => name !== undefined);
  const cells = clusters.map(({ rows: own, from, name = '' }, cluster) => [
    String(cluster),
    own.toLocaleString('en'),
    `${((100 * own) / rows).toFixed(2)} %`,
    from.slice(0, MOST_NAMED).join(', ') + (from.length > MOST_NAMED ? `, … (${from.length} clusters)` : ''),
    ...(isNamed ? [name] : []),
  ]);
  const table = [['cluster', 'rows', 'share', 'joined from', ...(isNamed ? ['name'] : [])], ...cells];
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)));
  const aligned = (cell: string, i: number) =>
    i < 3 ? cell.padStart(widths[i]) : i < widths.length - 1 ? cell.padEnd(widths[i]) : cell;
  return table.map((row) => oneLine(row.map(aligned).join('  ')));
}

/** Prints the resolutions in the events of a run. UserError where none were tried. */
export const resolutions = defineCommand({
  command: 'resolutions [folder]',
  words: ['run'],
  describe:
    'resolutions that a run of the graph likelihood tried: the clusters at each, and how well samples agree',
  options: { run: RUN, json: JSON_OUTPUT },
  examples: [
    ['resolutions runs/x', 'resolution, clusters, agreement'],
    ['train x.npy --resolution 2', 'another run, with one of them'],
    ['train x.npy --clusters 60', 'another run, with one that has about so many clusters'],
  ],
  async handler({ run, json }) {
    const { openRun } = await import('../library/open-run.ts');
    const events = [...(await openRun(run)).events()];
    const tried = events.findLast((event) => event.type === 'resolutions');
    if (!tried)
      throw new UserError(
        `${run} tried no resolutions: it has a Gaussian mixture, or has not come so far; --likelihood graph tries them`,
      );
    const { points, chosen } = tried;
    if (json) return void console.log(JSON.stringify({ run, points, chosen }));
    console.log('resolution  clusters  agreement');
    for (const { resolution, k, stability } of points) {
      const cells = [resolution.toPrecision(3), String(Math.round(k)), stability.toFixed(3)];
      const line = cells.map((cell, i) => cell.padStart([10, 8, 9][i])).join('  ');
      console.log(`${line}${resolution === chosen ? '  chosen' : ''}`);
    }
  },
});

export const name = defineCommand({
  command: 'name [folder]',
  words: ['run'],
  describe: 'give the clusters of a finished run words and names of texts, or names by a language model',
  options: { ...WORDS, ...NAME, json: JSON_OUTPUT },
  examples: [
    ['name runs/x --texts sentences.txt', 'words and names, of a run that was trained without texts'],
    ['name runs/x --name-with http://localhost:11434/v1 --name-model llama3.2', 'by a model on this machine'],
    ['name runs/x --name-with https://api.openai.com/v1 --name-model gpt-5-mini', 'by a service'],
  ],
  async handler(values) {
    const { run, text, texts, nameWith, nameModel, json } = values;
    const { addWords, givenModel, nameClusters, namesText } = await import('../library/names.ts');
    const { createDisplay } = await import('./progress.ts');
    const hasTexts = text !== undefined || texts !== undefined;
    if (!hasTexts && nameWith === undefined && nameModel === undefined)
      throw new UserError(
        'names come from texts, --text COLUMN or --texts FILE, or from a language model, --name-with ADDRESS --name-model NAME',
      );
    const model = givenModel({ nameWith, nameModel });
    const { status, end } = createDisplay(0);
    const { words, names } = await interruptible(async (signal) => ({
      words: hasTexts ? await addWords({ ...pickOptions(WORDS, values), status, signal }) : null,
      names: model && (await nameClusters({ run, ...model, status, signal })),
    })).finally(end);
    for (const note of [words, names].flatMap((found) => found?.notes ?? []))
      console.error(oneLine(`dpmesh: ${note}`));
    if (json) return void console.log(JSON.stringify({ run, ...(words && { words }), ...names }));
    if (words) console.log(`${words.named} of ${words.of} names by words`);
    if (names) console.log(namesText(names));
  },
});

export const rename = defineCommand({
  command: 'rename [folder] [label] [text]',
  words: ['run', 'cluster', 'name'],
  describe: 'give a cluster of a finished run another name: in its files and its report',
  options: RENAME,
  examples: [['rename runs/x 3 "Fiction"', 'updates of the run keep the name']],
  async handler(values) {
    const { run, cluster } = values;
    const { renameCluster } = await import('../library/names.ts');
    const { before, name, notes } = await renameCluster(pickOptions(RENAME, values));
    for (const note of notes) console.error(oneLine(`dpmesh: ${note}`));
    console.log(
      oneLine(
        `${run}: cluster ${cluster} is called ${name}${before === null ? '' : `, no longer ${before}`}`,
      ),
    );
  },
});

export const plot = defineCommand({
  command: 'plot [folder]',
  words: ['run'],
  describe:
    'draw pictures of a run and report.html: clusters, map, tree, K and losses per epoch, true classes',
  options: { run: RUN, ...DRAW },
  examples: [
    ['plot runs/x', 'draw runs/x/report again'],
    ['plot runs/x --labels y.npy', 'with true classes'],
    ['plot runs/x --out pictures', 'into another folder'],
  ],
  async handler({ run, ...values }) {
    const { openRun } = await import('../library/open-run.ts');
    const { path, pictures, notes } = await (await openRun(run)).draw(pickOptions(DRAW, values));
    for (const note of notes) console.error(oneLine(`dpmesh: ${note}`));
    console.log(oneLine(`${path}: ${pictures.join(', ')}`));
  },
});

export const view = defineCommand({
  command: 'view <runs..>',
  describe: 'open the page of a finished run, or a table of several to compare them',
  options: {
    http: option(text(), {
      help: 'HOST:PORT of the page, on this machine only',
      defaultText: '127.0.0.1:9464, or a free port',
    }),
  },
  examples: [
    ['view runs/x', 'the page of a finished run'],
    ['view runs/*', 'a table of several, with what differs'],
    ['view runs/a runs/b', 'the clusters of two against each other'],
  ],
  async handler({ runs: paths, http }) {
    const { parseBindAddress } = await import('../base/address.ts');
    const { DEFAULT_HTTP } = await import('../library/options.ts');
    const { keepOpen, openView, viewedRuns } = await import('../page/view/open-view.ts');
    const runs = viewedRuns(paths, (message) => console.error(oneLine(`dpmesh: warning: ${message}`)));
    const address = http === undefined ? DEFAULT_HTTP : parseBindAddress('--http', http);
    const page = await openView(runs, { ...address, explicit: http !== undefined });
    const end = new AbortController();
    onSignal(() => end.abort());
    const what = runs.length === 1 ? runs[0].path : `${runs.length} runs`;
    console.error(oneLine(`${what}: ${page.url} (until Ctrl-C)`));
    await keepOpen(page, end.signal);
  },
});
