import * as z from 'zod/mini';
import { list, record } from '../base/schema.ts';
import type { Lineage } from '../model/stream/findings.ts';
import { ALARMS, type Alarm, type Drift } from '../model/stream/findings.ts';
import type { PastUpdate } from '../model/stream/history.ts';
import { checked, type RunFiles } from './run-files.ts';

/** `lineage.json` of an update: the ids of its clusters, and what became of clusters in it and in updates before. */

/** The name of the file in a run directory. */
export const LINEAGE = 'lineage.json';

const count = z.int().check(z.nonnegative());
const ids = list(count);
const entry = z.discriminatedUnion('what', [
  z.object({ what: z.literal('born'), id: count }),
  z.object({ what: z.literal('split'), id: count, from: ids }),
  z.object({ what: z.literal('merged'), id: count, into: ids }),
  z.object({ what: z.literal('returned'), id: count }),
  z.object({ what: z.literal('gone'), id: count }),
]);

/** Updates, the oldest first. */
export const pastUpdates: z.ZodMiniType<PastUpdate[]> = list(
  z.object({
    update: count,
    rows: z.number().check(z.positive()),
    sizes: record(z.string().check(z.regex(/^\d{1,15}$/)), z.number().check(z.nonnegative())),
    lineage: list(entry),
  }),
).check(
  z.refine(
    (all) => all.every(({ update }, i) => update === all[0].update + i),
    'its updates are out of order',
  ),
);

/** What an update has found. */
export interface UpdateSummary {
  /** The number of the update; 1 is the first one after a first run. */
  readonly update: number;
  /** The id of each cluster, in the order of size: what `labels` has. */
  readonly ids: readonly number[];
  /** What became of clusters in this update. */
  readonly lineage: readonly Lineage[];
  /** How the new rows differ from those before; `alarms`: what of it matters. */
  readonly drift: (Drift & { alarms: Alarm[] }) | null;
}

const summary = z.object({
  ...{ update: count, ids, lineage: list(entry) },
  drift: z.nullable(z.looseObject({ rows: count, alarms: list(z.enum(ALARMS)) })),
});

/** Reads what an update has found; null of another run. UserError if the file is damaged. */
export const readUpdateSummary = (files: RunFiles): UpdateSummary | null =>
  files.has(LINEAGE) ? (checked(files, LINEAGE, summary) as UpdateSummary) : null;

/** Reads the updates up to that of a run; null where it is none. UserError if the file is damaged. */
export const readPastUpdates = (files: RunFiles): PastUpdate[] | null =>
  files.has(LINEAGE) ? checked(files, LINEAGE, z.object({ history: pastUpdates })).history : null;
