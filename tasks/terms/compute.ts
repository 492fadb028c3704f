import { inSlices, yieldToEventLoop } from '../../base/slices.ts';
import { stopWordsOf } from '../../data/texts/stop-words.ts';
import { termCounter } from '../../model/words/term-counts.ts';
import { isSimple } from '../../model/words/words.ts';
import { bytesOf, nd, type Tensors, take } from '../../proto/tensors.ts';
import { LocalTrouble } from '../../worker/trouble.ts';
import type { TaskFunction } from '../compute/context.ts';
import type { TermsTask } from './entry.ts';

/** Counts the words of the texts of the unit's rows. */
export const terms: TaskFunction<'terms'> = async (context, task, unit) => {
  const blocks = context.blocks(unit).map(({ index }) => index);
  return tableOfTexts(await context.textsOf(blocks, task.k), task);
};

/**
 * The words of these texts, and pairs of words, by cluster: a table of terms (model/words/term-table.ts), the same for whoever computes
 * it.
 */
export async function tableOfTexts(
  fetched: Tensors,
  { k, languages, icu }: Pick<TermsTask, 'k' | 'languages' | 'icu'>,
): Promise<Tensors> {
  const bytes = bytesOf(take(fetched, 'texts', 'uint8'));
  const lengths = take(fetched, 'lengths', 'int32');
  const labels = take(fetched, 'labels', 'int32');
  const ends = new Uint32Array(lengths.length);
  for (let i = 0, end = 0; i < lengths.length; i++) ends[i] = end += lengths[i];
  const counter = termCounter(k, stopWordsOf(languages));
  for (const row of byLabel(labels, k)) {
    const text = bytes.toString('utf8', ends[row] - lengths[row], ends[row]);
    if (icu !== (process.versions.icu ?? '') && !isSimple(text))
      throw new LocalTrouble(
        `Node.js has ICU ${process.versions.icu} here, the coordinator's ICU ${icu}: they may find other words in texts of this script`,
      );
    counter.add(labels[row], text);
    await yieldToEventLoop();
  }
  const { text, documents, credit, entries, cluster, count, totals, error } = await inSlices(counter.table());
  const arrays = { text, documents, credit, entries, cluster, count, totals };
  return {
    ...Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, nd(array)])),
    error: nd(Float64Array.of(error)),
  };
}

/** The rows in clusters, those of one label after those of another, in their order. */
function byLabel(labels: Int32Array, k: number): Uint32Array {
  const next = new Uint32Array(k + 1);
  for (const label of labels) if (label >= 0) next[label + 1]++;
  for (let c = 0; c < k; c++) next[c + 1] += next[c];
  const rows = new Uint32Array(next[k]);
  for (const [row, label] of labels.entries()) if (label >= 0) rows[next[label]++] = row;
  return rows;
}

/** The tasks of this file, by name. */
export const tasks = { terms };
