import { rowTexts } from '../../data/texts/texts.ts';
import { type Name, nameClusters } from '../../model/description/names.ts';
import { layoutOf, shardsFor, unitBlocks } from '../../model/layout.ts';
import { priority } from '../../model/random.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { TermsTask } from '../../tasks/terms/entry.ts';
import { KEPT_TEXTS, keepTexts } from '../base-run.ts';
import { KEPT_ROWS, rowSlices } from '../row-files.ts';
import type { RunDirectory } from '../run-directory.ts';
import type { RunFile } from '../run-file.ts';
import { type FileHashes, readRows, readRunJson } from '../run-files.ts';
import type { SavedClusters } from '../saved-clusters.ts';
import type { SavedTree } from '../tree.ts';
import { countWords } from './count-words.ts';
import { type DescribedTexts, termsOfParts, textsOfNode } from './describe-texts.ts';
import { nodesOf } from './name.ts';

/** Words for a finished run: keywords, typical texts and names of its clusters and joins, from the texts of its rows. */

/** What the pass is given. */
export interface WordsInput {
  /** The texts of the rows, in their order; what they are called in messages. */
  texts: AsyncGenerator<string[]>;
  what: string;
  /** Counts the words of some texts, as the task does on a worker. */
  count: (texts: Tensors, task: TermsTask) => Promise<Tensors>;
  /** The keys of the sample's rows, whose texts are kept for updates; none where the run has no sample. */
  keys: ArrayLike<number>;
  status?: (text: string) => void;
  signal?: AbortSignal;
}

/** Counts the words of all texts in this process, and keeps those of the sample. Rejects with the reason of `signal`. */
export async function wordsOf(
  out: RunDirectory,
  { config, data: { rows, dim } }: RunFile,
  { clusters }: SavedClusters,
  tree: SavedTree | null,
  { texts, what, count, keys, status, signal }: WordsInput,
): Promise<DescribedTexts> {
  const run = out.path;
  const terms = termsOfParts(clusters.length);
  const layout = layoutOf(rows, dim, shardsFor(config.shards, rows), config.seed);
  const priorityOf = priority(config.seed);
  const kept = keepTexts(out);
  let [next, done] = [0, 0];
  try {
    const input = await countWords(
      out,
      config,
      {
        layout,
        texts: rowTexts(texts, what),
        labels: rowSlices(run, rows),
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
          terms.add(await count(await blocksOf(blocks.slice(from, to).map(({ index }) => index)), task));
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
    throw error;
  }
}

/** The rows of the data that the run has left out, of which there are `count`. */
export function droppedRows(run: string, rows: number, count: number): number[] {
  const kept = readRows(run, KEPT_ROWS, '<i4', rows);
  const dropped: number[] = [];
  for (let i = 0, row = 0; row < rows + count; row++)
    if (row === kept[i]) i++;
    else dropped.push(row);
  return dropped;
}

/** Sets keywords, typical texts and names. Returns how many nodes are called by their words. */
export function setWords(
  saved: SavedClusters,
  tree: SavedTree | null,
  { nodes, error }: DescribedTexts,
): number {
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
