import { languagesOf } from '../data/stop-words.ts';
import { rowTexts } from '../data/texts.ts';
import { type Layout, unitBlocks } from '../model/layout.ts';
import { priority } from '../model/random.ts';
import type { WorkUnit } from '../proto/messages.ts';
import type { TaskOf } from '../proto/tasks.ts';
import type { Tensors } from '../proto/tensors.ts';
import type { TextsInput } from './describe-texts.ts';
import type { RunContext, RunState } from './run-state.ts';
import { spoolTexts, type TextSpool } from './storage/text-spool.ts';

/** Texts of a unit: few enough for a worker's memory, but enough that most terms that matter come several times, and to be worth a message. */
const [MOST_ROWS, MOST_BYTES, LEAST_BYTES] = [1 << 17, 8 << 20, 1 << 20];
/** Units in all, about, where their texts are neither too many nor too few for that. */
const UNITS = 16;
/** Texts, about so many, by which languages are told. */
const TOLD_BY = 2000;
/** Characters of a text that may be shown. */
const MOST_KEPT = 4000;

/**
 * Counts the words of all texts at the workers, and has the trainer merge the counts in the order of the rows. Returns what else words
 * and typical texts are chosen by; null where there are no texts.
 */
export async function countWords(
  { config, source: { described }, out, dispatcher, server, trainer }: RunContext,
  { layout, labelled }: RunState,
): Promise<TextsInput | null> {
  if (!described) return null;
  const { found, stream, tree } = labelled!;
  const k = found.counts.length;
  // Clusters without rows are not in the tree.
  const nodeOf = (node: number, clusters: number) => (node < clusters ? node : node - clusters + k);
  const { exemplars } = found.shown;
  const wanted = new Set(exemplars.flat().map(({ row }) => row));
  const kept = new Map<number, string>();
  const sampled: string[] = [];
  const priorityOf = priority(config.seed);
  const texts = rowTexts(described.read(), described.name);
  const spool = await spoolTexts(out, layout, texts, stream?.ids, (row, text) => {
    if (wanted.has(row)) kept.set(row, text.slice(0, MOST_KEPT));
    if (priorityOf(row) < TOLD_BY / layout.rows) sampled.push(text);
  });
  try {
    const languages = languagesOf(sampled);
    await trainer.beginTerms(k);
    server.serveTexts(spool.read);
    const units = textUnits(layout, spool);
    const task: TaskOf<'terms'> = { task: 'terms', k, languages, icu: process.versions.icu ?? '' };
    const inOrder = orderOf(units);
    let merging = Promise.resolve();
    await dispatcher.round({
      tasks: [task],
      units,
      streams: true,
      each(unit, [part]) {
        for (const next of inOrder(unit, part)) merging = merging.then(() => trainer.addTerms(next));
        merging.catch(dispatcher.abort);
      },
    });
    await merging;
    return {
      languages,
      joins:
        tree?.joins.map(({ a, b }) => ({ a: nodeOf(a, tree.clusters), b: nodeOf(b, tree.clusters) })) ?? [],
      sizes: Array.from(found.counts),
      exemplars: exemplars.slice(0, k).map((rows) => rows.map(({ row }) => kept.get(row)!)),
      bm25Weighting: config.bm25Weighting,
      reduceFrequentWords: config.reduceFrequentWords,
      minDf: config.minDf,
    };
  } finally {
    server.serveTexts(null);
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

/** Given results as they come, returns those that are next in the order of the units. */
function orderOf(units: readonly WorkUnit[]) {
  const waiting = new Map<number, Tensors>();
  let next = 0;
  return function* (unit: WorkUnit, part: Tensors) {
    waiting.set(unit.from, part);
    for (let own = waiting.get(units[next]?.from); own; own = waiting.get(units[next]?.from)) {
      waiting.delete(units[next++].from);
      yield own;
    }
  };
}
