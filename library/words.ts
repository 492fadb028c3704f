import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import type { TextDialect } from '../data/tables/table-options.ts';
import { openRowTexts } from '../data/texts/row-texts.ts';
import { rowTexts } from '../data/texts/texts.ts';
import { type Name, nameClusters } from '../model/description/names.ts';
import { layoutOf, shardsFor, unitBlocks } from '../model/layout.ts';
import { priority } from '../model/random.ts';
import { countWords } from '../passes/count-words.ts';
import { textsOfNode } from '../passes/describe.ts';
import { type DescribedTexts, termsOfParts } from '../passes/describe-texts.ts';
import { KEPT_ROWS, rowSlices } from '../run/row-files.ts';
import type { RunDirectory } from '../run/run-directory.ts';
import { type RunFile, readFinishedRun } from '../run/run-file.ts';
import { type FileHashes, readRows, readRunJson } from '../run/run-files.ts';
import type { SavedClusters } from '../run/saved-clusters.ts';
import { readSavedTree, type SavedTree } from '../run/saved-tree.ts';
import { shownProblem } from '../run/shown-files.ts';
import { readStream, SAMPLE } from '../run/stream-files.ts';
import { KEPT_TEXTS, keepTexts } from '../run/texts-of-sample.ts';
import { tableOfTexts } from '../worker/tasks/terms.ts';
import { assertOptions, fixedPaths } from './arguments.ts';
import { nodesOf } from './name.ts';
import { redrawn, rewriteNames } from './rename.ts';
import { AbortError } from './run.ts';

/** Options of `addWords`; one of `text` and `texts` is needed. */
export interface WordsOptions {
  /** The directory of a finished first run. */
  run: string;
  /** The column with the texts, of the table that is the data of the run, or of that of `texts`. */
  text?: string;
  /** A file with the texts of the rows, as of `train`. */
  texts?: string;
  /**
   * Where the data of the run are by now.
   * @defaultValue where they were
   */
  data?: string;
  /** Called with texts on how far it is. */
  status?: (text: string) => void;
  /** Ends it early: the run is as it was. */
  signal?: AbortSignal;
}

