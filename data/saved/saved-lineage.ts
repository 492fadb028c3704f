import * as z from 'zod/mini';
import type { PastUpdate } from '../../model/stream/history.ts';
import { checked, type RunFiles } from './run-files.ts';

/** `lineage.json` of an update: the ids of its clusters, and what became of clusters in it and in updates before. */

/** The name of the file in a run directory. */
export const LINEAGE = 'lineage.json';

const count = z.int().check(z.nonnegative());
const ids = z.array(count);
const entry = z.discriminatedUnion('what', [
  z.object({ what: z.literal('born'), id: count }),
  z.object({ what: z.literal('split'), id: count, from: ids }),
  z.object({ what: z.literal('merged'), id: count, into: ids }),
  z.object({ what: z.literal('returned'), id: count }),
  z.object({ what: z.literal('gone'), id: count }),
]);

/** Updates, the oldest first. */
export const pastUpdates: z.ZodMiniType<PastUpdate[]> = z
  .array(
    z.object({
      update: count,
      rows: z.number().check(z.positive()),
      sizes: z.record(z.string().check(z.regex(/^\d{1,15}$/)), z.number().check(z.nonnegative())),
      lineage: z.array(entry),
    }),
  )
  .check(
    z.refine(
      (all) => all.every(({ update }, i) => update === all[0].update + i),
      'its updates are out of order',
    ),
  );

/** Reads the updates up to that of a run; null where it is none. UserError if the file is damaged. */
export const readPastUpdates = (files: RunFiles): PastUpdate[] | null =>
  files.has(LINEAGE) ? checked(files, LINEAGE, z.object({ history: pastUpdates })).history : null;
