import * as z from 'zod/mini';
import { MOST_TERMS } from '../../model/widths.ts';
import { between, float64, index, int32, uint8, whole } from '../../proto/shapes.ts';
import { type TaskIn, task } from '../../proto/tasks.ts';
import { name, natural } from '../parameters.ts';

/** The words of texts, counted by cluster. */

const MOST_LANGUAGES = 64;
/** Numbers of terms by cluster, and of words, in the texts of a unit. */
const MOST_ENTRIES = 1 << 25;

const sumOf = (values: Int32Array) => values.reduce((sum, value) => sum + value, 0);
/** Lines of UTF-8, each with its line break; NaN if there is something after the last one. */
function linesIn(bytes: Uint8Array): number {
  const lines = bytes.reduce((sum, byte) => sum + Number(byte === 10), 0);
  return bytes.length && bytes.at(-1) !== 10 ? Number.NaN : lines;
}

export const entries = {
  terms: task({
    parameters: {
      /** Clusters. */
      k: natural,
      /** The languages whose lists of stop words are used. */
      languages: z.array(z.string().check(z.regex(/^[a-z]{2,3}$/))).check(z.maxLength(MOST_LANGUAGES)),
      /** The version of the library that finds words in texts of other than simple scripts. */
      icu: name,
    },
    ...{ rows: 'blocks', sums: false },
    reads: () => ({}),
    results: () => ({
      text: uint8(['bytes'], index(256)),
      documents: int32(['terms'], between(1, 'n')),
      credit: int32(['terms'], between(1, MOST_ENTRIES)),
      entries: int32(['terms'], between(1, 'k')),
      cluster: int32(['all'], index('k')),
      count: int32(['all'], between(1, MOST_ENTRIES)),
      totals: float64(['k'], whole(0, MOST_ENTRIES)),
      error: float64([1], whole(0, MOST_ENTRIES)),
    }),
    limits: () => ({ bytes: MOST_TERMS << 9, terms: MOST_TERMS, all: MOST_ENTRIES }),
    isPossible: ({ text, entries, cluster }) =>
      sumOf(entries.data as Int32Array) === cluster.data.length &&
      linesIn(text.data as Uint8Array) === entries.data.length,
  }),
};

export type TermsTask = TaskIn<typeof entries, 'terms'>;