/** What `addWords` did. */
export interface AddedWords {
  /** Clusters and joins that are called by their words now. */
  readonly named: number;
  /** All of them. */
  readonly of: number;
  /** What was left as it was and why, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Gives a finished run what a run with texts has: keywords, typical texts and names of its clusters and of the joins of its tree, and the texts
 * of its sample, for updates. Names by hand or by a model stay.
 *
 * @throws {UserError} (rejection) if the run is an update, not finished or in use, or there is not a text for each row
 * @throws {AbortError} (rejection) if `signal` is aborted
 */
export async function addWords(options: WordsOptions): Promise<AddedWords> {
  const kinds = { run: 'string', text: 'string', texts: 'string', data: 'string' } as const;
  assertOptions('addWords', options, { ...kinds, status: 'function', signal: 'signal' }, ['run']);
  const { text = null } = options;
  if (text === null && options.texts === undefined)
    throw new UserError('words need texts: name their column with --text, or their file with --texts');
  const paths = fixedPaths();
  const [run, texts, data] = [paths.fix(options.run), paths.fix(options.texts), paths.fix(options.data)];
  return paths.naming(async () => {
    const { about, files } = readFinishedRun(run, dpmeshVersion());
    if (about.update)
      throw new UserError(
        `${run} is an update, and words need the texts of all rows so far: give them to the first run, and update that`,
      );
    if (about.config.labelsOut === 'shards')
      throw new UserError(
        `${run} has its labels in parts (--labels-out shards), for which there are no words`,
      );
    const tree = readSavedTree(files);
    const named = await rewriteNames(run, async (saved, out) => {
      const described = await wordsOf(out, about, saved, tree, {
        ...{ file: texts ?? data ?? about.config.data, text, dialect: texts ? undefined : about.config },
        ...{ status: options.status, signal: options.signal },
      });
      return setWords(saved, tree, described);
    });
    const notes = (await redrawn(run)).map(paths.asGiven);
    return { named, of: nodesIn(tree, about), notes };
  });
}

const nodesIn = (tree: SavedTree | null, { result }: RunFile) => result!.k + (tree?.joins.length ?? 0);

/** Counts the words of all texts in this process, with the results of a run, and keeps the texts of the sample. */
async function wordsOf(
  out: RunDirectory,
  about: RunFile,
  { clusters }: SavedClusters,
  tree: SavedTree | null,
  {
    file,
    text,
    dialect,
    status,
    signal,
  }: { file: string; text: string | null; dialect?: TextDialect } & Pick<WordsOptions, 'status' | 'signal'>,
): Promise<DescribedTexts> {
  const { config, data } = about;
  const { rows, dim, table } = data;
  const run = out.path;
  // With a dialect it is the data of the run, wherever they are by now.
  const isSame = dialect !== undefined && file === config.data;
  const problem = isSame ? await shownProblem(about, ['data']) : null;
  if (problem)
    throw new UserError(
      `${problem}, and its texts may be those of other rows: restore it; if they are those of the rows of the run, pass it as --texts too`,
    );
  const dropped = table?.dropped ? droppedRows(run, rows, table.dropped) : [];
  const read = await openRowTexts(file, text, config.data, { rows, table: { dropped } }, dialect);
  const terms = termsOfParts(clusters.length);
  const layout = layoutOf(rows, dim, shardsFor(config.shards, rows), config.seed);
  const keys = existsSync(join(run, SAMPLE)) ? readStream(run).stream!.keys : [];
  const priorityOf = priority(config.seed);
  const kept = keepTexts(out);
  let [next, done] = [0, 0];
  try {
    const input = await countWords(
      out,
      config,
      {
        layout,
        texts: rowTexts(read(), file),
        labels: rowSlices(run, rows, { hasOutliers: false }),
        sizes: clusters.map(({ size }) => size),
        exemplars: clusters.map(({ exemplars }) => exemplars),
        joins: tree?.joins ?? [],
        each(row, text) {
          signal?.throwIfAborted();
          if (keys[next] !== priorityOf(row)) return;
          kept.add(text);
          next++;
        },
      },
      async (units, task, blocksOf) => {
        const blocks = unitBlocks(layout)[layout.shards];
        for (const { from, to } of units) {
          signal?.throwIfAborted();
          terms.add(
            await tableOfTexts(await blocksOf(blocks.slice(from, to).map(({ index }) => index)), task),
          );
          status?.(`words: ${++done} of ${units.length} parts`);
        }
      },
    );
    const described = terms.describe(input);
    // Until the new names are there, run.json has no hash of the file, which may be of other texts.
    const { files, ...about } = readRunJson(run) as { files: FileHashes };
    const { [KEPT_TEXTS]: _, ...others } = files;
    out.json('run.json', { ...about, files: others });
    kept.finish();
    return described;
  } catch (error) {
    kept.abort();
    throw signal?.aborted ? new AbortError(`stopped; ${run} is as it was`, { cause: signal.reason }) : error;
  }
}

/** The rows of the data that the run has left out, of which there are `count`. */
function droppedRows(run: string, rows: number, count: number): number[] {
  const kept = readRows(run, KEPT_ROWS, '<i4', rows);
  const dropped: number[] = [];
  for (let i = 0, row = 0; row < rows + count; row++)
    if (row === kept[i]) i++;
    else dropped.push(row);
  return dropped;
}

/** Returns how many nodes are called by their words. */
function setWords(saved: SavedClusters, tree: SavedTree | null, { nodes, error }: DescribedTexts): number {
  const own = nodesOf(saved, tree);
  const called = nameClusters(
    own.map(({ name, namedBy }, node): Name[] => [
      ...nodes[node].names.map((name) => ({ name, namedBy: 'words' as const })),
      ...(namedBy === 'columns' ? [{ name: name!, namedBy }] : []),
    ]),
    saved.clusters.map(({ id, cluster }) => id ?? cluster),
    own.map(({ name, namedBy }) =>
      namedBy === 'hand' || namedBy === 'model' ? { name: name!, namedBy } : null,
    ),
  );
  for (const [node, cluster] of saved.clusters.entries())
    Object.assign(cluster, called[node], textsOfNode(nodes[node]));
  if (tree)
    saved.joins = tree.joins.map((_, j) => {
      const node = saved.clusters.length + j;
      return { join: node, ...called[node], ...textsOfNode(nodes[node]) };
    });
  saved.wordsError = error;
  return called.filter((one) => one?.namedBy === 'words').length;
}
