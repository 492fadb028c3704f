import { join } from 'node:path';
import { createAtomicFile } from '../../base/files.ts';
import { yieldToEventLoop } from '../../base/slices.ts';
import { languagesOf } from '../../data/texts/stop-words.ts';
import type { RowTexts } from '../../data/texts/texts.ts';
import { blockCount, type Layout, unitBlocks } from '../../model/layout.ts';
import { priority } from '../../model/random.ts';
import type { NodePair, WeightOptions } from '../../model/words/keywords.ts';
import { MOST_CHARACTERS } from '../../model/words/words.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { TermsTask } from '../../tasks/terms/entry.ts';
import type { RunConfig } from '../config.ts';
import type { FullPassResult } from '../descriptions.ts';
import type { RowSlice } from '../row-files.ts';
import type { RunDirectory } from '../run-directory.ts';
import { CLUSTERS } from '../saved-clusters.ts';
import type { SavedTree } from '../tree.ts';
import type { TextsInput } from './describe-texts.ts';

/** Texts of a unit: few enough for a worker's memory, but enough that most terms that matter come several times, and to be worth a message. */
const [MOST_ROWS, MOST_BYTES, LEAST_BYTES] = [1 << 17, 8 << 20, 1 << 20];
/** Units in all, about, where their texts are neither too many nor too few for that. */
const UNITS = 16;
/** Texts, about so many, by which languages are told. */
const TOLD_BY = 2000;
/** Characters of a text that may be shown. */
const MOST_KEPT = 4000;

/** Rows whose words are counted. */
export interface TextRows extends Pick<TextLabels, 'labels'> {
  layout: Layout;
  texts: RowTexts;
  /** By cluster that has rows: how many, and those nearest to its centre. */
  sizes: readonly number[];
  exemplars: readonly (readonly { row: number }[])[];
  /** Of the tree above these; none where there is no tree. */
  joins: readonly NodePair[];
  /** Gets every text. */
  each?(row: number, text: string): void;
}

/** What is counted of the clusters that a full pass has found: those without rows, which come last, are not in the tree either. */
export const aboutClusters = (
  { counts, shown }: Pick<FullPassResult, 'counts' | 'shown'>,
  tree: SavedTree | null,
): Pick<TextRows, 'sizes' | 'exemplars' | 'joins'> => {
  const sizes = counts.filter((rows) => rows > 0);
  return { sizes, exemplars: shown.exemplars.slice(0, sizes.length), joins: tree?.joins ?? [] };
};

/**
 * Has `count` count the words of all texts and merge the counts in the order of the units. Returns what else words and typical texts are
 * chosen by.
 */
export async function countWords(
  out: RunDirectory,
  config: Pick<RunConfig, 'seed' | keyof WeightOptions>,
  { layout, texts, labels, sizes, exemplars, joins, each }: TextRows,
  count: (units: WorkUnit[], task: TermsTask, read: TextSpool['read']) => Promise<void>,
): Promise<TextsInput> {
  const k = sizes.length;
  const wanted = new Set(exemplars.flat().map(({ row }) => row));
  const kept = new Map<number, string>();
  const sampled: string[] = [];
  const priorityOf = priority(config.seed);
  const spool = await spoolTexts(out, layout, { texts, labels }, (row, text) => {
    if (wanted.has(row)) kept.set(row, text.slice(0, MOST_KEPT));
    if (priorityOf(row) < TOLD_BY / layout.rows) sampled.push(text);
    each?.(row, text);
  });
  try {
    const languages = languagesOf(sampled);
    const icu = process.versions.icu ?? '';
    await count(textUnits(layout, spool), { task: 'terms', k, languages, icu }, spool.read);
    return {
      languages,
      joins,
      sizes,
      exemplars: exemplars.map((rows) => rows.map(({ row }) => kept.get(row)!)),
      bm25Weighting: config.bm25Weighting,
      reduceFrequentWords: config.reduceFrequentWords,
      minDf: config.minDf,
    };
  } finally {
    spool.remove();
  }
}

/** Consecutive blocks, of about so many rows and bytes at most where that is not one block. */
function textUnits(layout: Layout, { starts }: Pick<TextSpool, 'starts'>): WorkUnit[] {
  const shard = layout.shards;
  const blocks = unitBlocks(layout)[shard].length;
  const most = Math.max(1, Math.floor(MOST_ROWS / layout.blockRows));
  const bytes = Math.min(MOST_BYTES, Math.max(LEAST_BYTES, starts[blocks] / UNITS));
  const units: WorkUnit[] = [];
  for (let from = 0; from < blocks; ) {
    let to = from + 1;
    while (to < blocks && to - from < most && starts[to + 1] - starts[from] <= bytes) to++;
    units.push({ shard, from, to });
    from = to;
  }
  return units;
}

