import { join } from 'node:path';
import { createAtomicFile } from '../base/files.ts';
import { yieldToEventLoop } from '../base/slices.ts';
import type { RowTexts } from '../data/texts/texts.ts';
import { blockCount, type Layout } from '../model/layout.ts';
import { MOST_CHARACTERS } from '../model/words/words.ts';
import { nd, type Tensors } from '../proto/tensors.ts';
import type { RowSlice } from '../run/row-files.ts';
import type { RunDirectory } from '../run/run-directory.ts';
import { CLUSTERS } from '../run/saved-clusters.ts';

/**
 * The texts of all rows with their labels, in two files of the run directory from which any block is read at once: a table may have to be
 * decoded from its start for that. They are drafts, which nothing is left of once the run goes on without them.
 */
export type TextSpool = Awaited<ReturnType<typeof spoolTexts>>;

const BUFFER_BYTES = 1 << 20;
/** Texts that are in memory at once. */
const AT_ONCE = 1 << 10;
/** Of a message to a worker, which asks for the blocks of a unit. */
const MOST_BYTES = 1 << 28;
/** The length in bytes, and the label. */
const NUMBERS_OF_ROW = 2;

/** Texts in the order of their rows, and the clusters of these. */
export interface TextLabels {
  texts: RowTexts;
  /** Of consecutive rows. */
  labels: AsyncIterable<Pick<RowSlice, 'start' | 'labels'>> | Iterable<Pick<RowSlice, 'start' | 'labels'>>;
}

/** `each`: gets every text. UserError if there is not one for each row; WriteError. */
export async function spoolTexts(
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
      if (starts[end] - starts[first] > MOST_BYTES)
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
