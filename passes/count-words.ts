import { languagesOf } from '../data/texts/stop-words.ts';
import type { RowTexts } from '../data/texts/texts.ts';
import { type Layout, unitBlocks } from '../model/layout.ts';
import { priority } from '../model/random.ts';
import type { NodePair, WeightOptions } from '../model/words/keywords.ts';
import type { WorkUnit } from '../proto/messages.ts';
import type { RunConfig } from '../run/config.ts';
import type { FullPassResult } from '../run/full-pass-result.ts';
import type { RunDirectory } from '../run/run-directory.ts';
import type { SavedTree } from '../run/tree.ts';
import type { TermsTask } from '../tasks/terms/entry.ts';
import type { TextsInput } from './describe-texts.ts';
import { spoolTexts, type TextLabels, type TextSpool } from './text-spool.ts';

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