/**
 * The texts of all rows with their labels, in two files of the run directory from which any block is read at once: a table may have to be
 * decoded from its start for that. They are drafts, which nothing is left of once the run goes on without them.
 */
export type TextSpool = Awaited<ReturnType<typeof spoolTexts>>;

const BUFFER_BYTES = 1 << 20;
/** Texts that are in memory at once. */
const AT_ONCE = 1 << 10;
/** Of a message to a worker, which asks for the blocks of a unit. */
const MOST_MESSAGE = 1 << 28;
/** The length in bytes, and the label. */
const NUMBERS_OF_ROW = 2;

/** Texts in the order of their rows, and the clusters of these. */
export interface TextLabels {
  texts: RowTexts;
  /** Of consecutive rows. */
  labels: AsyncIterable<Pick<RowSlice, 'start' | 'labels'>> | Iterable<Pick<RowSlice, 'start' | 'labels'>>;
}

/** `each`: gets every text. UserError if there is not one for each row; WriteError. */
async function spoolTexts(
  out: RunDirectory,
  layout: Layout,
  { texts, labels: slices }: TextLabels,
  each: (row: number, text: string) => void,
) {
  const { rows, blockRows } = layout;
  out.assertThere();
  const bytes = createAtomicFile(join(out.path, `${CLUSTERS}.texts`));
  const about = createAtomicFile(join(out.path, `${CLUSTERS}.rows`));
  const remove = () => {
    bytes.abort();
    about.abort();
  };
  /** Where the texts of each block begin, and where the last ones end. */
  const starts = new Float64Array(blockCount(layout) + 1);
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  let [written, used] = [0, 0];
  const flush = () => {
    bytes.write(buffer.subarray(0, used), written);
    written += used;
    used = 0;
  };
  try {
    for await (const { start, labels } of slices) {
      const numbers = new Int32Array(NUMBERS_OF_ROW * labels.length);
      for (let from = 0; from < labels.length; from += AT_ONCE)
        for (const [i, text] of (await texts.next(Math.min(AT_ONCE, labels.length - from))).entries()) {
          const at = from + i;
          const row = start + at;
          if (row % blockRows === 0) starts[row / blockRows] = written + used;
          const counted = text.slice(0, MOST_CHARACTERS);
          if (used + 3 * counted.length > buffer.length) flush();
          const length = buffer.write(counted, used);
          used += length;
          numbers[NUMBERS_OF_ROW * at] = length;
          numbers[NUMBERS_OF_ROW * at + 1] = labels[at];
          each(row, counted);
          await yieldToEventLoop();
        }
      about.write(new Uint8Array(numbers.buffer), start * NUMBERS_OF_ROW * numbers.BYTES_PER_ELEMENT);
    }
    await texts.end();
    flush();
    starts[starts.length - 1] = written;
  } catch (error) {
    remove();
    throw error;
  } finally {
    await texts.close();
  }
  return {
    /** The bytes of each block begin here. */
    starts,
    /** The texts of consecutive blocks, one after the other in UTF-8, with the length of each and the label of its row. */
    async read(blocks: readonly number[]): Promise<Tensors> {
      const [first, end] = [blocks[0], blocks[0] + blocks.length];
      if (!(end < starts.length) || blocks.some((block, i) => block !== first + i))
        throw new Error('texts are read of consecutive blocks');
      if (starts[end] - starts[first] > MOST_MESSAGE)
        throw new Error('these are too many texts for one message');
      const content = new Uint8Array(starts[end] - starts[first]);
      bytes.read(content, starts[first]);
      const [from, to] = [first * blockRows, Math.min(rows, end * blockRows)];
      const numbers = new Int32Array(NUMBERS_OF_ROW * (to - from));
      about.read(new Uint8Array(numbers.buffer), from * NUMBERS_OF_ROW * numbers.BYTES_PER_ELEMENT);
      const [lengths, labels] = [0, 1].map((which) =>
        Int32Array.from({ length: to - from }, (_, i) => numbers[NUMBERS_OF_ROW * i + which]),
      );
      return { texts: nd(content), lengths: nd(lengths), labels: nd(labels) };
    },
    remove,
  };
}
